"""What a role's port answers: verdicts by hand, metrics as Prometheus reads them, a loop that stands still."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import faust
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.commands.run import ON_WISH, ROLES
from streams.errors import RoleError, SettingsError
from streams.metrics_settings import PORT_OF, MetricsSettings
from streams.roles import condition
from streams.roles.planner import PlannerRole
from streams.roles.recommender import RecommenderRole
from streams.roles.studio import StudioRole
from streams.roles.trainer import Trainer
from streams.settings import Settings
from streams.telemetry import exported, health
from streams.telemetry.board import Board
from streams.telemetry.durations import Durations, Histogram
from streams.telemetry.exporter import buckets_of
from streams.telemetry.server import listen, serve
from streams.transport import bulk
from streams.transport.merge import Source


class Role:
    """Stands as it is told."""

    def __init__(self, lacking: str | None = None, **series: Mapping[str, float]) -> None:
        self.wants = lacking
        self.series = series
        self.took = Durations(exported.ANSWER_BOUNDS_S)

    def lacking(self) -> str | None:
        return self.wants

    def figures(self) -> Mapping[str, Mapping[str, float]]:
        return self.series

    def histograms(self) -> Mapping[str, Histogram]:
        return {"answer_s": self.took.counted()}


class Asked:
    """A server over a board, on a free port."""

    def __init__(self, board: Board, host: str = "127.0.0.1") -> None:
        self.server = listen(board, host, 0)
        self.port = self.server.server_port

    def get(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        line.request(method, path, headers=headers or {})
        answer = line.getresponse()
        found = answer.status, answer.read().decode()
        line.close()
        return found

    def told(self, path: str) -> tuple[int, Any]:
        status, body = self.get(path)
        return status, json.loads(body)

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
        }


class Now:
    """Monotonic seconds that move when told."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def board(now: Now) -> Board:
    return Board("trainer", stall_s=60.0, now_s=now)


@pytest.fixture
def asked(board: Board) -> Iterator[Asked]:
    made = Asked(board)
    yield made
    made.server.shutdown()
    made.server.server_close()


# --- verdicts ------------------------------------------------------------------------------------------------------


def test_only_silence_of_the_loop_is_a_reason_to_restart() -> None:
    assert health.alive(silence_s=None, stall_s=60.0).is_well
    assert health.alive(silence_s=60.0, stall_s=60.0).is_well
    dead = health.alive(silence_s=61.0, stall_s=60.0)
    assert dead == (False, "the event loop has said nothing for 61 s, more than 60 s")


def test_a_role_is_ready_when_it_lacks_nothing_and_is_not_asked_to_end() -> None:
    assert health.ready(has_begun=True, is_draining=False, lacking=None) == (True, "ready")
    assert health.ready(has_begun=True, is_draining=False, lacking="reading x") == (False, "reading x")
    assert health.ready(has_begun=False, is_draining=False, lacking=None) == (False, health.STARTING)
    assert health.ready(has_begun=True, is_draining=True, lacking=None) == (False, health.DRAINING)


def test_health_and_readiness_over_the_life_of_a_role(asked: Asked, board: Board, now: Now) -> None:
    assert asked.told("/healthz") == (
        200, {"alive": True, "role": "trainer", "reason": "the event loop has not begun"}
    )  # fmt: skip
    assert asked.told("/readyz") == (503, {"ready": False, "role": "trainer", "reason": health.STARTING})
    role = Role("learning 3 steps again as the ledger names them")
    board.beat(role)
    assert asked.told("/readyz")[1]["reason"] == role.wants
    role.wants = None
    board.beat(role)
    assert asked.told("/readyz") == (200, {"ready": True, "role": "trainer", "reason": "ready"})
    now.s += 61.0
    assert asked.told("/healthz")[0] == 503
    board.beat(role)
    assert asked.told("/healthz")[0] == 200
    board.drain()
    assert asked.told("/readyz") == (503, {"ready": False, "role": "trainer", "reason": health.DRAINING})
    assert asked.told("/healthz")[0] == 200


async def test_a_beat_says_how_the_role_stands(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.telemetry.board.BEAT_S", 0.0)
    role = Role(None, **{"trainer own": {"step": 5.0}})
    beating = asyncio.create_task(board.run(role))
    while not board.ready().is_well:
        await asyncio.sleep(0)
    beating.cancel()
    assert board.figure("trainer own", "step") == 5.0


def test_a_signal_is_heard_before_the_app_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(faust.Worker, "_schedule_shutdown", lambda self, signal: heard.append("stopping"))
    worker = bulk._Worker.__new__(bulk._Worker)
    worker.spinner = None
    worker.on_signal = lambda: heard.append("draining")
    worker._on_sigterm()
    assert heard == ["draining", "stopping"]


# --- the server ----------------------------------------------------------------------------------------------------


def test_nothing_else_is_answered(asked: Asked) -> None:
    assert asked.get("/")[0] == 404
    assert asked.get("/metrics/")[0] == 404
    for method in ("POST", "HEAD", "DELETE"):
        assert asked.get("/readyz", method)[0] == 405
    assert "marquee_ready" in asked.get("/metrics?name[]=nothing")[1]


def test_the_figures_are_those_that_were_told(asked: Asked, board: Board) -> None:
    board.hear("trainer", {"learned": 1_000.0, "repeated": 3.0})
    board.hear("trainer", {"learned": 1_250.0, "repeated": 3.0, "skew_ms": 1_500.0, "no metric": 1.0})
    board.hear("prequential", {"model_hr_at_10": 0.25, "transitions_hr_at_10": 0.2, "total_events": 9.0})
    own = (("role", "trainer"),)
    found = asked.samples()
    assert found["marquee_trainer_learned_events_total", own] == 250.0
    assert found["marquee_trainer_state_events", own] == 1_250.0
    assert found["marquee_trainer_skew_seconds", own] == 1.5
    assert found["marquee_trainer_hit_ratio", (("ranker", "model"), *own)] == 0.25
    assert found["marquee_trainer_hit_ratio", (("ranker", "transitions"), *own)] == 0.2
    assert ("marquee_trainer_hit_ratio", (("ranker", "decayed_popularity"), *own)) not in found
    assert found["marquee_ready", own] == 0.0
    assert not any(name.startswith(("marquee_recommender", "marquee_console")) for name, _ in found)


def test_a_state_that_goes_back_is_no_negative_count(asked: Asked, board: Board) -> None:
    board.hear("trainer", {"learned": 1_000.0})
    board.hear("trainer", {"learned": 900.0})
    assert asked.samples()["marquee_trainer_learned_events_total", (("role", "trainer"),)] == 0.0


def test_openmetrics_is_spoken_to_who_asks_for_it(asked: Asked, board: Board) -> None:
    board.hear("trainer", {"learned": 1.0})
    body = asked.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})[1]
    assert body.endswith("# EOF\n")
    assert 'marquee_trainer_learned_events_total{role="trainer"} 0.0' in body


def test_classes_of_times_add_up_as_prometheus_wants_them() -> None:
    took = Durations(exported.ANSWER_BOUNDS_S)
    took.take([])
    took.take([0.004, 0.005, 0.02])
    took.take([31.0])
    found = dict(buckets_of(took.counted()))
    assert (found["0.005"], found["0.01"], found["0.025"], found["30.0"], found["+Inf"]) == (2, 2, 3, 3, 4)
    assert took.counted().sum_s == pytest.approx(31.029)


def test_a_port_that_is_taken_is_said(board: Board) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RoleError, match=rf"trainer: expected to listen on 127.0.0.1:{port} .* set metrics.port"):
            listen(board, "127.0.0.1", port)


def test_askers_that_say_nothing_do_not_keep_others_out_for_ever(asked: Asked) -> None:
    silent = [socket.create_connection(("127.0.0.1", asked.port)) for _ in range(5)]
    assert asked.get("/healthz")[0] == 200
    for one in silent:
        one.close()


# --- settings ------------------------------------------------------------------------------------------------------


def test_each_role_has_a_port_of_its_own_and_none_by_default() -> None:
    assert set(PORT_OF) == {*ROLES, *ON_WISH} - {"door"} == set(exported.ROLES), "the door answers on its own port"
    assert len(set(PORT_OF.values())) == len(PORT_OF)
    assert serve(Board("trainer"), MetricsSettings()) is None
    found = MetricsSettings(port=9464)
    assert (found.port_of("trainer"), found.port_of("console")) == (9464, 9468)
    with pytest.raises(SettingsError, match="metrics.port must be at most 65531"):
        MetricsSettings(port=65_535)
    with pytest.raises(SettingsError, match="an IP address"):
        MetricsSettings(host="localhost")


# --- the table and the roles' figures ------------------------------------------------------------------------------


def test_names_follow_the_convention() -> None:
    for one in exported.EXPORTED:
        assert one.name.startswith("marquee_")
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert not one.name.endswith(("_ms", "_count", "_sum", "_bucket", "_info")), one.name
        assert one.help.endswith(".")
    for name in {one.name for one in exported.EXPORTED}:
        ones = [one for one in exported.EXPORTED if one.name == name]
        assert len({(one.kind, one.help, tuple(one.labels)) for one in ones}) == 1, name
        for role in exported.ROLES:
            mine = [tuple(one.labels.values()) for one in ones if role in one.roles]
            assert len(set(mine)) == len(mine), name


Make = Callable[[str], tuple[Any, Any, Board]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a role with a consumer group, not started: itself, how it stands, its board."""
    settings = Settings(snapshot_dir=tmp_path / "snapshots", cache_dir=tmp_path / "cache", text_encoder="hashed")
    open_workshops = []

    def one(name: str) -> tuple[Any, Any, Board]:
        board = Board(name)
        if name == "trainer":
            trainer = Trainer(settings)
            return trainer, condition.TrainerCondition(trainer, board), board
        if name == "recommender":
            recommender = RecommenderRole(settings)
            return recommender, condition.RecommenderCondition(recommender), board
        if name == "planner":
            planner = PlannerRole(settings)
            return planner, condition.PlannerCondition(planner, board), board
        studio = StudioRole(settings)
        open_workshops.append(studio.workshop)
        return studio, condition.StudioCondition(studio, board), board

    yield one
    for workshop in open_workshops:
        workshop.close()


def assigned(role: Any, starts: dict[Source, int], ends: dict[Source, int]) -> None:
    role.app.reader.positions.start(starts, ends)


def test_what_a_role_lacks_is_said(make: Make) -> None:
    assert make("trainer")[1].lacking() == "reading what the ledger has behind the state"
    assert make("recommender")[1].lacking().startswith("reading item-arms.v1, item-states.v1, items.v1")
    assert make("planner")[1].lacking() == condition.NOT_ASSIGNED
    assert make("studio")[1].lacking() == "reading items.v1"


def test_a_recommender_is_ready_once_it_is_filled_and_caught_up(make: Make) -> None:
    role, stands, _ = make("recommender")
    for reader in role.readers.values():
        reader.caught_up.set()
    assert stands.lacking() == "building the index and warming up"
    role.ready.set()
    assert stands.lacking() == condition.NOT_ASSIGNED
    assigned(
        role, {("interactions.v1", 0): 5, ("requests.v1", 0): 0}, {("interactions.v1", 0): 7, ("requests.v1", 0): 9}
    )
    assert stands.lacking().startswith("catching up: ")
    role.app.reader.done(("interactions.v1", 0), 7)
    assert stands.lacking() is None  # requests that wait are what it is there for
    assigned(role, {}, {})
    assert stands.lacking() is None, "one more than there are partitions is ready to take over"


def test_a_trainer_is_ready_once_the_ledger_is_learned(make: Make) -> None:
    role, stands, _ = make("trainer")
    role.ledger = object()
    role.batches._todo.extend([object(), object()])
    assert stands.lacking() == "learning 2 steps again as the ledger names them"
    role.batches._todo.clear()
    assert stands.lacking() == condition.NOT_ASSIGNED
    assigned(role, {("interactions.v1", 0): 0}, {("interactions.v1", 0): 0})
    assert stands.lacking() is None


def test_lag_is_what_has_not_taken_effect(make: Make) -> None:
    role, stands, _ = make("planner")
    places = {("interactions.v1", 0): 10, ("interactions.v1", 1): 0, ("items.v1", 0): 4}
    assigned(role, places, dict.fromkeys(places, 20))
    positions = role.app.reader.positions
    positions._fetched = dict(places)
    positions.note_end(("interactions.v1", 0), position=12, end=30)
    positions.note_end(("interactions.v1", 1), position=1, end=5)
    found = stands.figures()["reader"]
    assert (found["lag interactions.v1"], found["partitions interactions.v1"]) == (25.0, 2.0)
    assert "lag items.v1" not in found
    assert (found["partitions items.v1"], found["partitions users.v1"]) == (1.0, 0.0)


@pytest.mark.parametrize("role", exported.READERS)
def test_every_metric_of_a_role_has_its_figure(role: str, make: Make) -> None:
    told = tell_all(role, *make(role))
    wanted = {(one.series, one.value) for one in exported.EXPORTED if role in one.roles and one.kind != "histogram"}
    found = {(series, value) for series, value in wanted if told.figure(series, value) is not None}
    assert found == wanted
    assert all(told.histogram(one.value) for one in exported.EXPORTED if role in one.roles and one.kind == "histogram")


def tell_all(name: str, role: Any, stands: Any, board: Board) -> Board:
    """Everything that a role tells, once."""
    places = {(topic, 0): 0 for topic in role.app.reader.topics}
    assigned(role, places, places)
    role.app.reader.positions._fetched = dict(places)
    for place in places:
        role.app.reader.positions.note_end(place, position=0, end=3)
    if name == "trainer":
        role.telling._loss, role.snapshot_s, role.learner.state.newest_ms = 1.0, 2.0, 3
        role._announcement(waiting=0, recovering=0)
        role.telling._prequential()
    elif name == "recommender":
        role.serving.newest_ms = 3
    elif name == "planner":
        list(role.teller.tell("planner", role.figures(), at_ms=0, step=0, events=0, now_s=0.0))
    else:
        figures = role.tally.figures(waiting=0, under_way={}, rendered_s=0.0, now_s=0.0)
        list(role.teller.tell("studio/somebody", figures, at_ms=0, step=0, events=0, now_s=0.0))
        list(role.teller.tell("render/a task", {"elapsed_s": 1.0}, at_ms=0, step=0, events=0, now_s=0.0))
    board.beat(stands)
    return board
