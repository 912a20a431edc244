"""From a snapshot to a learner: for the trainer, and for whoever rebuilds a past state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from models.errors import StateError
from models.recommend.learning import Judging
from models.recommend.state import Arrays, ModelConfig, from_arrays
from streams.contract import rules
from streams.cores.learn import Learner
from streams.durability import snapshots
from streams.durability.erasures import UNMARKED, Erasures, Mark
from streams.durability.ledger import START, Place
from streams.durability.snapshots import SnapshotRef
from streams.errors import ErasureError, SnapshotError
from streams.mapping.decoders import digest_of
from streams.roles.model_config import fingerprint_of, model_config_of
from streams.settings import Settings
from streams.text.choice import META, chosen_encoder, saved_encoder
from streams.text.installed import encoder_of, is_installed
from streams.transport.merge import Source

LEDGER: Final = "ledger"
"""Where a snapshot's meta says its place in the ledger."""
ERASURES: Final = "erasures"
"""Where it says the mark of the users that its state was learned without."""
PENDING: Final = "erased-after"
"""Where a snapshot of `marquee forget` says the digest of the mark that it follows: it counts once the log says so."""
TOLD: Final = "told"
"""Where a snapshot's meta says how far item states go that it has all of: "topic/partition" -> next offset."""


class Reached(NamedTuple):
    """How far the records go that a state has learned: next offset and clock, ms, of each partition."""

    offsets: dict[Source, int]
    clocks: dict[Source, int]


class Restored(NamedTuple):
    """A learner, and where it stands.

    Attributes:
      fingerprint: of the software and configuration that learns. place: in the ledger, behind the learner's step.
    """

    config: ModelConfig
    fingerprint: str
    learner: Learner
    reached: Reached
    place: Place


def restored(settings: Settings, found: tuple[SnapshotRef, Arrays] | None) -> Restored:
    """The learner of a snapshot, or one that has learned nothing.

    Raises:
      SnapshotError: the snapshot does not fit this version or configuration.
      SettingsError: the settings ask for another text encoder, or for one that is not there.
    """
    saved = None if found is None else saved_encoder(found[0].meta)
    text_encoder = chosen_encoder(settings.text_encoder, saved=saved, is_there=is_installed(settings))
    config = model_config_of(settings, text_encoder=text_encoder)
    encode = encoder_of(settings, config)
    may_return = rules.LEARNED_ACTIONS.intersection(settings.recommender.rewatchable_actions)
    judging = Judging(repeats=bool(may_return))  # what recommenders show again has to be learned
    fingerprint = fingerprint_of(config, repeats=judging.repeats, mapping=digest_of(settings.mapping))
    if found is None:
        learner = Learner(config, judging=judging, encode=encode)
        return Restored(config, fingerprint, learner, Reached({}, {}), START)
    ref, arrays = found
    try:
        first = from_arrays(arrays, config, owns=True)
    except StateError as error:
        raise SnapshotError(f"{ref.uri}: {error}") from error
    learner = Learner(config, first=first, judging=judging, encode=encode)
    return Restored(config, fingerprint, learner, reached_of(ref), Place(*ref.meta.get(LEDGER, START)))


def mark_of(ref: SnapshotRef) -> Mark:
    """Whom a snapshot's state was learned without."""
    return Mark(*ref.meta.get(ERASURES, UNMARKED))


def newest_without(
    root: snapshots.Root, erasures: Erasures, *, wants: Callable[[str], bool] = lambda _: True
) -> tuple[SnapshotRef, Arrays] | None:
    """The newest whole snapshot that was learned without everybody who was forgotten, and with everybody else.

    ``wants``: as of `snapshots.load_newest`.

    Raises:
      UnknownFormatError: as of `snapshots.load_newest`.
      ErasureError: all were learned under erasures that the log does not have.
    """
    ahead: list[SnapshotRef] = []

    def fits(ref: SnapshotRef) -> bool:
        is_pending = ref.meta.get(PENDING) == erasures.mark.digest  # `marquee forget` is at work, or was ended
        if mark_of(ref).lead > erasures.lead and not is_pending:
            ahead.append(ref)
        return mark_of(ref) == erasures.mark

    found = snapshots.load_newest(root, fits=fits, wants=wants)
    if found is None and ahead:
        raise ErasureError(
            f"expected erasures.v1 to name everybody whom {ahead[0].uri} was learned without, got fewer: the topic was "
            "made anew; restore it, since without it a replay learns them again"
        )
    return found


def meta_of(
    reached: Reached, place: Place, *, fingerprint: str, text_encoder: str, mark: Mark, told: Mapping[Source, int]
) -> tuple[dict[str, int], dict[str, Any]]:
    """A snapshot's offsets, and what it says beside its arrays: all that `restored` asks of it."""
    meta = {
        "clocks": _named(reached.clocks), "fingerprint": fingerprint, META: text_encoder, LEDGER: list(place),
        TOLD: _named(told),
    }  # fmt: skip
    offsets = _named(reached.offsets)
    return offsets, meta | ({ERASURES: list(mark)} if mark != UNMARKED else {})


def reached_of(ref: SnapshotRef) -> Reached:
    """How far a snapshot goes."""
    clocks = ref.meta.get("clocks", {})
    return Reached(
        {_source(name): offset for name, offset in ref.offsets.items()},
        {_source(name): clock for name, clock in clocks.items()},
    )


def told_of(ref: SnapshotRef) -> dict[Source, int]:
    """How far the item states go that a snapshot has all of; empty where it does not say."""
    return {_source(name): offset for name, offset in ref.meta.get(TOLD, {}).items()}


def _named(places: Mapping[Source, int]) -> dict[str, int]:
    return {f"{topic}/{partition}": at for (topic, partition), at in sorted(places.items())}


def _source(name: str) -> Source:
    topic, _, partition = name.rpartition("/")
    return topic, int(partition)
