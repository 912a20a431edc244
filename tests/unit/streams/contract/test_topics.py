"""The table of topics against the design's, and names that Kafka would refuse."""

from __future__ import annotations

import pytest

from streams.contract import topics
from streams.contract.errors import TopicNameError

DESIGNED = {
    "interactions.v1": ("user_id", "delete"),
    "items.v1": ("item_id", "compact"),
    "users.v1": ("user_id", "compact"),
    "requests.v1": ("user_id", "delete"),
    "slates.v1": ("user_id", "delete"),
    "content-tasks.v1": ("item_id", "delete"),
    "content-assets.v1": ("item_id", "compact"),
    "item-arms.v1": ("item_id", "compact"),
    "item-states.v1": ("item_id", "compact"),
    "model-weights.v1": ("tower", "compact"),
    "model-snapshots.v1": ("role", "compact"),
    "ledger.v1": (None, "delete"),
    "erasures.v1": ("user", "compact"),
    "metrics.v1": ("series", "delete"),
    "dead-letters.v1": ("origin", "delete"),
}


def test_the_table_is_the_design_s() -> None:
    assert {spec.name: (spec.key, spec.cleanup) for spec in topics.TOPICS} == DESIGNED


def test_user_keyed_topics_have_equally_many_partitions() -> None:
    user_keyed = [spec for spec in topics.TOPICS if spec.key == "user_id"]
    assert all(spec.user_keyed for spec in user_keyed)
    assert {spec.partitions for spec in user_keyed} == {4}
    assert not any(spec.user_keyed for spec in topics.TOPICS if spec.key != "user_id")


def test_the_ledger_has_one_order_and_nothing_expires_by_default() -> None:
    assert topics.LEDGER.partitions == 1
    assert {spec.retention_ms for spec in topics.TOPICS} == {-1}


def test_compacted_topics_have_keys() -> None:
    assert all(spec.key for spec in topics.TOPICS if spec.cleanup == "compact")


def test_an_item_withdrawn_and_a_user_erased_are_tombstones() -> None:
    assert {spec.name for spec in topics.TOPICS if spec.tombstone} == {
        "items.v1",
        "users.v1",
        "item-states.v1",
        "content-assets.v1",
        "dead-letters.v1",
    }


@pytest.mark.parametrize(
    ("prefix", "full"), [("", "items.v1"), ("prod", "prod.items.v1"), ("a.b-c_d", "a.b-c_d.items.v1")]
)
def test_a_prefix_stands_before_the_name_with_a_dot(prefix: str, full: str) -> None:
    assert topics.topic_name(prefix, "items.v1") == full


@pytest.mark.parametrize("prefix", ["a b", "ä", "a/b", "a\n", "x" * 241])
def test_a_name_that_kafka_refuses_is_refused_here(prefix: str) -> None:
    with pytest.raises(TopicNameError, match="choose another prefix"):
        topics.topic_name(prefix, "items.v1")


def test_a_name_is_not_empty() -> None:
    with pytest.raises(TopicNameError):
        topics.topic_name("prod", "")
