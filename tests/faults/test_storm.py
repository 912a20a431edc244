"""Recommenders come and go while requests and interactions flow: everybody gets a slate, and nothing had comes back.

``STORM`` says in how many rounds: in each a recommender joins and leaves, in order or by a crash, and a member that
takes partitions and serves nobody passes by. `make faults` has twenty.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from streams.contract import access, codec, topics
from streams.contract.events import Slate
from tests.conftest import Kafka
from tests.e2e.running import WAIT_S, decoded
from tests.factories import make_request
from tests.faults.fed import Fed, command, environment, has_taken, learned_all

STORM = int(os.environ.get("STORM", "2"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 60 * STORM)]
PORTION = 400
LOG = 2_000 + 1_500 * STORM
AT_ONCE = 4
PAUSE_S = 0.1
ENDS = (signal.SIGTERM, signal.SIGKILL)
FROM_THE_START = (-1, -1)
"""Place of what was there before any recommender: all of them have it."""


class Stormy(Fed):
    """An engine, and what its users did and asked for meanwhile."""

    def __init__(self, *args: object, **changes: object) -> None:
        super().__init__(*args, **changes)  # type: ignore[arg-type]
        self.asked: dict[str, str] = {}
        """Request -> user."""
        self.had: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        """User -> item -> partition and offset of an acknowledged interaction."""
        self.is_over = threading.Event()
        self.failures: list[BaseException] = []
        self.admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap, "log_level": 0})

    def flow(self) -> None:
        """Interactions, and a request of each of their users, until it is over; keeps what went wrong."""
        try:
            self._flow()
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            self.failures.append(error)

    def _flow(self) -> None:
        while not self.is_over.is_set() and self.produced + AT_ONCE <= len(self.events):
            events = self.portion(AT_ONCE)
            for event in events:
                (place,) = self.act(event)
                self.had[event.user_id][event.item_id] = place
            self.request({event.user_id for event in events}, at_ms=events[-1].occurred_at_ms)
            time.sleep(PAUSE_S)

    def request(self, users: set[str], *, at_ms: int) -> None:
        """Asks for a slate for each of these users."""
        wanted = [make_request(request_id=self.kafka.topic("storm"), user_id=user, k=20) for user in sorted(users)]
        self.asked |= {request.request_id: request.user_id for request in wanted}
        self.send(topics.REQUESTS, [(one.user_id, codec.encode(one), at_ms) for one in wanted])

    def served(self) -> list[Slate]:
        """Every slate so far."""
        return [decoded(Slate, message) for message in self.slates.all()]

    @contextlib.contextmanager
    def another(self, end: signal.Signals) -> Iterator[None]:
        """A recommender more, until the body is over."""
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                command(self, "worker", "recommender"), cwd=self.folder, env=environment(self), stdin=subprocess.PIPE,
                stdout=log, stderr=log,
            ) as process,
        ):  # fmt: skip
            try:
                yield
                assert process.poll() is None, self.words()
                process.send_signal(end)
                process.wait(WAIT_S)
            finally:
                process.kill()

    def member(self) -> Consumer:
        """A member of the recommenders' group that reads nothing."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap, "group.id": access.group_name(self.prefix, "recommender"),
                "partition.assignment.strategy": "range", "enable.auto.commit": False, "session.timeout.ms": 6_000,
                "log_level": 0,
            }
        )  # fmt: skip
        consumer.subscribe([self.name(topics.INTERACTIONS), self.name(topics.REQUESTS)])
        return consumer

    def pass_by(self) -> None:
        """A member joins, is given partitions, and leaves."""
        consumer = self.member()
        try:
            self.wait(lambda: (consumer.poll(0.05), bool(consumer.assignment()))[1], "a member was given partitions")
        finally:
            consumer.close()

    def members(self) -> int:
        """How many members the recommenders' group has, all of them settled."""
        group = access.group_name(self.prefix, "recommender")
        (found,) = self.admin.describe_consumer_groups([group], request_timeout=30).values()
        told = found.result()
        return len(told.members) if told.state.name == "STABLE" else 0


@pytest.fixture(scope="module")
def storm(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stormy]:
    engine = Stormy(kafka, tmp_path_factory.mktemp("storm"), most=LOG)
    flow = threading.Thread(target=engine.flow)
    try:
        engine.list_items(engine.items, at_ms=engine.start_ms)
        engine.act(*(first := engine.portion(PORTION)))
        for event in first:
            engine.had[event.user_id][event.item_id] = FROM_THE_START
        engine.start()
        engine.wait_until_learned(engine.produced)
        engine.slate_that(lambda slate: len(slate.items) == 20, "a full slate", engine.events[0].user_id, k=20)
        trainer = engine.pid("trainer")
        flow.start()
        for _, end in zip(range(STORM), itertools.cycle(ENDS), strict=False):
            with engine.another(end):
                engine.pass_by()
                engine.wait(lambda: engine.members() >= 2, "two recommenders share the partitions")
                engine.pass_by()
        engine.is_over.set()
        flow.join()
        assert not engine.failures
        assert engine.pid("trainer") == trainer
        yield engine
    finally:
        engine.is_over.set()
        engine.close()


def test_every_request_is_answered_and_no_slate_lacks_its_items(storm: Stormy) -> None:
    def unanswered() -> set[str]:
        return storm.asked.keys() - {slate.request_id for slate in storm.served()}

    storm.wait(lambda: not unanswered(), "every request answered")
    answers = [slate for slate in storm.served() if slate.request_id in storm.asked]
    once = {slate.request_id: slate for slate in answers}
    print(f"{len(storm.asked)} requests, {len(answers)} slates, {storm.produced} interactions")
    for slate in once.values():
        items = [item.item_id for item in slate.items]
        assert len(set(items)) == len(items) == slate.k == 20
        assert (slate.user_id, slate.error) == (storm.asked[slate.request_id], None)


def test_no_slate_has_what_its_recommender_knew_to_be_had(storm: Stormy) -> None:
    """In the storm too: a slate says how far its recommender had read."""
    for slate in storm.served():
        places = storm.had[slate.user_id]
        known = {item for item, place in places.items() if place == FROM_THE_START or has_taken(slate, [place])}
        assert not known & {item.item_id for item in slate.items}, slate


def test_after_the_storm_everybody_s_own_interactions_are_in_the_next_slate(storm: Stormy) -> None:
    users = sorted(storm.had, key=lambda user: len(storm.had[user]))[-5:]
    for user in users:
        places = [place for place in storm.had[user].values() if place != FROM_THE_START]
        slate = storm.slate_that(functools.partial(has_taken, places=places), "own interactions taken", user, k=20)
        assert not storm.had[user].keys() & {item.item_id for item in slate.items}


def test_the_trainer_noticed_nothing(storm: Stormy) -> None:
    assert learned_all(storm, storm.end_in_peace())
    assert "worker ends" not in storm.words()
