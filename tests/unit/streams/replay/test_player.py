"""Playing a log: order, keys, timestamps and times of sending, on a fake broker and a fake clock."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from streams.contract.codec import decode
from streams.contract.events import Interaction, Item
from streams.errors import BrokerUnavailableError, DeliveryError
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import EventLog, read_log
from streams.replay.pace import Pace
from streams.replay.player import CHUNK, KafkaSender, Played, play_into
from streams.transport.connection import Connection


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 0.2
        self.time_s += seconds


@dataclasses.dataclass
class FakeBroker:
    """Takes records with the time at which they came; refuses from record ``fails_at`` on."""

    clock: FakeTime
    fails_at: int = 1 << 30
    got: list[tuple[float, str, str, bytes, int]] = dataclasses.field(default_factory=list)
    settled_at: list[int] = dataclasses.field(default_factory=list)

    def send(self, topic: str, *, key: str, value: bytes, timestamp_ms: int) -> None:
        self.got.append((self.clock.now_s(), topic, key, value, timestamp_ms))

    def check(self) -> None:
        if len(self.got) >= self.fails_at:
            raise DeliveryError("refused")

    def settle(self) -> None:
        self.check()
        self.settled_at.append(len(self.got))


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    (tmp_path / "toy.csv").write_text("user_id,item_id,timestamp\nv,b,30\nu,a,10\nu,b,30\n")
    (tmp_path / "toy.items.csv").write_text("item_id,title\na,A\nb,B\n")
    return read_log(tmp_path / "toy.csv")


def test_items_come_first_and_everything_has_its_key_and_time(log: EventLog) -> None:
    clock = FakeTime()
    broker = FakeBroker(clock)
    progress: list[int] = []

    played = play_into(broker, log, prefix="p", pace=Pace(), clock=clock, on_progress=progress.append)

    assert played == Played(items=2, interactions=3, elapsed_s=0.0)
    assert [(topic, key, timestamp_ms) for _, topic, key, _, timestamp_ms in broker.got] == [
        ("p.items.v1", "a", 10_000),
        ("p.items.v1", "b", 10_000),
        ("p.interactions.v1", "u", 10_000),
        ("p.interactions.v1", "v", 30_000),
        ("p.interactions.v1", "u", 30_000),
    ]
    assert broker.settled_at == [2, 5], "items are acknowledged before anybody acts on them"
    assert progress == [3]
    for _, topic, key, value, timestamp_ms in broker.got:
        event = decode(Item if "items" in topic else Interaction, value, timestamp_ms=timestamp_ms)
        assert key == (event.item_id if isinstance(event, Item) else getattr(event, "user_id", None))


@pytest.mark.parametrize(("rate", "times_s"), [("10x", [100, 102, 102]), ("2/s", [100, 100.5, 101])])
def test_events_are_sent_when_they_are_due(log: EventLog, rate: str, times_s: list[float]) -> None:
    clock = FakeTime()
    broker = FakeBroker(clock)

    play_into(broker, log, prefix="", pace=Pace.parse(rate), clock=clock, on_progress=lambda _: None)

    assert [sent_s for sent_s, topic, *_ in broker.got if "items" not in topic] == pytest.approx(times_s)


def test_a_long_log_goes_out_whole_and_in_order() -> None:
    log = read_log(PACKAGED_DIR / "movietweetings").head(2 * CHUNK + 17)
    clock = FakeTime()
    broker = FakeBroker(clock)
    progress: list[int] = []

    played = play_into(broker, log, prefix="", pace=Pace(), clock=clock, on_progress=progress.append)

    assert (played.items, played.interactions) == (12_611, 2 * CHUNK + 17)
    assert progress == [CHUNK, 2 * CHUNK, 2 * CHUNK + 17]
    sent = broker.got[12_611:]
    assert [key for _, _, key, _, _ in sent] == log.user_id.tolist()
    assert [timestamp_ms for *_, timestamp_ms in sent] == log.time_ms.tolist()


def test_a_refused_record_ends_the_replay(log: EventLog) -> None:
    clock = FakeTime()
    for fails_at in (1, 5):
        with pytest.raises(DeliveryError):
            play_into(FakeBroker(clock, fails_at=fails_at), log, prefix="", pace=Pace(), clock=clock, on_progress=print)


def test_no_broker_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    sender = KafkaSender(Connection(bootstrap="127.0.0.1:1"), metadata_timeout_s=0.2)
    with pytest.raises(
        BrokerUnavailableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1 .*refused.*; start it"
    ):
        sender.missing(["a"])
    assert capfd.readouterr() == ("", "")
