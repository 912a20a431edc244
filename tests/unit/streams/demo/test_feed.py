"""What is fed, in which order and when, with a fake broker and a fake clock."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from streams.contract.codec import Rejected, decode
from streams.contract.events import Interaction, Item
from streams.demo.feed import BROKEN_COUNT, TICK_S, Feed, break_points, broken
from streams.demo.watch import Sent
from streams.replay.logs import EventLog, read_log
from tests.factories import NOW_MS, make_interaction

EVENTS = 30


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds


class FakeBroker:
    """Takes records; ``settled`` are the counts at which everything was waited for."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes, int]] = []
        self.settled: list[int] = []

    def send(self, topic: str, *, key: str, value: bytes, timestamp_ms: int) -> None:
        self.got.append((topic, key, value, timestamp_ms))

    def check(self) -> None:
        """Nothing is ever wrong."""

    def settle(self) -> None:
        self.settled.append(len(self.got))


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    rows = "".join(f"u{n % 3},i{n},{1_000_000 + n}\n" for n in range(EVENTS))
    (tmp_path / "toy.csv").write_text("user_id,item_id,timestamp\n" + rows)
    (tmp_path / "toy.items.csv").write_text("item_id,title\ni0,Zero\ni1,One\n")
    return read_log(tmp_path / "toy.csv")


class Fed:
    """A feed with everything around it."""

    def __init__(self, log: EventLog) -> None:
        self.broker, self.time, self.told, self.stop = FakeBroker(), FakeTime(), list[Sent](), threading.Event()
        self.waits = 0
        self.feed = Feed(
            log, self.broker, tell=self.told.append, stop=self.stop, must_wait=self.must_wait, clock=self.time
        )

    def must_wait(self) -> bool:
        self.waits -= 1
        return self.waits >= 0


@pytest.fixture
def fed(log: EventLog) -> Fed:
    return Fed(log)


@pytest.mark.parametrize("kind", range(BROKEN_COUNT))
@pytest.mark.parametrize("user_id", ["1", "user-1", 'ü"\\'])
def test_each_broken_record_is_refused(kind, user_id):
    values = broken(make_interaction(user_id=user_id, value=8.0))
    assert len(set(values)) == BROKEN_COUNT
    assert isinstance(decode(Interaction, values[kind], timestamp_ms=NOW_MS), Rejected)


def test_broken_records_lie_inside_and_apart():
    points = break_points(100, 800)
    assert points == [200, 300, 400, 500, 600, 700]


def test_the_catalogue_comes_first_with_the_first_events_time_and_is_waited_for(fed, log):
    assert fed.feed.catalogue() == 2
    decoded = [decode(Item, value, timestamp_ms=at_ms) for _, _, value, at_ms in fed.broker.got]
    assert [item.title for item in decoded if isinstance(item, Item)] == ["Zero", "One"]
    assert {at_ms for *_, at_ms in fed.broker.got} == {int(log.time_ms[0])}
    assert fed.broker.settled == [2]


def test_every_event_is_told_before_it_is_sent_at_its_pace(fed):
    fed.feed.events(0, 10, per_second=5 / TICK_S, is_measured=False)
    assert [sent.item_id for sent in fed.told] == [f"i{n}" for n in range(10)]
    assert all(
        100.0 + n * TICK_S / 5 <= sent.at_s <= 100.0 + n * TICK_S / 5 + TICK_S for n, sent in enumerate(fed.told)
    )
    assert not any(sent.is_measured for sent in fed.told)
    assert fed.feed.broken_count == 0
    assert fed.broker.settled == [10]


def test_broken_records_are_among_the_measured_ones_and_nothing_is_left_out(fed):
    fed.feed.events(10, EVENTS, per_second=1_000, is_measured=True)
    decoded = [decode(Interaction, value, timestamp_ms=at_ms) for _, _, value, at_ms in fed.broker.got]
    good = [event for event in decoded if isinstance(event, Interaction)]
    assert [event.item_id for event in good] == [f"i{n}" for n in range(10, EVENTS)]
    assert [event.event_id for event in good] == [sent.event_id for sent in fed.told]
    assert len(decoded) - len(good) == fed.feed.broken_count == BROKEN_COUNT
    assert all(key == f"u{(at_ms // 1000 - 1_000_000) % 3}" for _, key, _, at_ms in fed.broker.got)


def test_it_stops_when_told(fed):
    fed.stop.set()
    assert fed.feed.catalogue() == 0
    fed.feed.events(0, 10, per_second=1, is_measured=True)
    assert not fed.broker.got
    assert not fed.broker.settled


def test_an_engine_that_is_behind_is_waited_for_and_gets_no_burst_afterwards(fed):
    fed.waits = 100
    fed.feed.events(0, 10, per_second=1 / TICK_S, is_measured=False)
    assert fed.told[0].at_s == pytest.approx(100.0 + 100 * TICK_S)
    gaps = [after.at_s - before.at_s for before, after in itertools.pairwise(fed.told)]
    assert max(gaps) <= 2 * TICK_S + 1e-9
    assert fed.told[-1].at_s >= fed.told[0].at_s + 9 * TICK_S - 1e-9
