"""What a render's process says is looked at before anything of it is taken."""

import os

import pytest

from streams.studio.drafts import told_engine, told_figures, verified
from streams.studio.engines import Draft
from streams.studio.errors import EngineError


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def draft(path, **changes):
    return Draft(**{"path": str(path), "media_type": "text/plain", "suffix": ".txt", "checks": []} | changes)


def test_a_plain_file_of_a_known_kind_is_taken(work):
    (work / "a.edl").write_text("TITLE")
    found = verified(draft(work / "a.txt", beside=[str(work / "a.edl"), "/etc/hostname"]), work, most_bytes=100)
    assert (found.path, found.beside) == (str(work / "a.txt"), [str(work / "a.edl")])


def test_whatever_else_is_named_is_not(work, tmp_path):
    (work / "link.txt").symlink_to(tmp_path / "secret.txt")
    (work / "inner").symlink_to(tmp_path)
    os.link(tmp_path / "secret.txt", work / "hard.txt")
    os.mkfifo(work / "pipe.txt")
    (work / "folder.txt").mkdir()
    (work / "empty.txt").touch()
    (work / "big.txt").write_bytes(b"x" * 101)
    (work / "a.sh").write_text("#!")
    (work / "a").write_text("x")
    bad = [
        draft(tmp_path / "secret.txt"),
        draft(work / ".." / "secret.txt"),
        draft("a.txt"),
        draft("a\0.txt"),
        draft(work / "none.txt"),
        draft(work / "link.txt"),
        draft(work / "inner" / "secret.txt"),
        draft(work / "hard.txt"),
        draft(work / "pipe.txt"),
        draft(work / "folder.txt"),
        draft(work / "empty.txt"),
        draft(work / "big.txt"),
        draft(work / "a.sh", suffix=".sh"),
        draft(work / "a", suffix=""),
        draft(work / "a.txt", suffix="/../../x.txt"),
        draft(work / "a.txt", media_type="text/plain\r\nX: y"),
        draft(work / "a.txt", media_type="text/" + "x" * 200),
        draft(work / "a.txt", duration_ms=-1),
    ]
    for one in bad:
        with pytest.raises(EngineError, match="expected"):
            verified(one, work, most_bytes=100)


def test_words_and_figures_fit_their_record():
    odd = {"name": "x" * 5_000, "list": [1], "inf": float("inf"), "n": 1, "flag": True, "none": None}
    assert told_engine(odd) == {"name": "x" * 1_000, "n": 1, "flag": True, "none": None}
    assert told_figures({"a": float("nan"), "b": 1e300, "c": -2.5}) == {"c": -2.5}
    assert len(told_figures({str(n): 1.0 for n in range(500)})) == 64
