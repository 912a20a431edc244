"""The docs name what the code has: a page that has fallen behind fails here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]

from streams.contract import codec, events, rules, topics
from tests.contract_tables import NESTED, FieldRow, rows
from tests.factories import NOW_MS

DOCS = Path(__file__).parents[1] / "docs"
EVENTS = (DOCS / "events.md").read_text(encoding="utf-8")
CARRIED = {spec.name: spec.event_type for spec in topics.TOPICS if spec.event_type is not None}


def section(title: str) -> str:
    """The text under a heading, down to the next heading of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^##? |^\1 |\Z)", EVENTS, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/events.md has no section {title!r}"
    return match[2]


def table(text: str) -> list[list[str]]:
    """Cells of the body rows of all tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if not line.startswith(("|---", "| ---"))
    ]


def assert_documents(text: str, expected: list[FieldRow]) -> None:
    """The first table lists exactly these fields, each with type, default, limits and a meaning."""
    documented = [row for row in table(text) if len(row) == 5][1:]
    assert [" | ".join(row[:4]) for row in documented] == [row.markdown().strip("| ") for row in expected]
    assert all(len(row[4]) > 5 for row in documented), "a field has no meaning"


@pytest.mark.parametrize("topic", CARRIED)
def test_each_field_of_each_topic_is_documented(topic: str) -> None:
    assert_documents(section(topic), rows(CARRIED[topic]))


@pytest.mark.parametrize("part", NESTED, ids=lambda part: part.__name__)
def test_each_field_of_each_part_is_documented(part: type[events.Record]) -> None:
    assert_documents(section(part.__name__), rows(part))


def test_every_record_of_the_contract_is_on_a_topic_or_part_of_one() -> None:
    assert set(CARRIED.values()) | set(NESTED) == set(events.Record.__subclasses__())


@pytest.mark.parametrize("topic", CARRIED)
def test_each_example_decodes_and_shows_the_required_fields(topic: str) -> None:
    examples = re.findall(r"```json\n(.*?)```", section(topic), re.DOTALL)
    assert examples
    for example in examples:
        event = codec.decode(CARRIED[topic], example.encode(), timestamp_ms=NOW_MS)
        assert isinstance(event, CARRIED[topic]), event
        assert set(json.loads(example)) <= {row.name for row in rows(CARRIED[topic])}


def test_the_table_of_topics_is_the_code_s() -> None:
    documented = [row[:4] + row[5:] for row in table(section("Topics"))[1:]]
    assert documented == [
        [
            f"`{spec.name}`",
            f"`{spec.key}`" if spec.key else "none",
            str(spec.partitions),
            spec.cleanup,
            spec.tombstone or "nothing: it is skipped",
        ]
        for spec in topics.TOPICS
    ]


def test_the_table_of_actions_is_the_code_s() -> None:
    for name, _, learned, again in table(section("Actions"))[1:]:
        word = name.strip("`")
        assert (word in rules.LEARNED_ACTIONS) == (learned == "yes"), word
        shown = "never" if word in rules.HIDING_ACTIONS else "yes" if word in rules.REWATCHABLE_ACTIONS else "no"
        assert again == shown, word
    assert {row[0].strip("`") for row in table(section("Actions"))[1:]} == rules.ACTION_WORDS


def test_the_filters_are_the_code_s() -> None:
    assert {row[0].strip("`") for row in table(section("Filters"))[1:]} == rules.KNOWN_FILTERS


def test_the_stages_of_dead_letters_are_the_code_s() -> None:
    stages = {value for name, value in vars(codec).items() if name.startswith("STAGE_")}
    documented = {row[0].strip("`") for row in table(section("dead-letters.v1")) if len(row) == 2}
    assert stages <= documented


@pytest.mark.parametrize(
    ("limit", "where"),
    [
        (rules.MAX_RECORD_BYTES, "Records"),
        (rules.MAX_NESTING, "Records"),
        (rules.MAX_SAFE_INT, "Records"),
        (rules.MAX_VALUE_CHARS, "Records"),
        (rules.MAX_RECORD_BYTES, "dead-letters.v1"),
        (rules.MAX_REASON_CHARS, "dead-letters.v1"),
        (rules.MAX_CLOCK_SKEW_MS, "dead-letters.v1"),
        (rules.MAX_CLOCK_SKEW_MS, "interactions.v1"),
    ],
)
def test_limits_in_prose_are_the_code_s(limit: int, where: str) -> None:
    assert re.search(rf"\b{limit}\b", section(where)), f"{limit} is not in section {where!r}"


def test_the_partition_numbers_are_kafka_s() -> None:
    vectors = [row for row in table(section("Records")) if len(row) == 3][1:]
    assert len(vectors) == 4
    for key, of_4, of_12 in vectors:
        hashed = murmur2(key.strip("`").encode()) & 0x7FFFFFFF
        assert (int(of_4), int(of_12)) == (hashed % 4, hashed % 12), key


def test_links_inside_the_page_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", EVENTS, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", EVENTS)) <= anchors


def test_the_glossary_is_sorted_and_says_each_word_once() -> None:
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    words = [row[0].replace("`", "").lower() for row in table(text)[1:]]
    assert words == sorted(set(words))
