"""The `marquee` command with a recommender that says how long the parts of its start took."""

import logging

if __name__ == "__main__":
    logging.getLogger("streams.roles.recommender").setLevel(logging.INFO)
    from streams import cli

    cli.main()
