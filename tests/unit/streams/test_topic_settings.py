"""Topics of others in the settings: names, the table of topics, what is compared and what is never made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from streams.contract import access, topics
from streams.errors import SettingsError
from streams.roles.letters import Desk
from streams.roles.model_config import fingerprint_of, model_config_of
from streams.roles.moments import Moment
from streams.settings import Settings
from streams.transport.admin import TopicFound, compare
from tests.factories import NOW_MS

FILE = """
[topics]
interactions = "plays"

[mapping.interactions]
user = "u"
item = "i"
time = "t"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "marquee.toml"
    path.write_text(FILE)
    return Settings.from_env({"MARQUEE_PREFIX": "p", "MARQUEE_TOPICS_ITEMS": "films"}, path=path)


def test_names_are_those_of_others_where_they_are_named(settings: Settings) -> None:
    names = settings.topic_names
    assert (names["interactions.v1"], names["items.v1"], names["users.v1"]) == ("plays", "films", "p.users.v1")
    assert Moment.parse("plays/1:7", prefix="p", names=names).source == ("plays", 1)
    assert Moment.parse("interactions.v1/1:7", prefix="p", names=names).source == ("plays", 1)
    assert Moment.parse("p.users.v1/1:7", prefix="p", names=names).source == ("p.users.v1", 1)
    rights = access.rights_of("trainer", "p", settings.topics.specs())
    assert {one.name for one in rights if one.operation == "Read"} >= {"plays", "films", "p.users.v1"}


def found(partitions: int, **config: str) -> TopicFound:
    return TopicFound(
        partitions=partitions, config={"cleanup.policy": "delete", "message.timestamp.type": "CreateTime"} | config
    )


def test_a_topic_of_others_is_judged_mildly_and_ours_by_it(settings: Settings) -> None:
    specs = settings.topics.specs()
    there = {
        spec.named("p"): found(spec.partitions, **{"cleanup.policy": spec.cleanup, "retention.ms": "-1"})
        for spec in specs
    }
    there |= {"plays": found(3, **{"retention.ms": "604800000"}), "films": found(1, **{"retention.ms": "604800000"})}
    wrong = compare(specs, there, prefix="p")
    assert {(one.topic, one.what, one.is_fatal) for one in wrong} == {
        ("plays", "retention.ms", False), ("films", "retention.ms", False),
        *((f"p.{name}", "partitions", True) for name in ("users.v1", "requests.v1", "slates.v1")),
    }  # fmt: skip
    (missing,) = [one for one in compare(specs, {k: v for k, v in there.items() if k != "films"}, prefix="p")
                  if one.what == "existence"]  # fmt: skip
    assert "somebody else's" in str(missing)
    there["plays"] = found(4, **{"cleanup.policy": "compact"})
    assert ("plays", True) in {(one.topic, one.is_fatal) for one in compare(specs, there, prefix="p")}


def test_a_mapping_changes_the_fingerprint_and_no_mapping_leaves_it(settings: Settings) -> None:
    from streams.mapping.decoders import digest_of

    config = model_config_of(settings)
    plain = fingerprint_of(config, mapping=digest_of(Settings().mapping))
    assert plain == fingerprint_of(config)
    assert fingerprint_of(config, mapping=digest_of(settings.mapping)).startswith(f"{plain}; mapping ")
    assert digest_of(settings.mapping) == digest_of(dataclasses.replace(settings).mapping)


def test_letters_are_judged_by_the_mapping_and_go_back_to_where_they_came_from(settings: Settings) -> None:
    from streams.contract.dead_letters import Origin

    desk = Desk.of(settings.prefix, settings.topics, settings.mapping)
    assert set(desk.origins) == {"plays", "films", "p.users.v1", "p.requests.v1"}
    origin = Origin(topic="plays", partition=0, offset=0, timestamp_ms=NOW_MS, key=b"k")
    assert desk.judge()(origin, b'{"u": 1, "i": 2, "t": 5}') is None
    assert "at `$.t`" in str(desk.judge()(origin, b'{"u": 1, "i": 2, "t": "x"}'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[topics]\nplays = 'x'\n", "interactions"), ("[topics]\nitems = 'a b'\n", "full name"),
        ("[mapping.plays]\nuser = 'u'\n", "expected interactions, items"), ("mapping = 7\n", "must be a table"),
        ("[mapping.users]\nuser = 'u'\n", "no word of a mapping"), ("[mapping.items]\ntitle = 't'\n", "item"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_the_start(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "marquee.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        Settings.from_env({}, path=path)


def test_the_table_itself_never_changes() -> None:
    assert Settings().topics.specs() == topics.TOPICS
