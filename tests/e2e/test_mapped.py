"""An engine on topics of a team's own shape: nothing is copied, and all that holds for our topics holds for those."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from streams.contract import topics
from streams.contract.dead_letters import origin_of
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import EventLog, read_log
from tests.conftest import Kafka
from tests.e2e.running import WAIT_S, Running
from tests.faults.fed import command, environment, told_by, verified

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EVENTS = 400
MAPPING = """
[topics]
interactions = "{plays}"
items = "{films}"

[mapping.interactions]
user = "viewer.number"                  # whole numbers
item = "film"
time = "at"
time_unit = "s"
value = "stars"
rules = [{{ action = "", when = {{ kind = "heartbeat" }} }}, {{ action = "rate" }}]

[mapping.items]
item = "film"
title = "names.0"
tags = "genres"
withdrawn = {{ gone = true }}
"""


class Mapped(Running):
    """An engine that reads plays and films of another shape; keys are sessions, not users."""

    def __init__(self, kafka: Kafka, folder: Any) -> None:
        super().__init__(kafka, folder)
        self.plays, self.films = kafka.topic("plays"), kafka.topic("films")
        with self.config.open("a") as file:
            file.write(MAPPING.format(plays=self.plays, films=self.films))
        client = AdminClient({"bootstrap.servers": kafka.bootstrap})
        keeps = {"retention.ms": "-1"}  # the log is of 2013
        made = client.create_topics([NewTopic(name, 4, 1, config=keeps) for name in (self.plays, self.films)])
        for future in made.values():
            future.result(WAIT_S)

    def put(self, topic: str, record: dict[str, Any], *, at_ms: int, key: str) -> None:
        self.producer.produce(topic, json.dumps(record).encode(), key.encode(), timestamp=at_ms)

    def play(self, log: EventLog) -> None:
        """The log in a shape of its own."""
        named = set(log.item_id.tolist())
        for row in (row for row in range(len(log.catalogue)) if log.catalogue.item_id[row] in named):
            item_id, title = log.catalogue.item_id[row], log.catalogue.title[row]
            film = {"film": item_id, "names": [title, "x"], "genres": list(log.catalogue.tags[row])}
            self.put(self.films, film, at_ms=int(log.time_ms[0]), key=item_id)
        for at, (user, item, time_ms) in enumerate(zip(log.user_id, log.item_id, log.time_ms, strict=True)):
            stars = float(log.value[at])
            record = {"viewer": {"number": int(user)}, "film": item, "at": int(time_ms) // 1000, "stars": stars}
            self.put(self.plays, record, at_ms=int(time_ms), key=f"session-{at % 7}")
        assert self.producer.flush(WAIT_S) == 0


@pytest.fixture(scope="module")
def mapped(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapped]:
    engine = Mapped(kafka, tmp_path_factory.mktemp("mapped"))
    try:
        log = read_log(PACKAGED_DIR / "movietweetings").head(EVENTS)
        engine.play(log)
        last_ms = int(log.time_ms[-1])
        engine.put(engine.plays, {"kind": "heartbeat", "viewer": None}, at_ms=last_ms, key="session-1")
        engine.put(engine.plays, {"viewer": {"number": 5}, "film": 7, "at": "soon"}, at_ms=last_ms, key="session-2")
        engine.producer.flush(WAIT_S)
        engine.start()
        engine.wait_until_learned(EVENTS)
        engine.wait(lambda: engine.learned().get("skipped") == 1, "the heartbeat left out")
        yield engine
    finally:
        engine.close()


def busiest() -> tuple[str, int]:
    log = read_log(PACKAGED_DIR / "movietweetings").head(EVENTS)
    ((user, count),) = Counter(log.user_id.tolist()).most_common(1)
    return user, count


def test_slates_come_out_and_know_the_catalogue_and_what_the_user_has_had(mapped: Mapped) -> None:
    user, _ = busiest()
    log = read_log(PACKAGED_DIR / "movietweetings").head(EVENTS)
    had = {item for one, item in zip(log.user_id, log.item_id, strict=True) if one == user}
    slate = mapped.slate_that(lambda one: len(one.items) == 10, "a whole slate", user, k=10)
    assert not {item.item_id for item in slate.items} & had
    ends = {str(partition): end for partition, end in mapped.figures.ends(mapped.plays).items()}
    assert dict(slate.as_of.offsets) == {partition: end for partition, end in ends.items() if end}


def test_what_cannot_be_mapped_is_a_dead_letter_that_names_the_field(mapped: Mapped) -> None:
    mapped.wait(lambda: len(mapped.letters.all()) >= 1, "the letter")
    (letter,) = mapped.letters.all()
    headers: Any = letter.headers()
    assert dict(headers)["reason"] == b'Expected epoch seconds, got "soon" - at `$.at`'
    origin = origin_of(headers)
    assert origin is not None
    assert origin.topic == mapped.plays
    told = told_by(mapped, "dlq", "show", "0/0")
    assert told["refusal"] == 'Expected epoch seconds, got "soon" - at `$.at`'


def test_a_film_is_withdrawn_by_its_own_field(mapped: Mapped) -> None:
    first = mapped.slate("nobody", k=5).items[0].item_id
    log = read_log(PACKAGED_DIR / "movietweetings").head(EVENTS)
    mapped.put(mapped.films, {"film": first, "gone": True}, at_ms=int(log.time_ms[-1]), key="any")
    mapped.producer.flush(WAIT_S)
    mapped.slate_that(
        lambda slate: first not in {item.item_id for item in slate.items}, "the film withdrawn", "nobody", k=20
    )


def test_the_past_is_rebuilt_explained_and_forgotten_as_with_our_own_topics(mapped: Mapped) -> None:
    user, count = busiest()
    assert mapped.stop() == 0
    whole = verified(mapped, "--from", "0")
    assert (whole["ok"], whole["learned"]) == (True, EVENTS)
    past = told_by(mapped, "recommend", user, "--as-of", f"{mapped.plays}/0:5")
    assert past["items"]
    done = subprocess.run(
        command(mapped, "forget", user, "--prove", "--json"), cwd=mapped.folder, env=environment(mapped),
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["interactions"] == count
    assert told["proof"]["is_same"]
    assert told["proof"]["left_out"] == count + 1  # and the tombstone


def test_another_mapping_is_another_configuration(mapped: Mapped) -> None:
    other = mapped.config.read_text().replace('value = "stars"\n', "")
    mapped.config.write_text(other)
    status, _, err = _verify(mapped)
    assert status != 0
    assert "mapping" in err


def _verify(mapped: Mapped) -> tuple[int, str, str]:
    done = subprocess.run(
        command(mapped, "verify", "--from", "0"), cwd=mapped.folder, env=environment(mapped), check=False,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_topics_are_checked_where_they_are(mapped: Mapped) -> None:
    told = told_by(mapped, "topics", "check")
    assert {row["topic"] for row in told["topics"]} >= {mapped.plays, mapped.films}
    assert all(not one["is_fatal"] for one in told["differences"])
    assert topics.topic_name(mapped.prefix, topics.INTERACTIONS.name) not in {row["topic"] for row in told["topics"]}
