"""CPU a user of both ranking stages, part by part, and CPU an item state on both sides of the wire.

The packaged film log is learned in this process (12,600 items; the combiner from a sample of the events), announced,
and taken by a recommender's state; then users of the log are ranked in batches of 64, one thread, nothing read or
encoded. The stages are the recommender's own kernels; the parts of the second are those kernels over its candidates.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.engine import public_log
from benchmarks.report import Figure, report
from models.compiled import kernel
from models.recommend import candidates as ranking
from models.recommend.affinity import affinities
from models.recommend.candidates import Candidates, Question
from models.recommend.features import HOTNESS, LEVEL, OWN
from models.recommend.likeness import likenesses
from models.recommend.rerank import AT_AFFINITY, AT_LIKENESS, corrections, standardise
from models.recommend.second_stage import fill_inputs, stage_for
from models.recommend.state import ModelConfig
from streams.contract import codec
from streams.contract.events import ItemState, Request
from streams.cores.announce import Announcer
from streams.cores.learn import Learner
from streams.cores.recommend import RecommendConfig, Recommender
from streams.cores.serving import Serving
from streams.replay.convert import to_interactions, to_items

BATCH, K, MOST = 64, 20, 1_000
"""Users a batch; items of a slate; item states of a flush."""
ROUNDS = 15


def us_each(work: Callable[[], Any], count: int) -> float:
    """Median of `ROUNDS` of the CPU time that ``work`` takes for each of ``count``, us; the first is not counted."""
    work()
    taken = []
    for _ in range(ROUNDS):
        started_s = time.process_time()
        work()
        taken.append(time.process_time() - started_s)
    return statistics.median(taken) / count * 1e6


def us_apart(less: Callable[[], Any], more: Callable[[], Any], count: int) -> tuple[float, float]:
    """CPU time that ``less`` takes for each of ``count``, and that ``more`` takes beyond it: medians of turns, us."""
    less(), more()
    taken: list[tuple[float, float]] = []
    for _ in range(3 * ROUNDS):
        started_s = time.process_time()
        less()
        between_s = time.process_time()
        more()
        taken.append((between_s - started_s, time.process_time() - between_s))
    one, other = (statistics.median(column) / count * 1e6 for column in zip(*taken, strict=True))
    return one, other - one


def learned(events: int, sample: float) -> tuple[Learner, Serving, dict[str, float]]:
    """A trainer that has learned the log, a recommender that was told all of it, and what the telling cost."""
    log = public_log("movietweetings").head(events)
    learner = Learner(ModelConfig(evaluate_sample=sample))
    items, interactions = list(to_items(log.catalogue)), list(to_interactions(log))
    learner.learn(items)
    for at in range(0, len(interactions), 256):
        learner.learn(interactions[at : at + 256])
    serving = Serving(learner.config)
    for item in items:
        serving.take_item(item.item_id, item)
    wire = over_the_wire(learner, serving)
    for at in range(0, len(interactions), 1_024):
        serving.take_interactions(interactions[at : at + 1_024])
    return learner, serving, wire


def over_the_wire(learner: Learner, serving: Serving) -> dict[str, float]:
    """Announce everything in flushes and take it, and what each step costs an item state."""
    learner.state.counts.changed[:] = True
    announcer = Announcer(learner.config, fingerprint="bench")
    decode = codec.decoder(ItemState)
    cpu_s: dict[str, list[float]] = {name: [] for name in ("announce", "encode", "decode", "take")}
    sizes: list[int] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started_s = time.process_time()
        done = work()
        cpu_s[name].append((time.process_time() - started_s) / MOST * 1e6)
        return done

    while True:
        announced = timed("announce", lambda: announcer.announce(learner.state, [], most=MOST))
        values = timed("encode", lambda: [codec.encode(state) for state in announced.states])  # noqa: B023
        states = timed("decode", lambda: [decode(value, -1) for value in values])  # noqa: B023
        weights = announced.weights

        def take() -> None:
            serving.take_states(states)  # noqa: B023
            serving.use_newest()

        serving.take_weights(weights)
        timed("take", take)
        sizes += map(len, values)
        if len(announced.states) < MOST:
            break
    figures = {f"{name}_us": statistics.median(taken[:-1][1:]) for name, taken in cpu_s.items()}
    ordered = np.sort(sizes)
    return figures | {
        "bytes_mean": float(ordered.mean()),
        "bytes_p95": float(ordered[int(0.95 * len(ordered))]),
        "bytes_weights": float(len(codec.encode(weights))),
    }


@kernel()
def _fill(known, sparse, vector, rows, filled, stage):  # type: ignore[no-untyped-def]
    own = known.augmented.T
    for b in range(len(filled)):
        count = min(filled[b], len(stage.final))
        fill_inputs(own, own[OWN], sparse, vector, vector, vector, rows[b], count, stage.raw)


@kernel()
def _affinities(known, askers, rows, filled, stage):  # type: ignore[no-untyped-def]
    own = known.augmented.T
    for b in range(len(filled)):
        count, length = min(filled[b], len(stage.final)), askers.length[b]
        start = known.histories.start[askers.user[b]]
        affinities(
            known.counts, known.labels, own[LEVEL], own[HOTNESS], known.histories.item[start : start + length],
            known.histories.at_ms[start : start + length], length, rows[b], count, stage.tags,
            stage.raw[:, AT_AFFINITY:],
        )  # fmt: skip


@kernel()
def _likenesses(known, askers, rows, filled, stage):  # type: ignore[no-untyped-def]
    for b in range(len(filled)):
        count, length = min(filled[b], len(stage.final)), askers.length[b]
        start = known.histories.start[askers.user[b]]
        history = known.histories.item[start : start + length]
        likenesses(known.vectors, history, length, rows[b], count, stage.raw[:, AT_LIKENESS:])


@kernel()
def _network(known, filled, stage):  # type: ignore[no-untyped-def]
    for b in range(len(filled)):
        count = min(filled[b], len(stage.final))
        stage.inputs[:count] = stage.raw[:count]
        standardise(known.reranker, stage.inputs, count)
        corrections(known.reranker, stage.inputs, count, stage.context, stage.hidden, stage.final)


def stages(serving: Serving, users: list[str], now_ms: int) -> dict[str, float]:
    """CPU a user of both stages and of the parts of the second, us."""
    recommender = Recommender(serving, RecommendConfig(explore_slots=0))
    recommender.refresh(now_ms)
    requests = [Request(request_id=user, user_id=user, k=K) for user in users]
    masks, mask_of = np.ones((1, len(serving.announced)), np.bool_), np.full(BATCH, ranking.NO_MASK, np.int32)
    askers = recommender._askers(requests, mask_of, now_ms)
    weights = ranking.weights_for(serving.combiner, askers)
    states = recommender._user_states(askers, now_ms)
    q = ranking.queries(weights, states, askers.surface)
    most, known = serving.config.candidates, serving.known
    hits = recommender._search(askers, q, np.full(BATCH, most, np.int32), masks)
    question = Question(weights, states, q, *hits, recommender._known, masks, now_ms, False)

    def found(width: int, twice: int) -> Callable[[], Candidates]:
        scratch = ranking.scratch_for(len(serving.announced), twice)
        return lambda: ranking.find_candidates(known, askers, question, width, scratch)

    best, stage = found(most, most)(), stage_for(most)
    sparse, vector = ranking.scratch_for(len(serving.announced), 0).sparse, np.zeros(len(serving.announced), np.float32)
    stage.context[:] = 0.0
    first, second = us_apart(found(most, 0), found(most, most), BATCH)
    return {
        "answer_us": us_each(lambda: recommender.answer(requests, now_ms=now_ms, generated_at_ms=0, offsets={}), BATCH),
        "tower_us": us_each(lambda: recommender._user_states(askers, now_ms), BATCH),
        "index_us": us_each(lambda: recommender._search(askers, q, np.full(BATCH, most, np.int32), masks), BATCH),
        "mix_us": us_each(lambda: recommender._mixed(best, np.full(BATCH, K, np.int32), askers, now_ms), BATCH),
        "first_stage_us": first,
        "second_stage_us": second,
        "fill_us": us_each(lambda: _fill(known, sparse, vector, best.rows, best.filled, stage), BATCH),
        "affinities_us": us_each(lambda: _affinities(known, askers, best.rows, best.filled, stage), BATCH),
        "likenesses_us": us_each(lambda: _likenesses(known, askers, best.rows, best.filled, stage), BATCH),
        "network_us": us_each(lambda: _network(known, best.filled, stage), BATCH),
        "history_events": float(askers.length.mean()),
    }


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer events: figures of no worth")
    events = 10_000 if parser.parse_args().quick else 100_000
    learner, serving, wire = learned(events, 0.05)
    state = learner.state
    lengths = state.histories.length[: state.users.used]
    rows = np.flatnonzero(lengths >= 10)
    chosen = np.random.default_rng(0).choice(rows, BATCH, replace=False).tolist()
    ranked = stages(serving, [state.users.key(row) for row in chosen], state.newest_ms + 60_000)
    rounded = {name: round(value, 2) for name, value in (ranked | wire).items()}
    report(
        Figure(name="second stage of a user", ours=ranked["second_stage_us"], unit="us CPU", goal="ours <= 60"),
        events=events,
        **rounded,
    )


if __name__ == "__main__":
    main()
