"""Baselines that are counted, strictly event by event: each sees all events before it and none after.

Each kernel plays one `Passage` and fills the ranks of its judged events: float32 [P]; inf is an item that nobody has
had yet, 0 stays where an event was not judged or repeats an item. ``tops``, int32 [P, K], gets the first K items of
each ranked event; [0, K] asks for none. N items, ``repeats`` as in `candidates`.
"""

import numpy as np

from models.compiled import kernel
from models.evaluate.passage import FIRST_EVER, RANKED, candidates
from models.recommend.ranking import rank_of, top_of

NEIGHBOURS_READ = 100
"""Items of the user's history that the neighbours are looked up of, newest first."""


@kernel()
def judge(passage, p, score, allowed, ranks, tops):  # type: ignore[no-untyped-def]
    """Note rank and list of event ``p``."""
    ranks[p] = rank_of(score, allowed, passage.item[p])
    if len(tops) > 0:
        top_of(score, allowed, tops[p])


@kernel()
def popularity(passage, n, repeats, ranks, tops):  # type: ignore[no-untyped-def]
    """Rank by the number of events so far."""
    seen, allowed = np.zeros(n, np.float32), np.empty(n, np.bool_)
    for p in range(len(passage.user)):
        if passage.judged[p]:
            kind = candidates(passage, p, seen, repeats, allowed)
            if kind == FIRST_EVER:
                ranks[p] = np.inf
            elif kind == RANKED:
                judge(passage, p, seen, allowed, ranks, tops)
        if passage.learns[p]:
            seen[passage.item[p]] += np.float32(1.0)


@kernel()
def repeated(passage, n, repeats, by_count, ranks, tops):  # type: ignore[no-untyped-def]
    """Rank what the user has had first: by how often (``by_count``) and then how lately; the rest by popularity."""
    seen, allowed, score = np.zeros(n, np.float32), np.empty(n, np.bool_), np.empty(n, np.float32)
    total = np.float32(1.0)
    for p in range(len(passage.user)):
        if passage.judged[p]:
            kind = candidates(passage, p, seen, repeats, allowed)
            if kind == FIRST_EVER:
                ranks[p] = np.inf
            elif kind == RANKED:
                for j in range(n):
                    score[j] = np.float32(0.5) * seen[j] / total
                start, pos = passage.start[passage.user[p]], passage.pos[p]
                for k in range(pos):
                    j = passage.past[start + k]
                    lately = np.float32(1.0) + np.float32(k + 1) / np.float32(pos + 1)
                    times = np.floor(score[j]) if by_count else np.float32(0.0)
                    score[j] = times + lately
                judge(passage, p, score, allowed, ranks, tops)
        if passage.learns[p]:
            seen[passage.item[p]] += np.float32(1.0)
            total += np.float32(1.0)


@kernel(fastmath=True)
def _add_scaled(weight, row, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] += weight * row[j]


@kernel()
def neighbours(passage, together, n, repeats, ranks, tops):  # type: ignore[no-untyped-def]
    """Rank by co-occurrence: cosine with each of the user's last 100 items, summed.

    ``score_j = sum over h of C[h, j] / sqrt((c_h + 1)(c_j + 1)) + 1e-6 c_j``; C counts pairs in whole histories, c
    events. The last term ranks by popularity what the history says nothing about.

    Args:
      together: C, float32 [N, N], zero on entry.
    """
    seen, allowed, score = np.zeros(n, np.float32), np.empty(n, np.bool_), np.empty(n, np.float32)
    scale = np.ones(n, np.float32)
    for p in range(len(passage.user)):
        item, start, pos = passage.item[p], passage.start[passage.user[p]], passage.pos[p]
        if passage.judged[p]:
            kind = candidates(passage, p, seen, repeats, allowed)
            if kind == FIRST_EVER:
                ranks[p] = np.inf
            elif kind == RANKED:
                score[:] = np.float32(0.0)
                for k in range(max(0, pos - NEIGHBOURS_READ), pos):
                    h = passage.past[start + k]
                    _add_scaled(scale[h], together[h], score)
                for j in range(n):
                    score[j] = score[j] * scale[j] + np.float32(1e-6) * seen[j]
                judge(passage, p, score, allowed, ranks, tops)
        if passage.learns[p]:
            for k in range(start, start + pos):
                h = passage.past[k]
                if h != item:
                    together[h, item] += np.float32(1.0)
                    together[item, h] += np.float32(1.0)
            seen[item] += np.float32(1.0)
            scale[item] = np.float32(1.0) / np.sqrt(seen[item] + np.float32(1.0))
