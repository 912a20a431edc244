"""How scores become ranks and lists: one tie rule, for the model and for every baseline."""

import numpy as np

from models.compiled import kernel


@kernel()
def rank_of(score, allowed, target):  # type: ignore[no-untyped-def]
    """1 + items scored higher + half of the ties (rounded down); a target scored NaN is behind all others.

    Args:
      score: float32 [N]. allowed: which items are ranked, bool [N]. target: row of the true item.
    """
    higher, ties = 0, 0
    mine = score[target]
    for j in range(len(score)):
        if allowed[j] and j != target:
            if score[j] == mine:
                ties += 1
            elif not score[j] < mine:
                higher += 1
    return np.float32(1 + higher + ties // 2)


@kernel()
def top_of(score, allowed, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, int32 [K], with the rows of the K highest scores, best first; equal scores in row order.

    -1 fills the places that no allowed item takes; an item scored NaN takes none.
    """
    most = len(out)
    kept = 0
    best = np.empty(most, np.float32)
    for j in range(len(score)):
        value = score[j]
        if not allowed[j] or value != value or (kept == most and not value > best[most - 1]):
            continue
        at = kept if kept < most else most - 1
        while at > 0 and value > best[at - 1]:
            best[at] = best[at - 1]
            out[at] = out[at - 1]
            at -= 1
        best[at] = value
        out[at] = j
        kept = min(kept + 1, most)
    for k in range(kept, most):
        out[k] = -1
