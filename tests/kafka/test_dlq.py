"""`marquee dlq` on a real broker: letters are listed, shown and sent back once; one that fails again does not loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.cli import run
from streams.contract import codec, rules, topics
from streams.contract.dead_letters import REDRIVEN_LETTER, redrive_of
from streams.contract.events import Interaction, Item
from streams.roles.decoding import entries_of
from streams.transport import admin
from streams.transport.connection import Connection
from streams.transport.publish import Out, Publisher
from tests.conftest import Kafka
from tests.factories import NOW_MS, make_interaction, make_item

pytestmark = pytest.mark.slow
EARLY = codec.encode(make_interaction(event_id="early", occurred_at_ms=NOW_MS + rules.MAX_CLOCK_SKEW_MS + 1))


class Place:
    """An installation of its own, whose one reader refuses what a role would refuse."""

    def __init__(self, kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
        self.prefix, self.capsys = kafka.topic("dlq"), capsys
        self.connection = Connection(bootstrap=kafka.bootstrap)
        admin.create_topics(self.connection, topics.TOPICS, prefix=self.prefix, replication=1)
        self.read_to: dict[str, dict[int, int]] = {}

    def name(self, spec: topics.TopicSpec) -> str:
        return topics.topic_name(self.prefix, spec.name)

    def produce(self, spec: topics.TopicSpec, *records: tuple[bytes | None, bytes | None]) -> None:
        outs = [Out(topic=self.name(spec), key=key, value=value, timestamp_ms=NOW_MS) for key, value in records]
        asyncio.run(self._publish(outs))

    def let_the_role_read(self, spec: topics.TopicSpec, kind: Any) -> list[Any]:
        """What a role takes of the records that it has not seen; it writes letters for the others."""
        records = [one for one in self.records(spec) if one.offset >= self._seen(spec, one.partition)]
        for one in records:
            self.read_to[spec.name][one.partition] = one.offset + 1
        entries, letters, _ = entries_of(records, kind, dead_letters=self.name(topics.DEAD_LETTERS))
        asyncio.run(self._publish(letters))
        return [entry for entry in entries if entry is not None]

    def records(self, spec: topics.TopicSpec) -> list[ConsumerRecord]:
        return asyncio.run(self._records(spec))

    def dlq(self, *arguments: str) -> Any:
        """What a command answers a machine."""
        where = ("--broker", self.connection.bootstrap, "--prefix", self.prefix)
        assert run(["dlq", *arguments, *where, "--json"]) == 0
        captured = self.capsys.readouterr()
        assert captured.err == ""
        return json.loads(captured.out)

    def said(self, *arguments: str, code: int = 0) -> str:
        """What a command says to people."""
        assert run(["dlq", *arguments, "--broker", self.connection.bootstrap, "--prefix", self.prefix]) == code
        captured = self.capsys.readouterr()
        return captured.out + captured.err

    def _seen(self, spec: topics.TopicSpec, partition: int) -> int:
        return self.read_to.setdefault(spec.name, {}).get(partition, 0)

    async def _publish(self, outs: Sequence[Out]) -> None:
        async with Publisher(self.connection) as publisher:
            await publisher.perform(outs)
            await publisher.flush()

    async def _records(self, spec: topics.TopicSpec) -> list[ConsumerRecord]:
        consumer = AIOKafkaConsumer(**self.connection.for_aiokafka(), auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(self.name(spec), partition) for partition in range(spec.partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            found: list[ConsumerRecord] = []
            while sum([await consumer.position(place) for place in places]) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found
        finally:
            await consumer.stop()


@pytest.fixture
def place(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(kafka, capsys)


def verdicts(answer: Any) -> dict[str, str]:
    return {one["id"]: one["verdict"] for one in answer["letters"]}


def test_letters_are_listed_counted_filtered_and_shown(place: Place) -> None:
    assert place.dlq("ls") == {"count": 0, "by_reason": [], "letters": []}
    evil = b'{"\xff\x1b[31m'
    place.produce(topics.INTERACTIONS, (b"user-1", b"{"), (b"user-2", evil), (b"user-1", EARLY))
    place.produce(topics.ITEMS, (b"item-1", b'{"item_id":"item-1","title":7}'))
    place.let_the_role_read(topics.INTERACTIONS, Interaction)
    place.let_the_role_read(topics.ITEMS, Item)

    listed = place.dlq("ls")
    assert listed["count"] == 4
    assert sorted(one["stage"] for one in listed["letters"]) == ["rule", "schema", "syntax", "syntax"]
    assert {one["topic"] for one in listed["letters"]} == {place.name(topics.INTERACTIONS), place.name(topics.ITEMS)}
    (of_items,) = place.dlq("ls", "--where", "topic=items.v1", "--where", "stage=schema")["letters"]
    assert (of_items["key"], of_items["redrives"], of_items["size_bytes"]) == ("item-1", 0, 30)
    assert len(place.dlq("ls", "--limit", "1")["letters"]) == 1
    assert place.dlq("ls", "--since", "1h")["count"] == 0  # the tests' records are of 2023
    assert place.dlq("ls", "--since", "2023-11-14")["count"] == 4

    (hostile,) = [one for one in listed["letters"] if one["key"] == "user-2"]
    shown = place.dlq("show", hostile["id"])
    assert bytes.fromhex(shown["hex"]) == evil
    assert dict(shown["headers"])["origin-key"] == "user-2"
    assert shown["refusal"] == shown["reason"]
    for text in (place.said("ls"), place.said("show", hostile["id"])):
        assert "\x1b" not in text
        assert hostile["id"] in text
    assert "expected a letter 0/99 on" in place.said("show", "0/99", code=1)


def test_what_can_be_taken_now_goes_back_once(place: Place) -> None:
    place.produce(topics.INTERACTIONS, (b"user-1", EARLY), (b"user-1", codec.encode(make_interaction())))
    assert len(place.let_the_role_read(topics.INTERACTIONS, Interaction)) == 1
    before = len(place.records(topics.INTERACTIONS))

    dry = place.dlq("redrive", "--now")
    assert (dry["is_dry_run"], dry["ready"], dry["redriven"]) == (True, 1, 0)
    assert "1 letters would be redriven; --yes does it" in place.said("redrive", "--now")
    assert len(place.records(topics.INTERACTIONS)) == before
    assert place.dlq("redrive", "--now", "--yes")["redriven"] == 1

    (back,) = place.records(topics.INTERACTIONS)[before:]
    (letter,) = place.dlq("ls")["letters"]
    again = redrive_of(back.headers)
    assert again is not None
    assert (back.key, back.value, again.count) == (b"user-1", EARLY, 1)
    assert again.first == f"{letter['topic']}/{letter['partition']}/{letter['offset']}" == letter["first_origin"]
    assert dict(back.headers)[REDRIVEN_LETTER].decode() == letter["id"]
    (taken,) = place.let_the_role_read(topics.INTERACTIONS, Interaction)
    assert taken.event_id == "early"

    assert letter["is_redriven"]
    assert verdicts(place.dlq("redrive", "--now", "--yes")) == {letter["id"]: "redriven"}
    assert len(place.records(topics.INTERACTIONS)) == before + 1


def test_one_that_fails_again_is_a_new_letter_with_its_first_origin_and_does_not_loop(place: Place) -> None:
    place.produce(topics.INTERACTIONS, (b"user-1", b"{"))
    place.let_the_role_read(topics.INTERACTIONS, Interaction)
    (first,) = place.dlq("ls")["letters"]
    assert verdicts(place.dlq("redrive", "--yes")) == {first["id"]: "refused"}  # not even tried

    for round_ in (1, 2, 3):
        (newest,) = [one for one in place.dlq("ls")["letters"] if not one["is_redriven"]]
        assert place.dlq("redrive", newest["id"], "--again", "--yes")["redriven"] == 1
        assert place.let_the_role_read(topics.INTERACTIONS, Interaction) == []
        letters = place.dlq("ls")["letters"]
        assert [one["redrives"] for one in letters] == list(range(round_ + 1))
        assert {one["first_origin"] for one in letters} == {first["first_origin"]}

    before = len(place.records(topics.INTERACTIONS))
    answer = place.dlq("redrive", "--yes")
    assert (answer["redriven"], list(verdicts(answer).values())) == (0, ["redriven"] * 3 + ["tries"])
    assert len(place.records(topics.INTERACTIONS)) == before == 4
    assert "failed after as many redrives as --most allows" in place.said("redrive", "--where", "stage=syntax")


def test_a_letter_can_be_mended(place: Place, tmp_path: Path) -> None:
    place.produce(topics.ITEMS, (b"item-1", b'{"item_id":"item-1","title":7}'))
    place.let_the_role_read(topics.ITEMS, Item)
    (letter,) = place.dlq("ls")["letters"]
    mended = tmp_path / "letter.json"
    mended.write_bytes(codec.encode(make_item(title="Seven")))
    assert place.dlq("redrive", letter["id"], "--value", str(mended), "--yes")["redriven"] == 1
    (item,) = place.let_the_role_read(topics.ITEMS, Item)
    assert item.title == "Seven"


def test_newer_records_and_erased_users_keep_a_letter_back(place: Place) -> None:
    place.produce(topics.ITEMS, (b"item-1", b"{"), (b"item-1", codec.encode(make_item())))
    place.produce(topics.INTERACTIONS, (b"user-1", b"{"))
    place.produce(topics.USERS, (b"user-1", None))
    place.let_the_role_read(topics.ITEMS, Item)
    place.let_the_role_read(topics.INTERACTIONS, Interaction)
    assert sorted(verdicts(place.dlq("redrive", "--again", "--yes")).values()) == ["erased", "superseded"]


def test_many_letters_go_back_in_one_call(place: Place) -> None:
    events = [make_interaction(event_id=f"e{n}", occurred_at_ms=NOW_MS + 10**9) for n in range(200)]
    place.produce(topics.INTERACTIONS, *((f"u{n}".encode(), codec.encode(one)) for n, one in enumerate(events)))
    assert place.let_the_role_read(topics.INTERACTIONS, Interaction) == []
    assert place.dlq("redrive", "--now", "--where", "stage=rule", "--yes")["redriven"] == 200
    taken = place.let_the_role_read(topics.INTERACTIONS, Interaction)
    assert {one.event_id for one in taken} == {one.event_id for one in events}
    assert place.dlq("redrive", "--now")["ready"] == 0


def test_without_topics_it_says_what_to_do(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dlq", "ls", "--broker", kafka.bootstrap, "--prefix", kafka.topic("nothing")]) == 1
    assert "`marquee topics create` makes it" in capsys.readouterr().err
