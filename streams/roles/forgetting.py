"""Forgets users: what the engine has learned becomes what it would have learned had it never seen them.

A tombstone ends serving them. Then the state is built again without a record of theirs, from before the first one, and
kept as a snapshot beside the trainer's; last, ``erasures.v1`` says so, and whoever makes a state from then on makes it
without them. A trainer that runs sees that record and starts again from the new snapshot. What is left half done by a
crash changes nothing: the same command does it again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from models.recommend.state import to_arrays
from streams.connect import connection_of
from streams.contract import codec, topics
from streams.contract.codec import Decode
from streams.contract.events import Erasure, Interaction, User
from streams.durability import snapshots
from streams.durability.erasure_log import read_erasures
from streams.durability.erasures import NONE, Erasures, digest_of
from streams.durability.ledger import learned_hash
from streams.durability.ledger_log import read_ledger
from streams.durability.manifest import entries_of
from streams.durability.snapshots import SnapshotRef
from streams.errors import ErasureError
from streams.mapping.decoders import decoders_of, user_fields
from streams.roles.decoding import decode_message
from streams.roles.letters import erase_letters
from streams.roles.moments import Moment
from streams.roles.proof import Proof, clean_hash
from streams.roles.rebuild import Rebuilt, rebuild_from
from streams.roles.restoring import PENDING, Restored, mark_of, meta_of, newest_without, reached_of, restored
from streams.settings import Settings
from streams.transport.merge import Source
from streams.transport.publish import Out, send_all
from streams.transport.refusals import require_answer
from streams.transport.whole import edges_of, read_whole

SLACK: Final = 1_000_000
"""Versions that the running trainer may give away between our look at the ledger and its restart, at most."""
CLOSE: Final = 50
"""Steps that a trainer may have left to learn when it starts from the new snapshot."""

Heard = Callable[[int], None]
Say = Callable[[str], None]


class Seen(NamedTuple):
    """Records of the users: their offsets, rising, by partition; and how many of them are interactions."""

    offsets: dict[Source, list[int]]
    interactions: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was done.

    Attributes:
      users: how many. interactions: of theirs that are left out from now on. letters: of theirs that were removed.
      from_step: of the snapshot that the state was rebuilt from; 0: from the log's beginning. step: of the new one.
      state_hash: of the new state. proof: None where none was asked for.
    """

    users: int
    interactions: int
    letters: int
    from_step: int
    step: int
    state_hash: str
    proof: Proof | None


def erase_from_serving(settings: Settings, user_ids: Collection[str]) -> int:
    """A tombstone for each on ``users.v1``, acknowledged; gives its time, UTC epoch ms.

    Raises:
      BrokerError: it was not.
    """
    connection = connection_of(settings)
    require_answer(connection)
    at_ms = time.time_ns() // 1_000_000
    topic = settings.topic_names[topics.USERS.name]
    outs = [Out(topic=topic, key=user.encode(), value=None, timestamp_ms=at_ms) for user in sorted(set(user_ids))]
    asyncio.run(send_all(connection, outs))
    return at_ms


def forget(
    settings: Settings, user_ids: Collection[str], *, proves: bool, heard: Heard = lambda _: None,
    say: Say = lambda _: None,
) -> Forgotten:  # fmt: skip
    """Forget these users; see the module.

    Raises:
      ErasureError: the proof failed, or somebody else forgot users meanwhile; nothing was adopted.
      BrokerError, LedgerError, SnapshotError: as of `rebuild`.
    """
    connection = connection_of(settings)
    users = frozenset(user_ids)
    until_ms = erase_from_serving(settings, users)
    say("serving forgets at once; reading the log for what is theirs")
    names = settings.topic_names
    earlier = read_erasures(connection, names[topics.ERASURES.name])
    inputs = [names[topics.INTERACTIONS.name], names[topics.USERS.name]]
    edges = edges_of(connection, inputs)
    _refuse_expired(edges, inputs[0])
    ends = {f"{topic}/{partition}": end for (topic, partition), (_, end) in sorted(edges.items())}
    newest_without(settings.snapshot_dir, earlier)  # refuses where the topic was lost
    stays = lambda ref: mark_of(ref).lead <= earlier.lead  # noqa: E731 - what a command left that was ended
    snapshots.remove(settings.snapshot_dir, stays, is_broken_kept=True)
    draft = _drafts(users, until_ms=until_ms, ends=ends, lead=0)
    seen = records_of(settings, users, without=earlier, within=earlier.plus(draft))
    erasures = _drafts(users, until_ms=until_ms, ends=ends, lead=earlier.lead + seen.interactions + SLACK)
    later = earlier.plus(erasures)
    say(f"{seen.interactions:,} interactions of theirs; learning the log without them")
    base = _base(settings, earlier, seen)
    built = _rebuilt(settings, base, later, heard)
    found = learned_hash(entries_of(to_arrays(built.learner.state)))
    proof = None
    if proves:
        say(f"state {found} after step {built.step}; proving it on a copy of the log that never held them")
        gone = records_of(settings, None, without=NONE, within=later).offsets  # theirs, and those forgotten before
        proof = clean_hash(settings, _restored(settings, base), gone, later, built.step, heard=heard)
        if proof.state_hash != found:
            raise ErasureError(
                f"expected state {proof.state_hash} after step {built.step}, as a log without the users gives, got "
                f"{found}; nothing was adopted: report this, and try on another machine"
            )
    _adopt(settings, built, earlier, later, erasures, found)
    now = read_erasures(connection, names[topics.ERASURES.name])
    if now.mark != later.mark:
        raise ErasureError(
            "expected to be the only one who forgets users, got another erasure meanwhile; run the command again, so "
            "that the trainer finds a snapshot without all of them"
        )
    _take_back_states(settings, built)
    letters = asyncio.run(
        erase_letters(connection, users, prefix=settings.prefix, fields=user_fields(settings.mapping))
    )
    return Forgotten(
        users=len(users), interactions=seen.interactions, letters=letters, from_step=built.start, step=built.step,
        state_hash=found, proof=proof,
    )  # fmt: skip


def records_of(settings: Settings, users: Collection[str] | None, *, without: Erasures, within: Erasures) -> Seen:
    """What of theirs is in the log and is left out from now on, beyond what is left out ``without`` that.

    ``users``: None: of everybody.
    """
    connection = connection_of(settings)
    offsets: dict[Source, list[int]] = {}
    count = 0
    for spec in (topics.INTERACTIONS, topics.USERS):
        topic = settings.topic_names[spec.name]
        decode = decoders_of(settings.mapping)[Interaction if spec is topics.INTERACTIONS else User]
        for message in read_whole(connection, topic):
            user_id, is_interaction = _user_of(message, decode)
            if users is not None and user_id not in users:
                continue
            source, offset, at_ms = (topic, message.partition() or 0), message.offset() or 0, message.timestamp()[1]
            if without.leaves_out(user_id, source, offset=offset, timestamp_ms=at_ms):
                continue
            if within.leaves_out(user_id, source, offset=offset, timestamp_ms=at_ms):
                offsets.setdefault(source, []).append(offset)
                count += is_interaction
    return Seen({source: sorted(all_of) for source, all_of in offsets.items()}, count)


def _refuse_expired(edges: Mapping[Source, tuple[int, int]], topic: str) -> None:
    """What was learned of records that are gone cannot be looked for, and not be left out."""
    if gone := sorted(f"{name}/{at}" for (name, at), (first, _) in edges.items() if name == topic and first > 0):
        raise ErasureError(
            f"expected the whole of {topic}, got no beginning of {', '.join(gone)}: retention or somebody removed "
            "records that may have been theirs, and no state can be made without those. Serving has forgotten them; to "
            "forget what was learned, move the snapshots and ledger.v1 away and learn what is left of the log"
        )


def _user_of(message: Any, decode: Decode) -> tuple[str, bool]:
    """Whose record it is, by its key where nothing else can be read; and whether it is an interaction."""
    value, key = message.value(), message.key()
    if value is not None:
        event = decode_message(decode, message)
        if isinstance(event, Interaction | User):
            return event.user_id, isinstance(event, Interaction)
    return "" if key is None else bytes(key).decode("utf-8", "replace"), False


def _drafts(users: Collection[str], *, until_ms: int, ends: dict[str, int], lead: int) -> list[Erasure]:
    return [
        Erasure(user=digest, until_ms=until_ms, ends=ends, lead=lead, step=0, state_hash="")
        for digest in sorted(map(digest_of, users))
    ]


def _base(settings: Settings, earlier: Erasures, seen: Seen) -> SnapshotRef | None:
    """The newest whole snapshot of a state that never held them, under the erasures so far."""

    def fits(ref: SnapshotRef) -> bool:
        reached = reached_of(ref).offsets
        is_before = all(reached.get(source, 0) <= offsets[0] for source, offsets in seen.offsets.items())
        return is_before and mark_of(ref) == earlier.mark

    found = snapshots.load_newest(settings.snapshot_dir, fits=fits)
    return None if found is None else found[0]


def _restored(settings: Settings, base: SnapshotRef | None) -> Restored:
    return restored(settings, None if base is None else (base, snapshots.load(base)))


def _rebuilt(settings: Settings, base: SnapshotRef | None, later: Erasures, heard: Heard) -> Rebuilt:
    """The state without them, close to where the ledger ends: the trainer goes on writing there meanwhile."""
    first = _restored(settings, base)
    start, built = first.learner.state.step, None
    while True:
        last = _last_step(settings, first)
        step = free_step(
            last, taken=snapshots.versions(settings.snapshot_dir), every=settings.trainer.snapshot_every_steps
        )
        if built is not None and step - built.step <= CLOSE:
            return dataclasses.replace(built, start=start)
        built = rebuild_from(
            settings, first, Moment(step=max(step, first.learner.state.step)), erasures=later,
            accepts_other=settings.trainer.accept_ledger, compares=False, heard=heard,
        )  # fmt: skip
        first = first._replace(reached=built.reached, place=built.place)


def free_step(last: int, *, taken: Collection[int], every: int) -> int:
    """The newest step up to ``last`` of which no snapshot is there, nor will be; ``last`` itself if there is none."""
    for step in range(last, max(0, last - CLOSE), -1):
        if step > 0 and step not in taken and (every <= 0 or step % every):
            return step
    return last


def _last_step(settings: Settings, first: Restored) -> int:
    topic = settings.topic_names[topics.LEDGER.name]
    placed, _ = asyncio.run(read_ledger(connection_of(settings), topic, first.place.offset))
    steps = [one.record.step for one in placed if one.record.ranges]
    return max([first.learner.state.step, *steps])


def _take_back_states(settings: Settings, built: Rebuilt) -> None:
    """Tombstones for item states of items that the new state does not know: those that they alone had touched."""
    topic = settings.topic_names[topics.ITEM_STATES.name]
    connection, items = connection_of(settings), built.learner.state.items
    newest: dict[bytes, bool] = {}
    for message in read_whole(connection, topic):
        if (key := message.key()) is not None:
            newest[bytes(key)] = message.value() is not None
    gone = sorted(key for key, is_there in newest.items() if is_there and key.decode("utf-8", "replace") not in items)
    asyncio.run(send_all(connection, [Out(topic=topic, key=key, value=None) for key in gone]))


def _adopt(
    settings: Settings, built: Rebuilt, earlier: Erasures, later: Erasures, erasures: Sequence[Erasure], found: str
) -> None:
    """The snapshot first, then the word that it is the right one."""
    state = built.learner.state
    state.counts.changed[1 : state.items.used] = True  # recommenders hold what the old state told: all is told again
    offsets, meta = meta_of(
        built.reached, built.place, fingerprint=built.fingerprint,
        text_encoder=built.learner.config.towers.text_encoder, mark=later.mark, told={},
    )  # fmt: skip
    meta |= {PENDING: earlier.mark.digest}
    if built.step:
        arrays = {name: np.asarray(array) for name, array in to_arrays(state).items()}
        snapshots.save(settings.snapshot_dir, built.step, arrays, offsets=offsets, meta=meta, is_beside=True)
    topic = settings.topic_names[topics.ERASURES.name]
    outs = []
    for draft in erasures:
        told = msgspec.structs.replace(draft, step=built.step, state_hash=found)
        outs.append(Out(topic=topic, key=draft.user.encode(), value=codec.encode(told)))
    asyncio.run(send_all(connection_of(settings), outs))
