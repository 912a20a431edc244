"""Topics made on a real broker are as the table has them; what differs is told."""

from __future__ import annotations

import pytest
from kafka.admin import KafkaAdminClient

from streams.contract.topics import INTERACTIONS, ITEMS, LEDGER, REQUESTS, TOPICS, topic_name
from streams.errors import BrokerError, BrokerUnavailableError
from streams.transport.admin import TopicFound, check_topics, compare, create_topics, wait_for_broker
from streams.transport.connection import Connection

NOWHERE = Connection(bootstrap="127.0.0.1:1")


def found(**wishes: object) -> TopicFound:
    partitions = wishes.pop("partitions", 4)
    config = {"cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "CreateTime"}
    changes = {key.replace("_", "."): str(value) for key, value in wishes.items()}
    return TopicFound(partitions=int(str(partitions)), config=config | changes)


@pytest.mark.slow
def test_the_table_is_made_once_and_then_as_expected(any_kafka):
    connection, prefix = Connection(bootstrap=any_kafka.bootstrap), any_kafka.topic("admin")
    missing = check_topics(connection, TOPICS, prefix=prefix)
    assert [(one.what, one.is_fatal) for one in missing] == [("existence", True)] * len(TOPICS)
    made = create_topics(connection, TOPICS, prefix=prefix, user_partitions=3)
    assert sorted(made) == sorted(topic_name(prefix, spec.name) for spec in TOPICS)
    assert check_topics(connection, TOPICS, prefix=prefix) == []
    assert create_topics(connection, TOPICS, prefix=prefix) == []
    assert check_topics(connection, TOPICS, prefix=prefix) == []  # the second call changed nothing


@pytest.mark.slow
def test_a_topic_of_someone_elses_making_is_told_and_left_alone(kafka):
    connection, prefix = Connection(bootstrap=kafka.bootstrap), kafka.topic("others")
    theirs = {
        topic_name(prefix, ITEMS.name): {"num_partitions": 2, "replication_factor": 1},
        topic_name(prefix, LEDGER.name): {"num_partitions": 2, "replication_factor": 1},
    }
    with KafkaAdminClient(bootstrap_servers=[kafka.bootstrap]) as admin:
        admin.create_topics(theirs)
    create_topics(connection, [INTERACTIONS, ITEMS, LEDGER], prefix=prefix)
    told = {
        (one.topic, one.what): one for one in check_topics(connection, [INTERACTIONS, ITEMS, LEDGER], prefix=prefix)
    }
    items, ledger = (topic_name(prefix, spec.name) for spec in (ITEMS, LEDGER))
    assert set(told) == {(items, "cleanup.policy"), (ledger, "partitions"), (ledger, "retention.ms")}
    assert told[items, "cleanup.policy"].is_fatal
    assert not told[ledger, "retention.ms"].is_fatal
    assert (
        str(told[ledger, "partitions"]) == f"{ledger}: partitions should be 1, is 2; its order is total: make it anew"
    )


def test_topics_of_one_user_must_have_equally_many_partitions():
    topics = {"interactions.v1": found(partitions=6), "requests.v1": found(partitions=4)}
    (told,) = compare([INTERACTIONS, REQUESTS], topics, prefix="")
    assert (told.topic, told.what, told.expected, told.found) == ("requests.v1", "partitions", "6", "4")
    assert compare([INTERACTIONS, REQUESTS], dict.fromkeys(topics, found(partitions=6)), prefix="") == []


def test_arrival_time_in_place_of_event_time_is_told():
    (told,) = compare([INTERACTIONS], {"interactions.v1": found(message_timestamp_type="LogAppendTime")}, prefix="")
    assert (told.what, told.is_fatal) == ("message.timestamp.type", False)


def test_compacting_events_away_is_fatal():
    (told,) = compare([INTERACTIONS], {"interactions.v1": found(cleanup_policy="compact,delete")}, prefix="")
    assert (told.what, told.is_fatal) == ("cleanup.policy", True)


@pytest.mark.slow
def test_a_refusal_names_the_topic(kafka):
    with pytest.raises(BrokerError, match="refused to create topics .*ledger.v1"):
        create_topics(Connection(bootstrap=kafka.bootstrap), [LEDGER], prefix=kafka.topic("copies"), replication=3)


@pytest.mark.slow
def test_waiting_for_a_broker_says_so_line_by_line_and_gives_up():
    lines: list[str] = []
    with pytest.raises(BrokerUnavailableError, match="no Kafka broker answers at 127.0.0.1:1"):
        wait_for_broker(NOWHERE, lines.append, timeout_s=0.9, sleep=lambda _: None)
    assert lines == ["no Kafka broker at 127.0.0.1:1; trying again in 0.5 s"]


@pytest.mark.slow
def test_waiting_ends_when_the_broker_is_there(kafka):
    lines: list[str] = []
    wait_for_broker(Connection(bootstrap=kafka.bootstrap), lines.append)
    assert lines == []
