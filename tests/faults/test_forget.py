"""Users are forgotten while the engine runs: its state becomes that of a log which never held them."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from streams.contract import codec, topics
from streams.contract.events import Erasure, LedgerRecord
from streams.durability import snapshots
from streams.durability.erasure_log import read_erasures
from streams.durability.erasures import digest_of
from streams.replay.convert import to_interactions, to_items
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from streams.roles.restoring import mark_of
from streams.transport.whole import read_whole
from tests.conftest import Kafka
from tests.e2e.running import Running, decoded
from tests.faults.fed import command, environment, verified
from tests.faults.test_kills import run_here

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
EVENTS = 1_200


class Forgetting(Running):
    """An engine that has learned a log, and was then made to forget its two busiest users."""

    told: dict[str, Any]
    users: tuple[str, ...]
    theirs = 0

    def forget(self, *words: str) -> dict[str, Any]:
        """In a process of its own, which computes as the trainer's does."""
        done = subprocess.run(
            command(self, "forget", *words, "--json"), cwd=self.folder, env=environment(self), check=False,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def go_through(self) -> None:
        log = read_log(PACKAGED_DIR / "movietweetings").head(EVENTS)
        events = list(to_interactions(log))
        count = Counter(event.user_id for event in events)
        self.users = tuple(user for user, _ in count.most_common(2))
        self.theirs = sum(count[user] for user in self.users)
        named = {event.item_id for event in events if event.user_id not in self.users}  # the others are not listed
        self.left_items = named
        self.list_items([item for item in to_items(log.catalogue) if item.item_id in named], at_ms=int(log.time_ms[0]))
        early = next(event for event in events[100:] if event.user_id == self.users[0])
        self.act(*(event for event in events if event is not early))  # one comes late, ahead of all times
        self.send(topics.INTERACTIONS, [(early.user_id, codec.encode(early), int(log.time_ms[EVENTS - 1]) + 3_600_000)])
        broken = b'{"event_id": "x", "user_id": "%s", "item_id": 7}'
        at_ms = int(log.time_ms[EVENTS - 1])
        self.send(topics.INTERACTIONS, [(user, broken % user.encode(), at_ms) for user in ("nobody", *self.users)])
        self.start("trainer")
        self.wait_until_learned(EVENTS)
        self.wait(lambda: len(self.letters.all()) >= 3, "the letters")
        before = self.pid("trainer")
        self.told = self.forget(*self.users, "--prove")
        self.wait(lambda: self.pid("trainer") != before, "the trainer started again")
        self.newest = {}
        self.another = next(event for event in reversed(events) if event.user_id not in self.users)
        self.act(self.another)  # a repeat: the trainer says how far it is
        self.wait(lambda: self.learned().get("repeated") == 1, "the repeat seen")
        self.wait(lambda: self.learned().get("untold") == 0, "all items told again")
        self.learned_now = self.learned()["learned"]
        assert self.stop() == 0


@pytest.fixture(scope="module")
def forgotten(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forgetting]:
    engine = Forgetting(kafka, tmp_path_factory.mktemp("forgotten"))
    try:
        engine.go_through()
        yield engine
    finally:
        engine.close()


def test_a_log_that_never_held_them_gives_the_same_state(forgotten: Forgetting) -> None:
    told, proof = forgotten.told, forgotten.told["proof"]
    assert (told["users"], told["interactions"]) == (2, forgotten.theirs)
    assert proof["is_same"]
    assert proof["state_hash"] == told["state_hash"]
    assert proof["left_out"] == forgotten.theirs + 2 + 2  # what was refused, and the tombstones
    told_states = read_whole(forgotten.connection, forgotten.name(topics.ITEM_STATES))
    states = {message.key(): message.value() for message in told_states}
    known = {key for key, value in states.items() if value is not None}
    assert known <= {item.encode() for item in forgotten.left_items}


def test_the_trainer_goes_on_from_that_state_and_the_chain_of_hashes_is_whole(forgotten: Forgetting) -> None:
    assert forgotten.learned_now == EVENTS - forgotten.theirs
    assert "Traceback" not in forgotten.words()
    assert "users were forgotten; starting again" in forgotten.words()
    whole = verified(forgotten, "--from", "0")
    assert whole["ok"], whole
    assert (whole["from_step"], whole["learned"]) == (0, EVENTS - forgotten.theirs)


def test_no_snapshot_of_a_state_that_knew_them_is_left(forgotten: Forgetting) -> None:
    root = forgotten.folder / "snapshots"
    now = read_erasures(forgotten.connection, forgotten.name(topics.ERASURES)).mark
    found = [mark_of(snapshots.open_ref(root, version)) for version in snapshots.versions(root)]
    assert found
    assert set(found) == {now}
    newest = snapshots.load_newest(root)
    assert newest is not None
    assert not set(forgotten.users) & set(map(str, newest[1]["users/keys"].tolist()))


def test_their_names_are_on_no_topic_of_ours(forgotten: Forgetting) -> None:
    letters = list(read_whole(forgotten.connection, forgotten.name(topics.DEAD_LETTERS)))
    assert forgotten.told["letters"] == 2
    assert [message.value() for message in letters] == [b'{"event_id": "x", "user_id": "nobody", "item_id": 7}']
    erasures = [
        decoded(Erasure, message) for message in read_whole(forgotten.connection, forgotten.name(topics.ERASURES))
    ]
    assert {one.user for one in erasures} == set(map(digest_of, forgotten.users))
    for message in read_whole(forgotten.connection, forgotten.name(topics.LEDGER)):
        assert isinstance(decoded(LedgerRecord, message), LedgerRecord)


def test_topics_of_the_proof_are_gone(forgotten: Forgetting) -> None:
    assert not [name for name in forgotten.figures.consumer.list_topics(timeout=30).topics if ".proof-" in name]


def test_the_past_is_rebuilt_without_them(forgotten: Forgetting, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run_here(forgotten, capsys, "explain", forgotten.users[0], "tt0816692", "--json")
    assert status == 0, err
    assert json.loads(out)["without"] == []


def test_who_comes_back_is_learned_and_can_be_forgotten_again(forgotten: Forgetting) -> None:
    """The trainer is away meanwhile: the state without them waits for it."""
    again = forgotten.forget(forgotten.users[0], "nobody at all", "--prove")
    assert (again["users"], again["interactions"], again["proof"]["is_same"]) == (2, 0, True)
    forgotten.newest = {}
    forgotten.start("trainer")
    now_ms = time.time_ns() // 1_000_000
    back = forgotten.another, {"user_id": forgotten.users[0], "event_id": "back", "occurred_at_ms": now_ms}
    forgotten.act(msgspec.structs.replace(back[0], **back[1]))
    forgotten.wait(lambda: forgotten.learned().get("learned") == EVENTS - forgotten.theirs + 1, "learned what is new")
    assert forgotten.stop() == 0
    whole = verified(forgotten, "--from", "0")
    assert whole["ok"], whole
    assert whole["learned"] == EVENTS - forgotten.theirs + 1


def test_usage_is_checked(forgotten: Forgetting, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run_here(forgotten, capsys, "forget", "u", "--prove", "--serving-only")
    assert status == 2
    assert "expected one of --prove and --serving-only" in err
