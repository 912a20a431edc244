"""The whole main path on a real Kafka: trainer and recommender as two supervised processes, events in, slates out.

One engine serves all tests of this file, in their order: what comes first is asked of a healthy engine, then its parts
are killed one by one, and at last it is ended and its recommender started alone.
"""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Message

from streams.contract import codec, ids, topics
from streams.contract.events import Interaction, Metric, Slate, SnapshotNotice
from streams.durability import snapshots
from streams.replay.convert import to_interactions, to_items
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from tests.conftest import Kafka
from tests.e2e.running import Running, decoded, is_alive
from tests.factories import make_interaction, make_item, make_request, make_user

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
REPLAYED = 3_000
DUPLICATES = 40


class World:
    """The engine, and what was produced so far."""

    def __init__(self, engine: Running) -> None:
        self.engine = engine
        log = read_log(PACKAGED_DIR / "movietweetings").head(REPLAYED)
        self.events = list(to_interactions(log))
        named = {event.item_id for event in self.events}
        self.items = [item for item in to_items(log.catalogue) if item.item_id in named]
        self.start_ms, self.now_ms = int(log.time_ms[0]), int(log.time_ms[-1])
        self.produced = self.repeated = self.rejected = 0
        self.user_id = max(
            {event.user_id for event in self.events},
            key=lambda user: sum(event.user_id == user for event in self.events),
        )

    def tick(self) -> int:
        """A second of event time passes."""
        self.now_ms += 1_000
        return self.now_ms

    def event(self, user_id: str, item_id: str, **changes: Any) -> Interaction:
        """An interaction of now."""
        at_ms = self.tick()
        values = {"event_id": f"{user_id}-{item_id}-{at_ms}", "occurred_at_ms": at_ms} | changes
        return make_interaction(user_id=user_id, item_id=item_id, **values)

    def act(self, *events: Interaction) -> list[tuple[int, int]]:
        """Produces interactions that will be learned."""
        self.produced += len(events)
        return self.engine.act(*events)

    def settled(self) -> dict[str, float]:
        """Waits until all that was produced is learned; nothing is lost, doubled or taken for something else."""
        figures = self.engine.wait_until_learned(self.produced)
        assert figures["repeated"] == self.repeated
        return figures

    def all_told(self) -> None:
        """Waits until recommenders can know as much of the items as a snapshot: a flush tells a part of them."""
        self.settled()
        self.engine.wait(lambda: self.engine.learned().get("untold") == 0, "every changed item told")


@pytest.fixture(scope="module")
def world(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    engine = Running(kafka, tmp_path_factory.mktemp("engine"))
    try:
        made = World(engine)
        engine.list_items(made.items, at_ms=made.start_ms)
        made.act(*made.events)
        engine.start()
        made.settled()
        yield made
    finally:
        engine.close()


def item_ids(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


def has_taken(slate: Slate, places: list[tuple[int, int]]) -> bool:
    """Whether the slate was made after these interactions had reached the recommender."""
    return all(slate.as_of.offsets.get(str(partition), 0) > offset for partition, offset in places)


# --- a healthy engine ----------------------------------------------------------------------------------------------


def test_all_of_a_log_over_four_partitions_is_learned_once_and_in_order_of_time(world: World) -> None:
    assert set(world.engine.ends(topics.INTERACTIONS)) == {0, 1, 2, 3}
    assert all(world.engine.ends(topics.INTERACTIONS).values())
    figures = world.settled()
    assert (figures["learned"], figures["repeated"], figures["rejected"]) == (REPLAYED, 0, 0)
    assert figures["items"] == len(world.items)
    assert figures["users"] == len({event.user_id for event in world.events})
    assert figures["skew_ms"] == 0  # all of it was there before the engine was


def test_every_event_was_judged_before_it_was_learned(world: World) -> None:
    metrics = [decoded(Metric, message) for message in world.engine.figures.all()]
    windows = [metric for metric in metrics if metric.series == "prequential"]
    assert windows
    last = windows[-1].values
    assert 0 < last["total_events"] < REPLAYED  # first-ever items and repeats are not ranked against others
    for ranker in ("model", "decayed_popularity", "transitions"):
        assert 0 <= last[f"total_{ranker}_ndcg_at_10"] <= last[f"total_{ranker}_hr_at_10"] <= 1
    assert last["total_model_hr_at_10"] > 0.02


def test_a_request_is_answered_by_what_was_learned(world: World) -> None:
    slate = world.engine.slate_that(
        lambda slate: slate.model.version == world.produced, "served by the newest model", world.user_id, k=10
    )
    had = {event.item_id for event in world.events if event.user_id == world.user_id}
    assert len(set(item_ids(slate))) == 10
    assert not set(item_ids(slate)) & had
    assert set(item_ids(slate)) <= {item.item_id for item in world.items}
    assert (slate.user_id, slate.k, slate.error) == (world.user_id, 10, None)
    assert slate.as_of.event_time_ms == world.now_ms
    ends = world.engine.ends(topics.INTERACTIONS)
    assert slate.as_of.offsets == {str(partition): end for partition, end in ends.items()}
    assert slate.model.step > 0
    assert slate.model.state_hash
    assert {item.source for item in slate.items} <= {"tower", "successor", "popular"}
    scores = [item.score for item in slate.items]
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_user_and_impossible_requests_are_answered(world: World) -> None:
    engine = world.engine
    stranger = engine.slate("nobody knows me", k=7)
    assert (len(stranger.items), stranger.error) == (7, None)
    nothing = engine.slate(world.user_id, k=0)
    assert (nothing.items, nothing.k) == ([], 0)
    assert "k must be" in str(nothing.error)
    too_many = engine.slate(world.user_id, k=10_000)
    assert (len(too_many.items), too_many.k) == (200, 200)
    assert "clamped" in str(too_many.error)
    odd = engine.slate(world.user_id, k=5, filters={"mood": "dark"})
    assert len(odd.items) == 5
    assert "'mood'" in str(odd.error)


def test_what_a_user_had_is_gone_from_the_next_slate_and_a_fresh_slate_is_pushed(world: World) -> None:
    engine = world.engine
    first = engine.slate(world.user_id, k=10).items[0].item_id
    event = world.event(world.user_id, first)
    places = world.act(event)
    wanted = ids.pushed_request_id(user_id=event.user_id, event_id=event.event_id)
    after = engine.slate_that(lambda slate: has_taken(slate, places), "the interaction taken", world.user_id, k=20)
    assert first not in item_ids(after)
    pushed: list[Slate] = []

    def is_pushed() -> bool:
        new = [decoded(Slate, message) for message in engine.slates.poll()]
        pushed.extend(slate for slate in new if slate.request_id == wanted)
        return bool(pushed)

    engine.wait(is_pushed, "a slate pushed")
    assert has_taken(pushed[0], places)
    assert (pushed[0].user_id, pushed[0].k, len(pushed[0].items)) == (world.user_id, 10, 10)
    assert first not in item_ids(pushed[0])
    world.settled()


def test_a_withdrawn_item_is_in_nobodys_slate(world: World) -> None:
    engine = world.engine
    best = engine.slate("stranger 1", k=5).items[0].item_id
    engine.send(topics.ITEMS, [(best, None, world.tick())])
    started_s = time.monotonic()
    engine.slate_that(lambda slate: best not in item_ids(slate), "the item withdrawn", "stranger 1", k=5)
    print(f"withdrawn item gone after {time.monotonic() - started_s:.3f} s, asking included")
    for n in range(5):
        assert best not in item_ids(engine.slate(f"stranger {n}", k=200))
    world.act(world.event("stranger 9", best))  # counted on; still not shown
    world.settled()
    assert best not in item_ids(engine.slate("stranger 2", k=200))


def test_a_new_item_can_be_shown_soon_after_its_record(world: World) -> None:
    engine = world.engine
    engine.slate("stranger 3", k=5, filters={"tags": "nothing has it"})
    item = make_item(item_id="brand new", title="Brand New (2013)", tags=["brand-new-tag"])
    started_s = time.monotonic()
    engine.list_items([item], at_ms=world.tick())
    wish: dict[str, Any] = {"k": 5, "filters": {"tags": "brand-new-tag"}}
    slate = engine.slate_that(lambda slate: bool(slate.items), "the new item shown", "stranger 3", **wish)
    print(f"new item servable after {time.monotonic() - started_s:.3f} s, asking included")
    assert item_ids(slate) == ["brand new"]
    assert (slate.items[0].source, slate.items[0].explored) == ("fresh", True)
    places = world.act(world.event("stranger 4", "brand new"))
    again = engine.slate_that(lambda slate: has_taken(slate, places), "the interaction taken", "stranger 4", **wish)
    assert again.items == []
    ranked = engine.slate_that(
        lambda slate: bool(slate.items) and not slate.items[0].explored, "the new item ranked", "stranger 3", **wish
    )
    assert item_ids(ranked) == ["brand new"]


def test_profiles_and_their_tombstones_hold(world: World) -> None:
    engine = world.engine
    had = sorted({event.item_id for event in world.events if event.user_id == world.user_id})
    grown_up = make_item(item_id="grown up", tags=["for-grown-ups"], maturity=18)
    engine.list_items([grown_up], at_ms=world.tick())
    wish: dict[str, Any] = {"k": 3, "filters": {"tags": "for-grown-ups"}}
    engine.slate_that(lambda slate: bool(slate.items), "the item listed", world.user_id, **wish)
    user = make_user(user_id=world.user_id, maturity=12)
    engine.send(topics.USERS, [(world.user_id, codec.encode(user), world.tick())])
    engine.slate_that(lambda slate: not slate.items, "the limit obeyed", world.user_id, **wish)
    assert not set(had) & set(item_ids(engine.slate(world.user_id, k=200)))
    engine.send(topics.USERS, [(world.user_id, None, world.tick())])
    erased = engine.slate_that(lambda slate: bool(slate.items), "the profile erased", world.user_id, **wish)
    assert item_ids(erased) == ["grown up"]
    assert item_ids(engine.slate(world.user_id, k=30)) == item_ids(engine.slate("nobody at all", k=30))


def test_what_breaks_the_contract_is_kept_with_its_origin_and_nothing_else_is_lost(world: World) -> None:
    engine = world.engine
    good = [world.event(f"survivor {n}", world.items[n].item_id) for n in range(40)]
    skewed = world.event("late", "item", occurred_at_ms=world.now_ms + 10**9)
    odd = [
        b"",
        b"\xff\xfe\x00",
        b'{"event_id": "e"',
        b"null",
        b"[" * 5_000,
        codec.encode(make_item()),
        b'{"event_id": 7}',
    ]
    bad: list[tuple[topics.TopicSpec, bytes]] = [(topics.INTERACTIONS, value) for value in [*odd, codec.encode(skewed)]]
    bad += [(topics.ITEMS, b"{}"), (topics.ITEMS, b"\x80"), (topics.USERS, b"[]"), (topics.REQUESTS, b'{"k": "many"}')]
    want = {}
    for at, (spec, value) in enumerate(bad):
        ((partition, offset),) = engine.send(spec, [(f"poison {at}", value, world.tick())])
        want[engine.name(spec), partition, offset] = value
        world.act(*good[3 * at : 3 * at + 3])
        engine.send(topics.INTERACTIONS, [(f"poison {at}", None, world.tick())])  # means nothing, is no letter
    world.act(*good[3 * len(bad) :])
    engine.send(topics.REQUESTS, [("nobody", None, world.tick())])
    figures = world.settled()

    def origin(message: Message) -> tuple[str, int, int]:
        headers: dict[str, bytes] = dict(message.headers() or [])  # type: ignore[arg-type]
        return (
            headers["origin-topic"].decode(),
            int(headers["origin-partition"]),
            int(headers["origin-offset"]),
        )

    engine.wait(lambda: len({origin(message) for message in engine.letters.all()}) >= len(want), "all letters there")
    letters = {origin(message): message for message in engine.letters.all()}
    assert {place: message.value() for place, message in letters.items()} == want
    for place, message in letters.items():
        headers = dict(message.headers() or [])
        assert set(headers) >= {"reason", "stage", "origin-timestamp-ms", "origin-key"}
        assert message.key() == f"{place[0]}/{place[1]}/{place[2]}".encode()
    assert figures["rejected"] == len(bad) - 1  # the recommender refused the request
    assert item_ids(engine.slate("survivor 0", k=3))


def test_repeats_are_counted_and_not_learned(world: World) -> None:
    again = world.events[-DUPLICATES:]
    world.engine.act(*again)
    world.repeated += DUPLICATES
    world.act(world.event("after the repeats", world.items[0].item_id))
    world.settled()


# --- parts that fail -----------------------------------------------------------------------------------------------


def test_a_killed_trainer_continues_from_its_snapshot_and_learns_everything_once(world: World) -> None:
    engine = world.engine
    notices = engine.tail(topics.MODEL_SNAPSHOTS.name)
    engine.wait(lambda: bool(notices.all()), "a snapshot announced")
    saved = decoded(SnapshotNotice, notices.all()[-1])
    assert saved.version > 0
    assert sum(at for name, at in saved.offsets.items() if "interactions" in name) > 0
    ordinary = [event for event in world.events if event.user_id != world.user_id]
    for turn in range(2):
        before = world.produced
        world.act(
            *(
                world.event(event.user_id, event.item_id, event_id=f"{turn}-{event.event_id}")
                for event in ordinary[:900]
            )
        )
        engine.wait(functools.partial(has_learned, engine, before + 100), "some learned")
        engine.kill("trainer")
        world.settled()
    assert engine.words().count(f"trainer: was ended by {signal.Signals.SIGKILL.name}") == 2
    world.act(world.event("after the kills", world.items[1].item_id))
    world.settled()


def has_learned(engine: Running, count: int) -> bool:
    return engine.learned().get("learned", 0) > count


def test_a_recommender_that_was_killed_gives_the_same_slate_again(world: World) -> None:
    engine = world.engine
    world.all_told()
    user = next(event.user_id for event in world.events if event.user_id != world.user_id)

    def is_newest(slate: Slate) -> bool:
        return slate.model.version == world.produced

    before = engine.slate_that(is_newest, "served by the newest model", user, k=30)
    trainer = engine.pid("trainer")
    engine.kill("recommender")
    after = engine.slate(user, k=30)
    assert after.model == before.model
    assert after.as_of == before.as_of
    assert_alike(before, after)
    assert engine.pid("trainer") == trainer


def assert_alike(before: Slate, after: Slate) -> None:
    """The same ranking; the seconds between two slates may swap neighbours, as popularity fades with time."""
    scores = {item.item_id: item.score for item in after.items}
    for item in before.items[:20]:
        assert item.item_id in scores
        assert scores[item.item_id] == pytest.approx(item.score, abs=0.1)


def test_both_roles_survive_a_broker_that_goes_and_comes_back(world: World) -> None:
    engine = world.engine
    pids = engine.pid("trainer"), engine.pid("recommender")
    engine.kafka.kill()
    engine.kafka.start()
    places = world.act(*(world.event(f"patient {n}", item.item_id) for n, item in enumerate(world.items[:50])))
    world.settled()
    slate = engine.slate_that(lambda slate: has_taken(slate, places), "the interactions taken", "patient 0", k=10)
    assert len(slate.items) == 10
    assert world.items[0].item_id not in item_ids(slate)
    assert (engine.pid("trainer"), engine.pid("recommender")) == pids


def test_a_drained_engine_leaves_everything_in_its_snapshot_and_a_recommender_alone_answers_from_it(
    world: World,
) -> None:
    engine = world.engine
    world.act(world.event("the last", world.items[2].item_id))
    world.all_told()
    before = engine.slate_that(
        lambda slate: slate.model.version == world.produced, "served by the newest model", world.user_id, k=30
    )
    roles = engine.pid("trainer"), engine.pid("recommender")
    assert engine.stop() == 0
    assert "killed" not in engine.words().splitlines()[-2:]
    assert not any(map(is_alive, engine.seen_pids | set(roles)))

    found = snapshots.newest(engine.folder / "snapshots")
    assert found is not None
    for spec in (topics.INTERACTIONS, topics.ITEMS, topics.USERS):
        name, ends = engine.name(spec), engine.ends(spec)
        assert {p: found.offsets.get(f"{name}/{p}", 0) for p in ends} == ends

    asked = make_request(request_id="asked while nobody ran", user_id=world.user_id, k=30)
    engine.send(topics.REQUESTS, [(world.user_id, codec.encode(asked), world.now_ms)])
    engine.start("recommender")
    after = engine.slate(world.user_id, k=30)
    assert after.model == before.model
    assert after.as_of == before.as_of
    assert_alike(before, after)

    def is_answered() -> bool:
        found = (decoded(Slate, message) for message in engine.slates.all())
        return any(slate.request_id == "asked while nobody ran" for slate in found)

    engine.wait(is_answered, "the request that waited is answered")
    alone = engine.pid("recommender")
    assert engine.stop() == 0
    assert not is_alive(alone)
