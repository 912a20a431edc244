"""The `marquee` command with a recommender that says how long the parts of its start took."""

import logging

if __name__ == "__main__":
    role = logging.getLogger("streams.roles.recommender")
    role.setLevel(logging.INFO)
    role.addHandler(logging.StreamHandler())
    from streams import cli

    cli.main()
