"""The `marquee` command: which commands there are, and what each kind of failure ends with.

Commands live in `streams/commands`, one file each, and are imported when they are called: `marquee --help` is quick. To
add one, write ``streams/commands/NAME.py`` with a click command of that name, and a line in `COMMANDS`.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 no broker answers, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

import click

from streams.errors import BrokerUnavailableError, MarqueeError, SettingsError

FAILED: Final = 1
WRONG_USAGE: Final = 2
NO_BROKER: Final = 3
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells say it."""

COMMANDS: Final = {
    "demo": "Watch the engine learn a film log, live; needs nothing else.",
    "run": "Run the engine: trainer and recommender.",
    "topics": "Check the topics, or create them.",
    "contract": "Schemas of every record, for registries and code generators.",
    "conform": "Check a producer's records, from a file or a topic.",
    "tasks": "What content would pay off next, and why.",
    "recommend": "Ask for a user's slate over the topics.",
    "eval": "Judge the model on an event log, with no broker.",
    "compare": "Judge two configurations on one event log.",
    "replay": "Play an event log into the topics.",
    "import": "Import a file of any shape into the topics.",
    "map": "Propose how a topic or file of another shape is read.",
    "verify": "Learn the ledger's steps again and compare the state.",
    "explain": "Why an item stands where it stands in a user's slate.",
    "diff": "What changed in slates between two moments.",
    "branch": "The same log under another configuration.",
    "forget": "Forget users: serving at once, and all that was learned of them.",
    "dlq": "See what was refused, and send it back once it is mended.",
    "studio": "Make cuts, pictures, subtitles and blurbs from files.",
    "fetch": "Fetch a public event log.",
    "doctor": "Check this machine, the broker and the topics.",
}
"""Every command with its line in the overview, in the order of the overview."""

HIDDEN: Final = frozenset({"worker"})
"""Commands for our own processes."""
MODULES: Final = {"import": "import_file", "map": "propose_mapping"}
"""Commands whose names are Python's own words: what their modules and functions are called."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and lines, and imports a command only to run it or show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of this name, imported now; None when there is none."""
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        name = MODULES.get(cmd_name, cmd_name)
        command = getattr(importlib.import_module(f"streams.commands.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"expected a click command {cmd_name} in streams/commands/{cmd_name}.py, got {command!r}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The overview, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog="Each command has its own --help, with an example.")
@click.version_option(package_name="marquee")
def marquee() -> None:
    """Marquee: Kafka topics in, ranked slates out, learned from every event."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with the right exit code.

    Args:
      arguments: after the program's name; by default those of this process.
    """
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. What went wrong is one line on standard error."""
    try:
        result = marquee.main(args=arguments, prog_name="marquee", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except MarqueeError as error:
        click.echo(f"Error: {error}", err=True)
        if isinstance(error, BrokerUnavailableError):
            return NO_BROKER
        return WRONG_USAGE if isinstance(error, SettingsError) else FAILED
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
