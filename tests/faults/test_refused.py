"""The broker refuses what a role writes: the role says so in a line and tries again, the others go on, nothing is lost.

``REFUSALS`` says how often each topic is closed; `make faults` closes each five times.
"""

from __future__ import annotations

import re

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from streams.contract import codec, topics
from streams.contract.events import Slate
from tests.e2e.running import decoded
from tests.factories import make_request
from tests.faults.conftest import PORTION, REFUSALS
from tests.faults.fed import Fed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 240 * REFUSALS)]
CLOSED_BYTES, OPEN_BYTES = "100", "1048588"
"""The largest record that a topic takes: none of ours is so small; Kafka's default."""


def limit(engine: Fed, spec: topics.TopicSpec, largest: str) -> None:
    """Has the broker refuse larger records of a topic."""
    entry = ConfigEntry("max.message.bytes", largest, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, engine.name(spec), incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": engine.kafka.bootstrap, "log_level": 0})
    (done,) = admin.incremental_alter_configs([resource]).values()
    done.result(30)


def ended(engine: Fed, role: str, said: int) -> bool:
    """Whether the role has ended with status 70 since."""
    return f"{role}: met an error (exit status 70" in "\n".join(engine.since(said))


def one_line_said(engine: Fed, said: int, spec: topics.TopicSpec) -> bool:
    """Whether each end of a role was one line that names the topic, and no traceback."""
    words = "\n".join(engine.since(said))
    told = re.findall(rf"a record for topic {re.escape(engine.name(spec))} was not acknowledged", words)
    return "Traceback" not in words and len(told) == words.count("worker ends;") > 0


@pytest.mark.parametrize("time", range(REFUSALS))
def test_slates_that_are_refused_stop_no_learning_and_come_once_the_topic_is_open(fed: Fed, time: int) -> None:
    said, trainer = len(fed.words()), fed.pid("trainer")
    limit(fed, topics.SLATES, CLOSED_BYTES)
    try:
        asked = [make_request(request_id=f"closed-{time}-{n}", user_id=f"user {n}", k=10) for n in range(20)]
        fed.send(topics.REQUESTS, [(one.user_id, codec.encode(one), fed.start_ms) for one in asked])
        fed.wait(lambda: ended(fed, "recommender", said), "the recommender ended")
        fed.act(*fed.portion(PORTION))
        fed.wait_until_learned(fed.produced)
        assert fed.pid("trainer") == trainer
    finally:
        limit(fed, topics.SLATES, OPEN_BYTES)

    def unanswered() -> set[str]:
        return {one.request_id for one in asked} - {decoded(Slate, m).request_id for m in fed.slates.all()}

    fed.wait(lambda: not unanswered(), "the requests answered")
    assert one_line_said(fed, said, topics.SLATES)


@pytest.mark.parametrize("time", range(REFUSALS))
def test_metrics_that_are_refused_stop_no_slates_and_nothing_is_learned_twice(fed: Fed, time: int) -> None:
    said, recommender = len(fed.words()), fed.pid("recommender")
    limit(fed, topics.METRICS, CLOSED_BYTES)
    try:
        fed.act(*fed.portion(PORTION))
        fed.wait(lambda: ended(fed, "trainer", said), "the trainer ended")
        assert fed.slate(fed.events[0].user_id, k=10).items
        assert fed.pid("recommender") == recommender
    finally:
        limit(fed, topics.METRICS, OPEN_BYTES)
    fed.wait_until_learned(fed.produced)
    assert one_line_said(fed, said, topics.METRICS)
    figures = fed.learned()
    assert (figures["repeated"], figures["rejected"]) == (0, 0)
