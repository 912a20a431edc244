"""What speaks against a candidate, or for it beyond being chosen: inputs of the re-ranker.

What the user was shown and did not want, and how often others finished, liked or hid the item. All are 0 where a log
says nothing of the kind.
"""

import numpy as np

from models.compiled import kernel
from models.recommend.labels import TAGS
from models.recommend.showings import NOTHING, PASSED_OVER, RING, is_certain
from models.recommend.sources import OUTCOMES

FEEDBACK_NAMES = (
    "passed over by the user",
    "creator passed over",
    "tags passed over",
    "completed beside the mean",
    "liked beside the mean",
    "hidden beside the mean",
)
FEEDBACK = len(FEEDBACK_NAMES)
AT_PASSED = 0
AT_OUTCOMES = 3
_PRIOR_TAGS, _PRIOR_OUTCOMES = np.float32(3.0), np.float32(10.0)
"""Pseudo-counts: of tags as the stream has them, and of trials with the stream's mean outcome."""
_HALF_MS = 7 * 86_400_000.0
"""Half-life of what the user passed over."""
_REFUSED = np.float32(2.0)
"""What a skip, a hide or a dislike weighs beside a showing that was passed over."""


@kernel()
def feedback(passes, counts, labels, user, now_ms, rows, count, lessons, scratch, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with what is known against each candidate, and of its outcomes.

    Args:
      passes: `Passes`. labels: `ItemLabels`. user: row, 0 for none.
      rows: candidates, of which the first ``count`` are read. scratch: `TagScratch`, zero before and after.
      lessons: place from which on candidates are there for learning: what the user did to such an item itself is left
        out of what is said of it, since the heads learn just that.
      out: float32 [>= count, FEEDBACK].
    """
    ring, tags, known = passes.ring[user], labels.tags, 0
    item, weight = np.empty(RING, np.int32), np.empty(RING, np.float32)
    if ring > 0:
        for at in range(RING):
            if passes.status[ring, at] != NOTHING and is_certain(passes, ring, at, now_ms):
                age_ms = max(0, now_ms - passes.at_ms[ring, at])
                item[known] = passes.item[ring, at]
                weight[known] = np.float32(2.0 ** (-age_ms / _HALF_MS))
                if passes.status[ring, at] > PASSED_OVER:
                    weight[known] *= _REFUSED
                known += 1
    for x in range(count):
        for f in range(AT_OUTCOMES):
            out[x, f] = np.float32(0.0)
        for f in range(OUTCOMES):
            out[x, AT_OUTCOMES + f] = _beside_the_mean(counts, rows[x], f)
    if known == 0:
        return
    total = np.float32(0.0)
    for k in range(known):
        for t in range(TAGS):
            code = tags[item[k], t]
            if code == 0:
                break
            scratch.all[code] += weight[k]
            total += weight[k]
    events = counts.tag_events[0]
    for x in range(count):
        row = rows[x]
        own, creator = np.float32(0.0), np.float32(0.0)
        for k in range(known):
            if item[k] == row:
                own += weight[k]
            if labels.creator[row] > 0 and labels.creator[item[k]] == labels.creator[row]:
                creator += weight[k]
        left_out = own if x >= lessons else np.float32(0.0)
        out[x, AT_PASSED] = np.log(np.float32(1.0) + own - left_out)
        if labels.creator[row] > 0:
            out[x, 1] = np.log(np.float32(1.0) + creator - left_out)
        against, found = np.float32(0.0), 0
        for t in range(TAGS):
            found += tags[row, t] > 0
        rest = total - left_out * np.float32(found)
        if rest > np.float32(1e-6):
            base = np.log(rest + _PRIOR_TAGS)
            for t in range(found):
                code = tags[row, t]
                share = np.float32((counts.tag_events[code] + 1e-3) / (events + 1e-3))
                against += np.log(max(scratch.all[code] - left_out, np.float32(0.0)) / share + _PRIOR_TAGS) - base
        out[x, 2] = against / np.float32(max(found, 1))
    for k in range(known):
        for t in range(TAGS):
            scratch.all[tags[item[k], t]] = np.float32(0.0)


@kernel()
def _beside_the_mean(counts, row, outcome):  # type: ignore[no-untyped-def]
    """Logarithm of the item's smoothed rate of an outcome beside the stream's."""
    if counts.trials[2 + outcome] == 0:
        return np.float32(0.0)
    mean = np.float32(counts.trials[2 + outcome] / max(counts.trials[0], counts.trials[2 + outcome]))
    trials = counts.seen[row] + counts.passed[0, row] + _PRIOR_OUTCOMES
    return np.log((counts.outcomes[outcome, row] + _PRIOR_OUTCOMES * mean) / (trials * mean))
