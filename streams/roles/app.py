"""The composition root: which process runs which role, with what."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from streams.connect import connection_of
from streams.contract.topics import TOPICS
from streams.errors import DurabilityError, TopicMismatchError
from streams.roles.supervisor import Supervisor
from streams.settings import Settings
from streams.transport.reader import EXIT_HELPLESS

DRAIN_S: Final = 60.0
"""After SIGTERM a role may take so long: a trainer writes its last snapshot. A second signal ends it at once."""
ROLES: Final = ("trainer", "recommender")
"""What every engine runs; `streams.commands.run.ROLES` has those that may be asked for besides."""


def worker(role: str, settings: Settings, *, is_embedded: bool = False) -> None:
    """Run one role in this process until SIGTERM; waits for the broker first. Ends by SystemExit."""
    from streams.transport import admin
    from streams.transport.bulk import run_worker
    from streams.transport.child import exit_with_stdin

    exit_with_stdin(sys.stdin.buffer)
    admin.wait_for_broker(connection_of(settings, is_embedded=is_embedded), on_wait=_say)
    try:
        if role == "trainer":
            from streams.processors import give_way
            from streams.roles.trainer import Trainer

            give_way()

            app = Trainer(settings, is_embedded=is_embedded).app
        elif role == "planner":
            from streams.roles.planner import PlannerRole

            app = PlannerRole(settings, is_embedded=is_embedded).app
        else:
            from streams.roles.recommender import RecommenderRole

            app = RecommenderRole(settings, is_embedded=is_embedded).app
    except DurabilityError as error:  # it would be the same the next time
        _say(f"{role}: {error}")
        sys.exit(EXIT_HELPLESS)
    run_worker(app)


def commands_for(
    roles: Sequence[str], *, broker: str, prefix: str, config: Path | None, is_embedded: bool = False
) -> dict[str, list[str]]:
    """What the supervisor starts for each role: this same program with a hidden command."""
    options = ["--broker", broker, "--prefix", prefix]
    options += ["--config", str(config)] if config else []
    options += ["--embedded"] if is_embedded else []
    return {role: [sys.executable, "-m", "streams.cli", "worker", role, *options] for role in roles}


def run(roles: Sequence[str], settings: Settings, *, config: Path | None, say: Callable[[str], None]) -> int:
    """Supervise one process a role until SIGINT or SIGTERM; gives the exit status."""
    from streams.transport import admin

    connection = connection_of(settings)
    admin.wait_for_broker(connection, on_wait=say)
    wrong = [one for one in admin.check_topics(connection, TOPICS, prefix=settings.prefix) if one.is_fatal]
    if wrong:
        raise TopicMismatchError(
            "the topics are not as the engine needs them: "
            + "; ".join(map(str, wrong))
            + ". `marquee topics create` makes those that are missing"
        )
    commands = commands_for(roles, broker=settings.broker, prefix=settings.prefix, config=config)
    return Supervisor(commands, say=say, drain_s=DRAIN_S).run()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
