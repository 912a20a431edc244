"""From windows to one training batch of fixed shape: candidates, their places, and the log-Q of each."""

import dataclasses

import numpy as np

from models.errors import ConfigError
from models.recommend.frequency import log_q
from models.recommend.pools import Histories
from models.recommend.sources import HALF_LIVES_EVENTS, Counts
from models.recommend.step import TrainingBatch
from models.recommend.windows import choose_training, empty_windows, training_windows
from models.typing import I32

_SLOW = len(HALF_LIVES_EVENTS) - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How much the towers learn at a step.

    Attributes:
      windows: windows of a tower step. replayed: share of them that is drawn from the stream's past.
      places: predictions learned of a step; new events first.
      candidates: items in the softmax; a catalogue that fits is used whole, a larger one is sampled.
      events_per_step: learned events for which the towers take one step.
    """

    windows: int = 16
    replayed: float = 0.5
    places: int = 256
    candidates: int = 1024
    events_per_step: int = 32

    def __post_init__(self) -> None:
        if not 0.0 <= self.replayed <= 1.0:
            raise ConfigError(f"replayed must be between 0 and 1, got {self.replayed}")
        for name in ("windows", "places", "candidates", "events_per_step"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be a whole number >= 1, got {getattr(self, name)}")


def draw(
    histories: Histories,
    counts: Counts,
    users: I32,
    pos: I32,
    recent_users: I32,
    *,
    items: int,
    window: int,
    config: TrainingConfig,
    generator: np.random.Generator,
) -> TrainingBatch | None:
    """One batch of windows: new events first, then replay; every shape depends on ``config`` alone.

    Args:
      users, pos: the new events, already in ``histories``. recent_users: see `choose_training`.
      items: item rows in use. window: L.

    Returns:
      None while there is nothing to learn from.
    """
    chosen, ends = choose_training(
        users, pos, recent_users, histories.length,
        count=config.windows, replayed=int(config.windows * config.replayed), generator=generator,
    )  # fmt: skip
    if not len(chosen):
        return None
    windows = empty_windows(config.windows, window)
    targets = np.zeros((config.windows, window), np.int32)
    training_windows(histories, chosen, ends, windows, targets)
    place, target = _places(targets, config.places, generator)

    needed = np.unique(np.concatenate([windows.item.ravel(), target]))
    rows, negatives = _candidates(needed[needed > 0], items, config.candidates, generator)
    fill = len(rows)
    padded = np.arange(fill, config.candidates, dtype=np.int32) + np.int32(2**30)
    seen, logq, usable = (np.zeros(config.candidates, np.float32) for _ in range(3))
    seen[:fill] = counts.seen[rows]
    usable[:fill] = 1.0
    if negatives is not None:
        drawn = int(np.count_nonzero(target)) + int(np.count_nonzero(windows.item))
        total = min(float(counts.clock[0]), HALF_LIVES_EVENTS[_SLOW] / np.log(2.0))
        idle = (counts.clock[0] - counts.last_event[rows]) / HALF_LIVES_EVENTS[_SLOW]
        logq[:fill] = log_q(
            (counts.decayed[_SLOW][rows] * np.exp2(-idle)).astype(np.float32),
            recent_total=total,
            drawn=drawn,
            negatives=negatives,
            items=items,
        )

    def column(of: I32) -> I32:
        at = np.searchsorted(rows, of)
        found = (at < fill) & (rows[np.minimum(at, fill - 1)] == of) & (of > 0)
        return np.where(found, at, -1).astype(np.int32)

    return TrainingBatch(
        rows=np.concatenate([rows, padded]).astype(np.int32),  # type: ignore[arg-type]
        seen=seen,  # type: ignore[arg-type]
        log_q=logq,  # type: ignore[arg-type]
        usable=usable > 0,  # type: ignore[arg-type]
        item=column(windows.item),  # type: ignore[arg-type]
        value=windows.value,  # type: ignore[arg-type]
        action=windows.action,  # type: ignore[arg-type]
        gap=windows.gap,  # type: ignore[arg-type]
        place=place,  # type: ignore[arg-type]
        target=column(target),  # type: ignore[arg-type]
    )


def _places(targets: I32, count: int, generator: np.random.Generator) -> tuple[I32, I32]:
    """Which places are learned: the newest of each window first, then others at random; padded with target 0."""
    flat = targets.ravel()
    known = np.nonzero(flat)[0]
    is_newest = known % targets.shape[1] == targets.shape[1] - 1
    order = np.concatenate([known[is_newest], generator.permutation(known[~is_newest])])[:count]
    place = np.zeros(count, np.int32)
    target = np.zeros(count, np.int32)
    place[: len(order)] = order
    target[: len(order)] = flat[order]
    return place, target


def _candidates(needed: I32, items: int, most: int, generator: np.random.Generator) -> tuple[I32, int | None]:
    """Ascending candidate rows, and how many of them are uniform negatives (None: the whole catalogue)."""
    if items - 1 <= most:
        return np.arange(1, items, dtype=np.int32), None
    needed = needed[:most]
    pool = np.unique(generator.integers(1, items, 2 * most).astype(np.int32))
    others = np.setdiff1d(pool, needed, assume_unique=True)
    negatives = generator.permutation(others)[: most - len(needed)]
    return np.sort(np.concatenate([needed, negatives])).astype(np.int32), len(negatives)
