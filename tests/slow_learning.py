"""Ranking in two stages and learning from it, the slow way: event after event from the raw log."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from models.recommend.labels import ItemLabels
from models.recommend.rerank import Reranker
from models.recommend.strict import Rates
from tests.planted import RATES
from tests.slow_affinities import affinities
from tests.slow_counts import F64, Event, SlowCombiner, SlowLog, rank
from tests.slow_likenesses import likenesses

BOOLS = npt.NDArray[np.bool_]
WEIGHTS = ("hidden", "offset", "out", "linear")


class SlowReranker:
    """The network in matrix form, its gradient by `jax.grad`, Adagrad as in the paper, float64 but for the gradient."""

    def __init__(self, first: Reranker, *, rate: float) -> None:
        self.weights: dict[str, F64] = {name: np.array(getattr(first, name), float) for name in WEIGHTS}
        self.squares: dict[str, F64] = {name: np.full(self.weights[name].shape, 1e-2) for name in WEIGHTS}
        self.rates = {"hidden": rate, "offset": rate, "out": rate, "linear": 0.3 * rate}
        inputs = len(self.weights["linear"])
        self.mean, self.square, self.learned = np.zeros(inputs), np.ones(inputs), 0

    def standardised(self, raw: F64) -> F64:
        """Inputs by the running figures, cut off at six deviations."""
        deviation = np.sqrt(np.maximum(self.square - self.mean**2, 1e-6))
        return np.clip((raw - self.mean) / deviation, -6.0, 6.0)

    def corrections(self, inputs: F64, context: F64) -> F64:
        """What is added to the score of each candidate."""
        return np.asarray(_network(self.weights, inputs, context), float)

    def learn(self, inputs: F64, context: F64, scores: F64, target: int) -> None:
        """One step up the log-likelihood of ``target``; ``scores`` are those of the first stage."""
        as_jax = {name: jnp.array(weights, jnp.float32) for name, weights in self.weights.items()}
        slopes = _slopes(as_jax, jnp.array(inputs, jnp.float32), jnp.array(context, jnp.float32),
                         jnp.array(scores, jnp.float32), target)  # fmt: skip
        for name, slope in slopes.items():
            gradient = np.asarray(slope, float)
            self.squares[name] += gradient**2
            self.weights[name] += self.rates[name] * gradient / np.sqrt(self.squares[name])

    def note(self, raw: F64) -> None:
        """Take the inputs of a request into the running figures, which reach back 500 requests."""
        rate = max(1 / 500, 1 / (1 + self.learned))
        self.mean += rate * (raw.mean(0) - self.mean)
        self.square += rate * ((raw**2).mean(0) - self.square)
        self.learned += 1


def _network(weights: dict[str, Any], inputs: Any, context: Any) -> Any:
    among = weights["hidden"][: inputs.shape[1]]
    of_context = weights["hidden"][inputs.shape[1] :]
    before = inputs @ among + (context @ of_context + weights["offset"])[None, :]
    library = jnp if isinstance(before, jax.Array) else np
    hidden = library.where(before > 0, before, 0.01 * before)
    return hidden @ weights["out"] + inputs @ weights["linear"]


@functools.partial(jax.jit, static_argnames=())
def _slopes(weights: dict[str, Any], inputs: Any, context: Any, scores: Any, target: Any) -> dict[str, Any]:
    def log_likelihood(weights: dict[str, Any]) -> jax.Array:
        return jax.nn.log_softmax(scores + _network(weights, inputs, context))[target]

    slopes: dict[str, Any] = jax.grad(log_likelihood)(weights)
    return slopes


def context_of(combiner: SlowCombiner, history: list[Event], now_ms: int) -> F64:
    """One of each kind of bucket, and the logarithms of length and gap."""
    h, g = combiner.buckets(history, now_ms)
    gap_s = (now_ms - history[-1].at_ms) / 1_000 if history else 0.0
    return np.concatenate([np.eye(6)[h], np.eye(7)[g], [0.3 * math.log1p(len(history)), 0.1 * math.log1p(gap_s)]])


class SlowRun(NamedTuple):
    """What `prequential` found: ranks [events, 3], and the state at the end."""

    ranks: F64
    combiner: SlowCombiner
    counts: SlowLog
    reranker: SlowReranker | None


def prequential(
    log: list[Event],
    items: int,
    tower: F64,
    *,
    labels: ItemLabels | None = None,
    rates: Rates = RATES,
    first: Reranker | None = None,
    vectors: F64 | None = None,
    repeats: bool = False,
) -> SlowRun:
    """Rank every event, learn it, count it.

    Args:
      tower: logits, [events, items]. first: the re-ranker's first weights.
      vectors: of the items, bias last.
    """
    counts, combiner, most = SlowLog(items, labels), SlowCombiner(items, rates), rates.candidates
    reranker = SlowReranker(first, rate=float(rates.rerank)) if first and most else None
    ranks = np.zeros((len(log), 3))
    for number, event in enumerate(log):
        history = counts.history(event.user)
        if repeats or event.item not in {past.item for past in history}:
            ranks[number] = math.inf
            if counts.seen()[event.item] > 0:
                allowed = counts.candidates(event.user, repeats=repeats)
                x = counts.features(event.user, event.at_ms, tower[number], surface=event.surface, repeats=repeats)
                scores = combiner.scores(x, history, event.at_ms, event.surface)
                transitions = counts.sparse(event.user, event.at_ms)[-1] + 1e-6 * counts.seen()
                by_ranker = (scores, counts.decayed_by_events(2_000), transitions)
                ranks[number] = [rank(s, allowed, event.item) for s in by_ranker]
                if reranker and ranks[number, 0] <= most:
                    ranks[number, 0] = _again(reranker, counts, combiner, event, x, scores, allowed, most, vectors)
                combiner.learn(x, scores, allowed, event, history, counts)
        counts.events.append(event)
    return SlowRun(ranks, combiner, counts, reranker)


def _again(
    reranker: SlowReranker, counts: SlowLog, combiner: SlowCombiner, event: Event, x: F64, scores: F64, allowed: BOOLS,
    most: int, vectors: F64 | None,
) -> int:  # fmt: skip
    """Rank of the event among the best of the first stage, ordered again; then one step."""
    best = sorted(sorted(np.flatnonzero(allowed).tolist(), key=lambda row: (-scores[row], row))[:most])
    if event.item not in best:
        return rank(scores, allowed, event.item)
    of_user = affinities(counts, event.user, event.at_ms, best)
    history = [past.item for past in counts.history(event.user)][::-1]
    alike = likenesses(np.zeros((0, 9)) if vectors is None else vectors, history, best)
    raw = np.concatenate(
        [x[:, best].T, scores[best, None], combiner.bias[best, None], of_user, alike, np.zeros((len(best), 6))], axis=1
    )
    inputs = reranker.standardised(raw)
    context = context_of(combiner, counts.history(event.user), event.at_ms)
    final = scores[best] + reranker.corrections(inputs, context)
    target = best.index(event.item)
    found = rank(final, np.ones(len(best), np.bool_), target)
    reranker.learn(inputs, context, scores[best], target)
    reranker.note(raw)
    return found
