"""Which of a user's candidates make the slate: less of the same, caps, room for the new, tags as the user's own.

Between the candidates, which are in order of their scores, and the slate, which takes the first (`slating.first_of`).
Scores are log-odds, so all that is weighed is weighed in nats: e to the difference of two scores is how many times
likelier the one is to be taken than the other.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.errors import ConfigError
from models.recommend.affinity import TAGS_READ
from models.recommend.candidates import Candidates
from models.recommend.combiner import dot
from models.recommend.labels import TAG_CODES, TAGS, ItemLabels
from models.typing import F32, I32, I64, Bools

SMOOTHED = np.float32(0.01)
"""Share of the user's own tags that a slate is taken to have anyway: keeps the divergence finite (Steck 2018)."""
SPARE_MOST = 64
"""Candidates beyond the slate's length that are looked at, at most."""
_DAY_MS = 86_400_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mix:
    """What a slate is made of, beside what scores best.

    The caps and the share of new items are rules, kept where the candidates allow it; diversity and calibration are
    wishes, granted above ``quality_floor``.

    Attributes:
      diversity: nats that an item exactly like one above it loses; one that is half as alike loses half. 0: none.
      quality_floor: an item may pass others only while its odds are at least this share of the best one's that is left.
      calibration: weight of how far the slate's tags are from those of the user's last 100 events, nats a place.
      creator_share, tag_share: most places of a slate that one creator, or one tag, may have, rounded up; 1: all.
      fresh_share: places that go to items first seen within the last ``fresh_days`` days, rounded down; so it is for
        any number of places from the top.
    """

    diversity: float = 0.5
    quality_floor: float = 0.7
    calibration: float = 0.0
    creator_share: float = 1.0
    tag_share: float = 1.0
    fresh_share: float = 0.0
    fresh_days: float = 30.0

    def __post_init__(self) -> None:
        for name, most in (
            ("diversity", math.inf), ("quality_floor", 1.0), ("calibration", math.inf), ("creator_share", 1.0),
            ("tag_share", 1.0), ("fresh_share", 1.0), ("fresh_days", math.inf),
        ):  # fmt: skip
            value = getattr(self, name)
            if not (0.0 <= value <= most and math.isfinite(value)):
                expected = "a finite number >= 0" if math.isinf(most) else "a number from 0 to 1"
                raise ConfigError(f"{name} must be {expected}, got {value}; Mix() has the defaults")

    @property
    def is_off(self) -> bool:
        """Whether slates are simply the best candidates."""
        return not (
            self.diversity or self.calibration or self.fresh_share or self.creator_share < 1 or self.tag_share < 1
        )

    @property
    def numbers(self) -> "_Numbers":
        """As the kernel reads it."""
        floor = math.log(self.quality_floor) if self.quality_floor > 0 else -math.inf
        return _Numbers(
            np.float32(self.diversity), np.float32(-floor), np.float32(self.calibration), self.creator_share,
            self.tag_share, self.fresh_share, round(self.fresh_days * _DAY_MS),
        )  # fmt: skip


DEFAULT = Mix()
OFF = Mix(diversity=0.0)
"""The best candidates, in their order."""


class _Numbers(NamedTuple):
    diversity: np.float32
    bound: np.float32
    calibration: np.float32
    creator_share: float
    tag_share: float
    fresh_share: float
    fresh_ms: int


class _Near(NamedTuple):
    """Of each of C candidates, as far as it has been looked at.

    Attributes:
      unit: its vector at length 1, float32 [C, D]. has_vector: whether it has one, bool [C].
      tags: how many it has, int32 [C].
      met: how many of those above it has been compared with; -1: not even measured, int32 [C].
      alike: likeness of the most alike of them, float32 [C].
    """

    unit: F32
    has_vector: Bools
    tags: I32
    met: I32
    alike: F32


class Looks(NamedTuple):
    """What items are like, by row (N).

    Attributes:
      vectors: the item tower's, of any length, float32 [N, D]; zero where there is none. labels: `ItemLabels`.
      first_ms: event time of the item's first event, int64.
    """

    vectors: F32
    labels: ItemLabels
    first_ms: I64


class Readers(NamedTuple):
    """For whom: B users and what they had.

    Attributes:
      history: item rows of all users, each user's oldest first, int32.
      start, length: where each user's stand in it, int64 [B] and int32 [B]. now_ms: event time, int64 [B].
    """

    history: I32
    start: I64
    length: I32
    now_ms: I64


def width_for(k: I32, mix: Mix) -> I32:
    """How many candidates there should be to choose ``k`` [B] from."""
    return k if mix.is_off else (k + np.minimum(k, SPARE_MOST)).astype(np.int32)


def mixed(candidates: Candidates, k: I32, looks: Looks, readers: Readers, mix: Mix) -> Candidates:
    """The ``k`` [B] candidates that make each user's slate, in its order.

    Greedy, place by place (maximal marginal relevance): of the candidates that the rules allow here, and whose score is
    within the floor of the best of them, the one with the highest score less ``diversity`` times its likeness to the
    most alike item above, plus ``calibration`` times what it does for the slate's tags. Where no candidate is new
    enough that rule yields, then the caps: as many come as there are. The first of equals comes first.

    Likeness is the mean of two cosines, of tower vectors (none below 0) and of tags; only one where either item lacks
    the other. A slate's expected hits are at least ``quality_floor`` of the best there are, if the scores are right
    and no rule interferes: the best that is left at a place is never below the candidate that scoring alone puts there.

    Returns:
      Scores fall: an item's is lowered to that of the one above it.

    References:
      Carbonell and Goldstein, The Use of MMR, SIGIR 1998. Steck, Calibrated Recommendations, RecSys 2018.
    """
    width = int(k.max(initial=0))
    out = Candidates(
        rows=np.zeros((len(k), width), np.int32),
        scores=np.full((len(k), width), -np.inf, np.float32),
        parts=np.zeros((len(k), width, candidates.parts.shape[2]), np.float32),
        filled=np.minimum(k, candidates.filled).astype(np.int32),
    )
    _mix_all(candidates, looks, readers, mix.numbers, k, out)
    return out


@kernel(nogil=True)
def _mix_all(candidates, looks, readers, numbers, k, out):  # type: ignore[no-untyped-def]
    width, dim = candidates.rows.shape[1], looks.vectors.shape[1]
    near = _Near(
        np.zeros((width, dim), np.float32), np.zeros(width, np.bool_), np.zeros(width, np.int32),
        np.zeros(width, np.int32), np.zeros(width, np.float32),
    )  # fmt: skip
    placed, is_placed = np.zeros(width, np.int32), np.zeros(width, np.bool_)
    taste, shown = np.zeros(TAG_CODES, np.float32), np.zeros(TAG_CODES, np.float32)
    counted = np.zeros(TAG_CODES, np.int32)
    tags, creator, first_ms = looks.labels.tags, looks.labels.creator, looks.first_ms
    for b in range(len(k)):
        rows, scores, count = candidates.rows[b], candidates.scores[b], candidates.filled[b]
        history = readers.history[readers.start[b] : readers.start[b] + readers.length[b]]
        near.alike[:] = np.float32(0.0)
        near.met[:] = -1
        is_placed[:] = False
        if numbers.calibration > 0:
            _read_taste(tags, history, taste)
        tag_most = max(1, int(np.ceil(numbers.tag_share * k[b] - 1e-6)))
        creator_most = max(1, int(np.ceil(numbers.creator_share * k[b] - 1e-6)))
        since_ms, fresh, tagged = readers.now_ms[b] - numbers.fresh_ms, 0, 0
        for place in range(out.filled[b]):
            wants_fresh = fresh < int(numbers.fresh_share * (place + 1) + 1e-6)
            best, worth, floor = -1, np.float32(0.0), np.float32(0.0)
            for strictness in range(2 if wants_fresh else 1, -1, -1):
                for at in range(count):
                    if is_placed[at] or (strictness == 2 and first_ms[rows[at]] < since_ms):
                        continue
                    if strictness > 0 and not (
                        (numbers.tag_share >= 1 or _has_room(tags[rows[at]], counted, tag_most))
                        and (
                            numbers.creator_share >= 1
                            or _creator_has_room(creator, rows, placed, place, at, creator_most)
                        )
                    ):
                        continue
                    if best < 0:
                        floor = scores[at] - numbers.bound
                    elif scores[at] < floor:
                        break
                    gain = np.float32(0.0)
                    if numbers.calibration > 0:
                        gain = numbers.calibration * _gain(tags[rows[at]], taste, shown, tagged)
                    value = scores[at] - numbers.diversity * near.alike[at] + gain
                    if numbers.diversity > 0 and (best < 0 or value > worth):  # likeness only grows: most need no look
                        least = worth if best >= 0 else np.float32(-np.inf)
                        value = _meet(looks, rows, placed, place, at, near, scores[at], numbers.diversity, gain, least)
                    if best < 0 or value > worth:
                        best, worth = at, value
                if best >= 0:
                    break
            placed[place], is_placed[best] = best, True
            fresh += first_ms[rows[best]] >= since_ms
            tagged += tags[rows[best], 0] != 0
            _count_tags(tags[rows[best]], counted, shown)
            out.rows[b, place], out.parts[b, place] = rows[best], candidates.parts[b, best]
            out.scores[b, place] = min(scores[best], out.scores[b, place - 1]) if place > 0 else scores[best]
        for place in range(out.filled[b]):
            for code in tags[rows[placed[place]]]:
                counted[code], shown[code] = 0, np.float32(0.0)
        if numbers.calibration > 0:
            for lag in range(min(TAGS_READ, len(history))):
                for code in tags[history[len(history) - 1 - lag]]:
                    taste[code] = np.float32(0.0)


@kernel()
def _tag_count(codes):  # type: ignore[no-untyped-def]
    count = 0
    while count < TAGS and codes[count] != 0:
        count += 1
    return count


@kernel()
def _has_room(codes, counted, most):  # type: ignore[no-untyped-def]
    room = True
    for x in range(_tag_count(codes)):
        room &= counted[codes[x]] < most
    return room


@kernel()
def _creator_has_room(creator, rows, placed, place, at, most):  # type: ignore[no-untyped-def]
    mine, count = creator[rows[at]], 0
    if mine == 0:
        return True
    for before in range(place):
        count += creator[rows[placed[before]]] == mine
    return count < most


@kernel()
def _count_tags(codes, counted, shown):  # type: ignore[no-untyped-def]
    count = _tag_count(codes)
    for x in range(count):
        counted[codes[x]] += 1
        shown[codes[x]] += np.float32(1.0) / np.float32(count)


@kernel()
def _meet(looks, rows, placed, place, at, near, score, diversity, gain, least):  # type: ignore[no-untyped-def]
    """Compare a candidate with those items above that are new to it, while it is worth more than ``least``.

    Returns:
      What it is worth.
    """
    unit, alike, tags = near.unit[at], near.alike[at], looks.labels.tags
    if near.met[at] < 0:
        unit[:] = looks.vectors[rows[at]]
        length = np.sqrt(dot(unit, unit))
        near.has_vector[at] = length > 0
        for d in range(len(unit) if length > 0 else 0):
            unit[d] /= length
        near.tags[at] = _tag_count(tags[rows[at]])
        near.met[at] = 0
    value = score - diversity * alike + gain
    met = near.met[at]
    while met < place and value > least:
        other = placed[met]
        by_tags = _tags_alike(tags[rows[at]], near.tags[at], tags[rows[other]], near.tags[other])
        if near.has_vector[at] and near.has_vector[other]:
            cosine = max(dot(unit, near.unit[other]), np.float32(0.0))
            alike = max(alike, cosine if by_tags < 0 else np.float32(0.5) * (cosine + by_tags))
        else:
            alike = max(alike, by_tags)
        value = score - diversity * alike + gain
        met += 1
    near.alike[at], near.met[at] = alike, met
    return value


@kernel()
def _tags_alike(mine, count, others, other_count):  # type: ignore[no-untyped-def]
    """Cosine of two sets of tags; -1 where one of them is empty."""
    shared = 0
    if count == 0 or other_count == 0:
        return np.float32(-1.0)
    for x in range(count):
        for y in range(other_count):
            shared += mine[x] == others[y]
    return np.float32(shared) / np.sqrt(np.float32(count * other_count))


@kernel()
def _read_taste(tags, history, taste):  # type: ignore[no-untyped-def]
    """Shares of the tags among the user's last events, each event's counted as one between them."""
    total, first = 0, max(0, len(history) - TAGS_READ)
    for at in range(first, len(history)):
        total += tags[history[at], 0] != 0
    for at in range(first, len(history)):
        codes = tags[history[at]]
        count = _tag_count(codes)
        for x in range(count):
            taste[codes[x]] += np.float32(1.0) / np.float32(count * total)


@kernel()
def _gain(codes, taste, shown, tagged):  # type: ignore[no-untyped-def]
    """By how much less the slate's tags diverge from the user's with this item in it, times the items with tags.

    Beside what comes with any item: only its own tags differ from one candidate to the other.
    """
    count, gain = _tag_count(codes), np.float32(0.0)
    share = (np.float32(1.0) - SMOOTHED) / np.float32(tagged + 1)
    for x in range(count):
        mine = taste[codes[x]]
        if mine > 0:
            before = share * shown[codes[x]] + SMOOTHED * mine
            gain += mine * np.log(np.float32(1.0) + share / (np.float32(count) * before))
    return gain * np.float32(tagged + 1)
