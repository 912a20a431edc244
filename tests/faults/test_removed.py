"""Records removed under running roles: of the ledger, of requests. Interactions are in ``test_faults.py``."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streams.contract import codec, topics
from streams.contract.events import Slate
from streams.transport.reader import EXIT_HELPLESS
from tests.e2e.running import WAIT_S, decoded
from tests.factories import make_request
from tests.faults.conftest import PORTION
from tests.faults.fed import Fed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def remove(engine: Fed, spec: topics.TopicSpec) -> None:
    """Removes all records of a topic."""
    admin = AdminClient({"bootstrap.servers": engine.kafka.bootstrap, "log_level": 0})
    places = [TopicPartition(engine.name(spec), partition, end) for partition, end in engine.ends(spec).items()]
    for done in admin.delete_records(places).values():
        done.result(30)


def answered(engine: Fed, wanted: set[str]) -> bool:
    """Whether these requests have their slates."""
    return wanted <= {decoded(Slate, message).request_id for message in engine.slates.all()}


def asked(engine: Fed, stem: str) -> set[str]:
    """Requests of users in all partitions."""
    made = [make_request(request_id=f"{stem}-{n}", user_id=f"user {n}", k=5) for n in range(20)]
    engine.send(topics.REQUESTS, [(one.user_id, codec.encode(one), engine.start_ms) for one in made])
    return {one.request_id for one in made}


def test_requests_that_were_removed_stop_nobody(fed: Fed) -> None:
    said, pids = len(fed.words()), (fed.pid("trainer"), fed.pid("recommender"))
    remove(fed, topics.REQUESTS)
    later = asked(fed, "after")
    fed.wait(lambda: answered(fed, later), "later requests answered")
    assert (fed.pid("trainer"), fed.pid("recommender")) == pids
    assert "worker ends" not in "\n".join(fed.since(said))


def test_a_recommender_that_starts_behind_removed_requests_goes_on_with_the_next(fed: Fed) -> None:
    said = len(fed.words())
    assert fed.stop() == 0
    asked(fed, "nobody reads these")
    remove(fed, topics.REQUESTS)
    fed.start()
    later = asked(fed, "later")
    fed.wait(lambda: answered(fed, later), "later requests answered")
    words = "\n".join(fed.since(said))
    assert "retention removed" in words
    assert "worker ends" not in words


def test_a_ledger_emptied_under_a_running_trainer_stops_nothing_and_a_snapshot_goes_on_from_its_end(fed: Fed) -> None:
    said, trainer = len(fed.words()), fed.pid("trainer")
    fed.act(*fed.portion(PORTION))
    fed.wait_until_learned(fed.produced)
    remove(fed, topics.LEDGER)
    fed.act(*fed.portion(PORTION))
    fed.wait_until_learned(fed.produced)
    assert fed.pid("trainer") == trainer
    assert fed.stop() == 0  # in peace: its last snapshot stands behind what was removed
    fed.start("trainer")
    fed.act(*fed.portion(PORTION))
    fed.wait_until_learned(fed.produced)
    assert "worker ends" not in "\n".join(fed.since(said))
    assert fed.stop() == 0


def test_a_trainer_whose_ledger_was_emptied_since_its_snapshot_stops_with_a_word(fed: Fed) -> None:
    said = len(fed.words())
    remove(fed, topics.LEDGER)
    fed.start("trainer")
    assert fed.process is not None
    assert fed.process.wait(WAIT_S) == EXIT_HELPLESS
    fed.process = None
    words = "\n".join(fed.since(said))
    assert "worker ends, and needs a decision of yours" in words
    assert "Traceback" not in words
