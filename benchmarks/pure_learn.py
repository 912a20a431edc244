"""The learning function fed from memory, and the bare tower update, in a process of their own: `bench_learn` starts it.

Prints one JSON object: the seconds that ``Learner.learn`` took for the events after the warm-up, and for a
batch's bare tower steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import jax
import numpy as np

from benchmarks.engine import public_log
from models.recommend import step
from models.recommend.learning import STEPS_AT_ONCE
from models.recommend.state import ModelConfig
from models.recommend.training import draw
from streams.contract.codec import decode, encode
from streams.contract.events import Interaction, Item
from streams.cores.learn import Entry, Learner
from streams.replay import convert

CHUNK = 25_600
"""Events decoded at a time, outside of the measured time."""
ROUNDS, CALLS_A_ROUND = 15, 5


def main() -> None:
    """Learn the log and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    for name in ("--events", "--warm", "--batch"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--sample", type=float, required=True)
    options = parser.parse_args()

    log = public_log(options.log).head(options.events)
    learner = Learner(ModelConfig(evaluate_sample=options.sample))
    items: list[Entry] = [_as_read(item, Item) for item in convert.to_items(log.catalogue)]
    for first in range(0, len(items), options.batch):
        learner.learn(items[first : first + options.batch])
    taken_s = cpu_s = 0.0
    measured = 0
    for chunk in range(0, len(log), CHUNK):
        last = min(chunk + CHUNK, len(log))
        events: list[Entry] = [_as_read(event, Interaction) for event in convert.to_interactions(log, chunk, last)]
        for first in range(0, len(events), options.batch):
            started_s, started_cpu_s = time.perf_counter(), time.process_time()
            result = learner.learn(events[first : first + options.batch])
            if learner.state.learned_events > options.warm:
                taken_s += time.perf_counter() - started_s
                cpu_s += time.process_time() - started_cpu_s
                measured += result.learned
    bare_s = options.batch / learner.config.training.events_per_step * bare_step_s(learner)
    print(json.dumps({"events": measured, "taken_s": taken_s, "cpu_s": cpu_s, "steps_s": bare_s}))


def _as_read(event: Interaction | Item, kind: type[Interaction] | type[Item]) -> Entry:
    """Through the wire format, so that strings lie in memory as they do after reading a topic."""
    entry = decode(kind, encode(event), timestamp_ms=-1)
    assert isinstance(entry, Interaction | Item)  # the contract's own bytes
    return entry


def bare_step_s(learner: Learner) -> float:
    """Median time of one step of the towers alone, on windows of full shape, as many at once as in learning."""
    state, config = learner.state, learner.config
    users = state.recent[:256].copy()
    batch = draw(
        state.histories,
        state.counts,
        users,
        state.histories.length[users] - np.int32(1),
        state.recent[:100_000],
        items=state.items.used,
        window=config.towers.window,
        config=config.training,
        generator=np.random.default_rng(0),
    )
    assert batch is not None  # a log was learned
    batches = jax.tree.map(lambda column: jax.numpy.stack([column] * STEPS_AT_ONCE), batch)
    learned = state.towers
    times_s = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        for _ in range(CALLS_A_ROUND):
            learned, loss = step.train_steps(learned, batches, config=config.towers)
        jax.block_until_ready((learned, loss))  # type: ignore[no-untyped-call]
        times_s.append((time.perf_counter() - started_s) / (CALLS_A_ROUND * STEPS_AT_ONCE))
    return statistics.median(times_s)


if __name__ == "__main__":
    main()
