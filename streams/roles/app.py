"""The composition root: which process runs which role, with what."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streams.connect import connection_of
from streams.contract.topics import ERASURES, topic_name
from streams.durability.stores import wait_for_store
from streams.errors import DurabilityError, ErasureError, StoreUnavailableError, TopicMismatchError
from streams.roles.supervisor import Supervisor
from streams.settings import Settings
from streams.telemetry.board import Board, Watched
from streams.telemetry.server import serve
from streams.transport.patience import is_away
from streams.transport.reader import EXIT_AFTER_ERROR, EXIT_HELPLESS

if TYPE_CHECKING:
    from streams.transport.connection import Connection

DRAIN_S: Final = 60.0
"""After SIGTERM a role may take so long: a trainer writes its last snapshot. A second signal ends it at once."""
ROLES: Final = ("trainer", "recommender")
"""What every engine runs; `streams.commands.run.ROLES` has those that may be asked for besides."""


def worker(role: str, settings: Settings, *, is_embedded: bool = False) -> None:
    """Run one role in this process until SIGTERM; waits for broker and snapshots first. Ends by SystemExit."""
    from streams.transport import admin
    from streams.transport.bulk import run_worker
    from streams.transport.child import exit_with_stdin

    exit_with_stdin(sys.stdin.buffer)
    board = Board(role, stall_s=settings.metrics.stall_s, is_away=is_away)
    is_asked = serve(board, settings.metrics) is not None  # from the start on: waiting for a broker is alive too
    connection = connection_of(settings, is_embedded=is_embedded)
    admin.wait_for_broker(connection, on_wait=_say)
    try:
        app, watched = _app_of(role, settings, connection, board)
    except StoreUnavailableError as error:  # it went away while it was read: the next start waits for it
        _say(f"{role}: {error}")
        sys.exit(EXIT_AFTER_ERROR)
    except ErasureError as error:
        _say(f"{role}: {error}")
        sys.exit(EXIT_HELPLESS if role == "trainer" else EXIT_AFTER_ERROR)  # a trainer may have gone on meanwhile
    except DurabilityError as error:  # it would be the same the next time
        _say(f"{role}: {error}")
        sys.exit(EXIT_HELPLESS)
    if is_asked:

        async def beat(_app: Any = None) -> None:
            await board.run(watched)

        app.task(beat)
    run_worker(app, on_signal=board.drain)


def _app_of(role: str, settings: Settings, connection: Connection, board: Board) -> tuple[Any, Watched]:
    """The role's Faust app, over the state that it starts from, and how it stands."""
    from streams.roles import condition

    if role == "studio":
        from streams.processors import give_way
        from streams.roles.studio import StudioRole

        give_way(settings.studio.niceness)
        studio = StudioRole(settings, is_embedded=connection.is_embedded)
        return studio.app, condition.StudioCondition(studio, board)
    wait_for_store(settings.snapshot_dir, on_wait=_say)
    if role == "planner":
        from streams.processors import give_way
        from streams.roles.planner import PlannerRole

        give_way()
        planner = PlannerRole(settings, is_embedded=connection.is_embedded)
        return planner.app, condition.PlannerCondition(planner, board)
    from streams.durability.erasure_log import read_erasures

    erasures = read_erasures(connection, topic_name(settings.prefix, ERASURES.name))
    if role == "trainer":
        from streams.processors import give_way
        from streams.roles.trainer import Trainer

        give_way()
        trainer = Trainer(settings, is_embedded=connection.is_embedded, erasures=erasures)
        return trainer.app, condition.TrainerCondition(trainer, board)
    from streams.roles.recommender import RecommenderRole

    recommender = RecommenderRole(settings, is_embedded=connection.is_embedded, erasures=erasures)
    return recommender.app, condition.RecommenderCondition(recommender)


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
    wrong = [
        one for one in admin.check_topics(connection, settings.topics.specs(), prefix=settings.prefix) if one.is_fatal
    ]
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
