"""The baselines by name: which play beside the model, and what each needs.

Decayed popularity and transitions come from the engine's own counts and always play. The others play the same passage
by themselves, and only when they are asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from models.evaluate import counted, refitted
from models.evaluate.passage import Passage
from models.evaluate.refitted import Factors
from models.typing import F32, I32
from streams.errors import EvaluationError

FACTORS: Final = 64
ALS_REGULARISATION: Final = 0.05
ALS_ROUNDS: Final = 15
BPR_ROUNDS: Final = 100
PAIRS_MOST: Final = 20_000
"""Largest catalogue of `knn`, which keeps a number for each pair of items: 1.6 GB."""

FROM_THE_ENGINE: Final = ("decayed_popularity", "transitions")
FOR_REPEATS: Final = ("repeat_last", "repeat_most")
ASKED_FOR: Final = ("popularity", "knn", "ease", "als", "bpr", *FOR_REPEATS)


class Ranked(NamedTuple):
    """Ranks, float32 [P], and lists, int32 [P, K], of one ranker over a passage."""

    ranks: F32
    tops: I32


def chosen(names: Sequence[str], *, repeats: bool) -> tuple[str, ...]:
    """The baselines that play by themselves, in the order in which they are asked for.

    Raises:
      EvaluationError: a name that is no baseline's, or one that needs a package that is not there.
    """
    known = (*FROM_THE_ENGINE, *ASKED_FOR)
    if strange := [name for name in names if name not in known]:
        raise EvaluationError(
            f"expected baselines among {', '.join(known)}, got {', '.join(strange)}; check the spelling"
        )
    wanted = [name for name in names if name in ASKED_FOR] + (list(FOR_REPEATS) if repeats else [])
    for name in wanted:
        if name in {"als", "bpr"}:
            _library(name)
    return tuple(dict.fromkeys(wanted))


def play(
    name: str, passage: Passage, items: int, *, repeats: bool, lists: int, seed: int, on_done: Callable[[int], None]
) -> Ranked:
    """Let one baseline play a passage.

    Args:
      items: N. lists: K. on_done: called now and then with the number of events played.

    Raises:
      EvaluationError: the log is too large for this baseline.
    """
    events = len(passage.user)
    ranks = np.zeros(events, np.float32)
    tops = np.full((events if lists else 0, lists), -1, np.int32)
    if name == "popularity":
        counted.popularity(passage, items, repeats, ranks, tops)
    elif name in FOR_REPEATS:
        counted.repeated(passage, items, repeats, name == "repeat_most", ranks, tops)
    elif name == "knn":
        if items > PAIRS_MOST:
            raise EvaluationError(
                f"expected at most {PAIRS_MOST} items for knn, got {items}; leave it out or take a smaller log"
            )
        counted.neighbours(passage, np.zeros((items, items), np.float32), items, repeats, ranks, tops)
    else:
        fit = {"ease": refitted.fit_ease, "als": _als(seed), "bpr": _bpr(seed)}[name]
        refitted.play(passage, items, fit, ranks, tops, repeats=repeats, on_done=on_done)
    on_done(events)
    return Ranked(ranks, tops)


def _als(seed: int) -> refitted.Fit:
    options = {
        "factors": FACTORS, "alpha": 1.0, "regularization": ALS_REGULARISATION, "iterations": ALS_ROUNDS,
        "random_state": seed, "use_gpu": False,
    }  # fmt: skip

    def fit(users: I32, items: I32, user_count: int, item_count: int) -> Factors:
        model = _fitted("als", "AlternatingLeastSquares", options, users, items, user_count, item_count)
        vectors = np.asarray(model.item_factors, np.float32)
        # With weights of one, a user's vector is linear in the items had: (Y'Y + r I)^-1 times the sum of theirs.
        inverse = np.linalg.inv(
            vectors.T @ vectors + np.float32(ALS_REGULARISATION) * np.eye(FACTORS, dtype=np.float32)
        )
        return Factors(vectors, np.ascontiguousarray(vectors @ inverse), by_user=False)

    return fit


def _bpr(seed: int) -> refitted.Fit:
    options = {
        "factors": FACTORS, "iterations": BPR_ROUNDS, "random_state": seed, "num_threads": 1, "use_gpu": False
    }  # fmt: skip

    def fit(users: I32, items: I32, user_count: int, item_count: int) -> Factors:
        model = _fitted("bpr", "BayesianPersonalizedRanking", options, users, items, user_count, item_count)
        left, right = (np.array(part, np.float32) for part in (model.user_factors, model.item_factors))
        left[np.bincount(users, minlength=user_count) == 0] = 0.0  # a user without events has no score: popularity
        return Factors(left, right, by_user=True)

    return fit


def _fitted(
    module: str, name: str, options: dict[str, Any], users: I32, items: I32, user_count: int, item_count: int
) -> Any:
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    library, ones = _library(module), np.ones(len(users), np.float32)
    with threadpool_limits(1, "blas"):  # the library starts its own threads, and warns of more than one of these
        model = getattr(library, name)(**options)
        model.fit(csr_matrix((ones, (users, items)), shape=(user_count, item_count)), show_progress=False)
    return model


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"implicit.{name}")
    except ImportError as error:
        raise EvaluationError(
            f"expected the package implicit for the baseline {name}, got: {error}; pip install 'marquee[eval]'"
        ) from error
