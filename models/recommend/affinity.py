"""How an item compares with what a user had: tags, years, creators, and whether he takes hits or rarities.

Read for the candidates of the re-ranker only: a few hundred items, so the cost does not grow with the catalogue.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import kernel
from models.recommend.labels import TAG_CODES, TAGS
from models.typing import F32

AFFINITY_NAMES = (
    "tags of the last 100",
    "tags lately",
    "years of the last 30",
    "level of popularity of the last 20",
    "level of popularity lately of the last 20",
    "creator in the last 30",
    "creator lately",
    "mean value",
    "new since the last visit",
)
AFFINITIES = len(AFFINITY_NAMES)
TAGS_READ, YEARS_READ, LEVELS_READ = 100, 30, 20
"""Events of the history whose tags, years and creators, and levels of popularity are looked at."""
_PRIOR, _PRIOR_LATELY = np.float32(10.0), np.float32(3.0)
"""Pseudo-counts of tags as the stream has them, beside those of the user."""
_YEARS, _LEVELS = np.float32(3.0), np.float32(0.5)
"""Widths of the kernels over years, and over logarithms of counts."""


class TagScratch(NamedTuple):
    """Work arrays of one thread, float32 [TAG_CODES], zero between calls."""

    all: F32
    lately: F32


@kernel()
def tag_scratch():  # type: ignore[no-untyped-def]
    """Work arrays for `affinities`."""
    return TagScratch(np.zeros(TAG_CODES, np.float32), np.zeros(TAG_CODES, np.float32))


@kernel()
def affinities(counts, labels, level, hotness, history, times, pos, rows, count, scratch, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with how each candidate compares with the user's history.

    Args:
      labels: `ItemLabels`. level, hotness: log-counts of every row, see `features.LEVEL`, float32 [N].
      history, times: item rows and event times of the user, oldest first; the first ``pos`` count.
      rows: candidates, of which the first ``count`` are read.
      scratch: `TagScratch`.
      out: float32 [>= count, AFFINITIES].
    """
    tags = labels.tags
    total, total_lately, weight = np.float32(0.0), np.float32(0.0), np.float32(1.0)
    for lag in range(min(TAGS_READ, pos)):
        weight *= np.float32(0.9)
        for k in range(TAGS):
            code = tags[history[pos - 1 - lag], k]
            if code == 0:
                break
            scratch.all[code] += np.float32(1.0)
            scratch.lately[code] += weight
            total += np.float32(1.0)
            total_lately += weight
    events = counts.tag_events[0]
    to_all, to_lately = np.log(total + _PRIOR), np.log(total_lately + _PRIOR_LATELY)
    last_ms = times[pos - 1] if pos > 0 else np.int64(2**62)
    for x in range(count):
        row = rows[x]
        found, every, lately = 0, np.float32(0.0), np.float32(0.0)
        if total > 0:
            for k in range(TAGS):
                code = tags[row, k]
                if code == 0:
                    break
                share = np.float32((counts.tag_events[code] + 1e-3) / (events + 1e-3))
                every += np.log(scratch.all[code] / share + _PRIOR) - to_all
                lately += np.log(scratch.lately[code] / share + _PRIOR_LATELY) - to_lately
                found += 1
        out[x, 0] = every / np.float32(max(found, 1))
        out[x, 1] = lately / np.float32(max(found, 1))
        years, dated, creator, creator_lately = np.float32(0.0), 0, np.float32(0.0), np.float32(0.0)
        levels, hot, weight = np.float32(0.0), np.float32(0.0), np.float32(1.0)
        for lag in range(min(YEARS_READ, pos)):
            other = history[pos - 1 - lag]
            if labels.year[other] > 0 and labels.year[row] > 0:
                apart = np.float32(labels.year[other] - labels.year[row]) / _YEARS
                years += np.float32(1.0) / (np.float32(1.0) + apart * apart)
                dated += 1
            if lag < LEVELS_READ:
                apart = (level[other] - level[row]) / _LEVELS
                levels += np.float32(1.0) / (np.float32(1.0) + apart * apart)
                apart = (hotness[other] - hotness[row]) / _LEVELS
                hot += np.float32(1.0) / (np.float32(1.0) + apart * apart)
            if labels.creator[row] > 0 and labels.creator[other] == labels.creator[row]:
                creator += np.float32(1.0)
                creator_lately += weight
            weight *= np.float32(0.8)
        out[x, 2] = years / np.float32(max(dated, 1))
        out[x, 3] = levels / np.float32(max(min(LEVELS_READ, pos), 1))
        out[x, 4] = hot / np.float32(max(min(LEVELS_READ, pos), 1))
        out[x, 5] = np.log(np.float32(1.0) + np.float32(10.0) * creator / np.float32(max(min(YEARS_READ, pos), 1)))
        out[x, 6] = np.log(np.float32(1.0) + np.float32(5.0) * creator_lately)
        out[x, 7] = counts.value_sum[row] / (counts.value_count[row] + np.float32(3.0))
        out[x, 8] = np.float32(1.0) if counts.first_ms[row] > last_ms else np.float32(0.0)
    for lag in range(min(TAGS_READ, pos)):
        for k in range(TAGS):
            code = tags[history[pos - 1 - lag], k]
            scratch.all[code] = np.float32(0.0)
            scratch.lately[code] = np.float32(0.0)
