"""How each role stands, for its board: what it still waits for, and its figures. Asked once a second.

Figures that a role tells on `metrics.v1` reach the board with the record, by `hear`; here is what no record has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from streams.contract import topics
from streams.telemetry.board import Board
from streams.telemetry.durations import Histogram
from streams.transport.reader import Reader

if TYPE_CHECKING:
    from streams.roles.planner import PlannerRole
    from streams.roles.recommender import RecommenderRole
    from streams.roles.studio import StudioRole
    from streams.roles.trainer import Trainer

NOT_ASSIGNED: Final = "waiting for the broker to assign partitions"


def reading(reader: Reader, names: Mapping[str, str]) -> dict[str, float]:
    """Partitions and records not done of each topic that a role reads.

    Args:
      names: of a topic without prefix -> with it.
    """
    short = {full: name for name, full in names.items()}
    found: dict[str, float] = {f"partitions {short[full]}": 0.0 for full in reader.topics}
    for (topic, partition), done in reader.positions.done_offsets().items():
        name, end = short[topic], reader.end((topic, partition))
        found[f"partitions {name}"] += 1.0
        if end is not None:
            lag = f"lag {name}"
            found[lag] = found.get(lag, 0.0) + max(0, end - done)
    return found


def behind(reader: Reader) -> str | None:
    """Which partitions have not been done to the end that they had when they were assigned; None: all have."""
    if reader.positions.epoch == 0:
        return NOT_ASSIGNED
    lag = reader.positions.lag()
    if not lag:
        return None
    return f"catching up: {sum(lag.values())} records of {len(lag)} partitions, to where the topics ended at the start"


class TrainerCondition:
    """Ready once what the ledger names has been learned again."""

    def __init__(self, role: Trainer, board: Board) -> None:
        self._role = role
        state = role.learner.state
        from models.recommend import metrics

        board.hear("trainer", {"learned": state.learned_events, "repeated": state.repeated_events})
        board.hear("prequential", {"total_events": metrics.figures(state.totals).events})
        role.telling.hear = board.hear

    def lacking(self) -> str | None:
        """As of `Watched`."""
        role = self._role
        if role.ledger is None:
            return "reading what the ledger has behind the state"
        if role.batches.recovering:
            return f"learning {role.batches.recovering} steps again as the ledger names them"
        return None if role.app.reader.assigned else NOT_ASSIGNED

    def figures(self) -> dict[str, dict[str, float]]:
        """As of `Watched`."""
        role, state = self._role, self._role.learner.state
        own = {"step": float(state.step), "snapshot_failures": float(role.snapshot_failures)}
        own |= {"event_s": state.newest_ms / 1000} if state.newest_ms > 0 else {}
        own |= {} if role.snapshot_s is None else {"snapshot_s": role.snapshot_s}
        return {"trainer own": own, "reader": reading(role.app.reader, role.names)}

    def histograms(self) -> dict[str, Histogram]:
        """As of `Watched`."""
        return {}


class RecommenderCondition:
    """Ready once the state is filled and has caught up: from then on requests are answered."""

    def __init__(self, role: RecommenderRole) -> None:
        self._role = role

    def lacking(self) -> str | None:
        """As of `Watched`."""
        role = self._role
        if not role.ready.is_set():
            waits = sorted(name for name, reader in role.readers.items() if not reader.caught_up.is_set())
            return f"reading {', '.join(waits)}" if waits else "building the index and warming up"
        if role.app.reader.positions.epoch == 0:
            return NOT_ASSIGNED
        return None if role.is_caught_up() else behind(role.app.reader)

    def figures(self) -> dict[str, dict[str, float]]:
        """As of `Watched`."""
        role = self._role
        serving, answering = role.serving, role.answering
        own = {
            "slates request": answering.slates["request"], "slates push": answering.slates["push"],
            "rejected": role.rejected, "waiting_requests": answering.waiting, "waiting_pushes": len(role.pushes),
            "items": len(serving.items), "users": len(serving.users), "model_version": serving.model.version,
        }  # fmt: skip
        values = {name: float(value) for name, value in own.items()}
        values |= {"event_s": serving.newest_ms / 1000} if serving.newest_ms > 0 else {}
        return {"recommender": values, "reader": reading(role.app.reader, role.names)}

    def histograms(self) -> dict[str, Histogram]:
        """As of `Watched`."""
        return {"answer_s": self._role.answering.took.counted()}


class PlannerCondition:
    """Ready once it has read what was there when it started."""

    def __init__(self, role: PlannerRole, board: Board) -> None:
        self._role = role
        board.hear("planner", role.figures())
        role.teller.hear = board.hear

    def lacking(self) -> str | None:
        """As of `Watched`."""
        return behind(self._role.app.reader)

    def figures(self) -> dict[str, dict[str, float]]:
        """As of `Watched`."""
        return {"reader": reading(self._role.app.reader, self._role.names)}

    def histograms(self) -> dict[str, Histogram]:
        """As of `Watched`."""
        return {}


class StudioCondition:
    """Ready once it knows the catalogue and its partitions."""

    def __init__(self, role: StudioRole, board: Board) -> None:
        self._role = role
        role.teller.hear = board.hear

    def lacking(self) -> str | None:
        """As of `Watched`."""
        if not self._role.started.is_set():
            return f"reading {topics.ITEMS.name}"
        return None if self._role.app.reader.positions.epoch > 0 else NOT_ASSIGNED

    def figures(self) -> dict[str, dict[str, float]]:
        """As of `Watched`."""
        return {"reader": reading(self._role.app.reader, self._role.names)}

    def histograms(self) -> dict[str, Histogram]:
        """As of `Watched`."""
        return {}
