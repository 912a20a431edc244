"""Hostile and broken records among good ones: nothing ends, every one is learned or in the dead letters, and the sums
add up. ``FUZZ`` says how many; `make faults` sends a hundred thousand.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from streams.contract import codec, rules, topics
from streams.contract.codec import Rejected
from streams.contract.events import Interaction, Item, Record, User
from streams.replay.convert import to_interactions, to_items
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from tests.conftest import Kafka
from tests.e2e.running import Running
from tests.factories import make_user
from tests.faults.mutations import mutated

FUZZ = int(os.environ.get("FUZZ", "6000"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + FUZZ // 50)]
GOOD = 1_000
KINDS: dict[str, type[Record]] = {
    topics.INTERACTIONS.name: Interaction,
    topics.ITEMS.name: Item,
    topics.USERS.name: User,
}
SPECS = {spec.name: spec for spec in (topics.INTERACTIONS, topics.ITEMS, topics.USERS)}


class Fuzzed(Running):
    """A trainer that was sent good records and bad ones in between.

    What should become of each is decided by the codec alone, record by record: here the engine is on trial.
    """

    def fill(self) -> None:
        draw = random.Random(7)
        log = read_log(PACKAGED_DIR / "movietweetings").head(GOOD)
        events = list(to_interactions(log))
        items = list(to_items(log.catalogue))[:200]
        good = {
            topics.INTERACTIONS.name: [codec.encode(event) for event in events],
            topics.ITEMS.name: [codec.encode(item) for item in items],
            topics.USERS.name: [codec.encode(make_user(user_id=f"nobody {n}")) for n in range(50)],
        }
        self.sent: list[tuple[str, bytes | None, int]] = []
        for at, event in enumerate(events):
            self.sent.append((topics.INTERACTIONS.name, good[topics.INTERACTIONS.name][at], event.occurred_at_ms))
            for _ in range(FUZZ // GOOD):
                name = draw.choices(list(good), (8, 1, 1))[0]
                bad = None if draw.random() < 0.01 else mutated(draw.choice(good[name]), draw)
                self.sent.append((name, bad, event.occurred_at_ms))
        for item, at_ms in zip(items, [log.time_ms[0]] * len(items), strict=True):
            self.sent.append((topics.ITEMS.name, codec.encode(item), int(at_ms)))
        for name, spec in SPECS.items():
            self.send(
                spec, [(f"key {at % 97}", value, at_ms) for at, (n, value, at_ms) in enumerate(self.sent) if n == name]
            )

    def verdicts(self) -> list[Record | Rejected]:
        return [
            codec.decode(KINDS[name], value, timestamp_ms=at_ms)
            for name, value, at_ms in self.sent
            if value is not None
        ]


@pytest.fixture(scope="module")
def fuzzed(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    engine = Fuzzed(kafka, tmp_path_factory.mktemp("fuzzed"))
    try:
        engine.fill()
        engine.start("trainer")
        yield engine
    finally:
        engine.close()


def test_every_record_is_learned_or_a_dead_letter_and_the_sums_add_up(fuzzed: Fuzzed) -> None:
    verdicts = fuzzed.verdicts()
    rejected = [verdict for verdict in verdicts if isinstance(verdict, Rejected)]
    actions = [verdict for verdict in verdicts if isinstance(verdict, Interaction)]
    assert len(rejected) > FUZZ // 3
    wanted = len({event.event_id for event in actions if event.action in rules.LEARNED_ACTIONS})
    assert wanted > GOOD
    figures = fuzzed.wait_until_learned(wanted)

    def is_through() -> bool:
        figures.update(fuzzed.learned())
        return figures["rejected"] + figures["repeated"] >= len(rejected) + len(actions) - wanted

    fuzzed.wait(is_through, "every record taken")
    assert figures["rejected"] == len(rejected)
    assert figures["learned"] == wanted
    assert fuzzed.words().count("trainer: started") == 1
    assert "Traceback" not in fuzzed.words()


def test_each_dead_letter_has_its_bytes_its_reason_and_where_it_stood(fuzzed: Fuzzed) -> None:
    rejected = [verdict for verdict in fuzzed.verdicts() if isinstance(verdict, Rejected)]
    fuzzed.wait(lambda: len(fuzzed.letters.all()) >= len(rejected), "every letter read")
    wanted = Counter(
        (one.reason[: rules.MAX_REASON_CHARS], one.stage, one.payload[: rules.MAX_RECORD_BYTES]) for one in rejected
    )
    found: Counter[tuple[str, str, bytes]] = Counter()
    places = set()
    for message in fuzzed.letters.messages:
        headers: dict[str, bytes] = dict(message.headers() or [])  # type: ignore[arg-type]
        found[headers["reason"].decode(), headers["stage"].decode(), message.value() or b""] += 1
        places.add((headers["origin-topic"], headers["origin-partition"], headers["origin-offset"]))
    assert found == wanted
    assert len(places) == len(rejected)
    names = {fuzzed.name(spec).encode() for spec in SPECS.values()}
    assert {topic for topic, _, _ in places} <= names


def test_the_trainer_ends_in_peace(fuzzed: Fuzzed) -> None:
    assert fuzzed.stop() == 0
