"""A render sees what it needs of our environment, and no more."""

from streams.studio.surroundings import seen_of


def test_what_is_not_on_the_list_stays_here():
    ours = {
        "PATH": "/bin", "LC_ALL": "C.UTF-8", "AWS_SECRET_ACCESS_KEY": "x", "MARQUEE_SECURITY_PASSWORD": "x",
        "LD_PRELOAD": "/x.so", "PYTHONSTARTUP": "/x.py", "SSH_AUTH_SOCK": "/x", "OUR_KEY": "k",
    }  # fmt: skip
    assert seen_of(ours) == {"PATH": "/bin", "LC_ALL": "C.UTF-8"}
    assert seen_of(ours, ["OUR_KEY"]) == {"PATH": "/bin", "LC_ALL": "C.UTF-8", "OUR_KEY": "k"}
