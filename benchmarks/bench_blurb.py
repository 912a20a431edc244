"""Blurbs of films that have a title and tags and nothing else: how many keep to the rules, and what they cost.

The films are drawn from the packaged MovieTweetings catalogue; the weights are those of `marquee fetch smollm`. Speed
is measured beside the bare jitted step of the same network on as many texts at a time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.report import Figure, report
from models.text.decoder import DecoderWeights, empty_cache, hidden_states, next_logits
from models.text.sampling import SamplingConfig, draw
from streams.contract.events import Item
from streams.cores import blurb, blurb_prompts, blurb_rules
from streams.replay import convert
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from streams.settings import Settings
from streams.text.files import SMOLLM, SMOLLM_FILE, find_files, how_to_get, read_checked
from streams.text.smollm import Writer

SHOWN = 3
"""Films whose blurbs are printed with the figures, the first ones drawn."""
ROUNDS = 5
PROMPT = 256


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=60)
    options = parser.parse_args()
    folder = find_files(Settings.from_env().encoders_dir, SMOLLM)
    if folder is None:
        sys.exit(f"expected the weights of SmolLM2, got none; {how_to_get(SMOLLM)}")
    begin_s = time.perf_counter()
    writer = Writer(read_checked(folder, SMOLLM_FILE, SMOLLM))
    load_s = time.perf_counter() - begin_s
    first, any_, kept, texts = 0, 0, 0, 0
    seconds: list[float] = []
    cpu: list[float] = []
    shown: dict[str, str] = {}
    broken: dict[str, int] = {}
    for number, item in enumerate(films(options.films)):
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        found = candidates(writer, item, seed=number)
        seconds.append(time.perf_counter() - begin_s)
        cpu.append(time.process_time() - begin_cpu_s)
        verdicts = [[one.name for one in judged if not one.is_ok] for _, judged in found]
        first += not verdicts[0]
        any_ += not all(verdicts)
        kept += sum(not one for one in verdicts)
        texts += len(verdicts)
        for names in verdicts:
            for name in names[:1]:
                broken[name] = broken.get(name, 0) + 1
        best = next((text for (text, _), names in zip(found, verdicts, strict=True) if not names), "")
        if number < SHOWN:
            shown[item.title] = best
        print(f"{item.title} {item.tags}: {best or 'none'}", flush=True)
    ours_s, bare_s = steps(writer)
    rows = SamplingConfig().rows
    report(
        Figure(name="pieces written", ours=rows / ours_s, unit="1/s", limit=rows / bare_s, goal="ratio >= 0.8"),
        Figure(name="films with a blurb", ours=any_ / options.films, unit="share", goal="ours >= 0.95"),
        Figure(name="films whose likeliest text does", ours=first / options.films, unit="share"),
        Figure(name="texts that do", ours=kept / texts, unit="share"),
        Figure(name="a blurb, once compiled", ours=statistics.median(seconds[1:]), unit="s", goal="ours <= 30"),
        load_s=load_s,
        cpu_s=statistics.median(cpu[1:]),
        slowest_s=max(seconds[1:]),
        with_compilation_s=seconds[0],
        first_rule_broken=broken,
        shown=shown,
        films=options.films,
    )  # fmt: skip


def films(count: int) -> list[Item]:
    """Films drawn from the packaged catalogue, the same each time."""
    catalogue = read_log(PACKAGED_DIR / "movietweetings").catalogue
    every = sorted(convert.to_items(catalogue), key=lambda item: item.item_id)
    return random.Random(0).sample(every, count)


def candidates(writer: Writer, item: Item, *, seed: int) -> list[tuple[str, list[blurb_rules.Verdict]]]:
    """Texts as the engine takes them, each with its verdicts."""
    may = writer.only(blurb_rules.words_for(item))
    answers = writer.answers(blurb_prompts.conversation(item), seed=seed, may=may)
    cut = [blurb_rules.trimmed(answer.text, blurb.MOST_CHARS) for answer in answers]
    return [(one, blurb_rules.judge(one, item, most_chars=blurb.MOST_CHARS, is_closed=True)) for one in cut]


def steps(writer: Writer) -> tuple[float, float]:
    """Seconds of one step of writing, and of the bare network's, medians of turns taken one after the other."""
    weights, config = writer.weights, writer.config
    whole = SamplingConfig(end=0)
    one = SamplingConfig(end=0, most=1)
    prompt = jnp.asarray(np.full(PROMPT, 28, np.int32))
    every = jnp.ones(config.pieces, bool)
    pieces = jnp.zeros((whole.rows, 1), jnp.int32)
    cache = empty_cache(config, rows=whole.rows, places=PROMPT + whole.most)

    @jax.jit
    def bare(weights: DecoderWeights, pieces: Any, cache: Any) -> Any:
        """As many steps as a whole text has, each fed with what came before and nothing drawn."""

        def step(at: Any, carried: Any) -> Any:
            pieces, cache = carried
            states, cache = hidden_states(weights, pieces, cache, PROMPT + at, config=config)
            return next_logits(weights, states[:, 0], config=config).argmax(axis=1)[:, None].astype(jnp.int32), cache

        return jax.lax.fori_loop(0, whole.most, step, (pieces, cache))

    def timed(sampling: SamplingConfig, seed: int) -> tuple[float, int]:
        begin_s = time.perf_counter()
        drawn = draw(weights, prompt, jnp.int32(PROMPT), every, jax.random.key(seed), config=config, sampling=sampling)
        drawn.pieces.block_until_ready()
        return time.perf_counter() - begin_s, int(drawn.steps)

    timed(whole, 0), timed(one, 0), bare(weights, pieces, cache)[0].block_until_ready()
    ours: list[float] = []
    theirs: list[float] = []
    for seed in range(ROUNDS):
        (long_s, count), (short_s, _) = timed(whole, seed), timed(one, seed)
        ours.append((long_s - short_s) / max(1, count - 1))
        begin_s = time.perf_counter()
        bare(weights, pieces, cache)[0].block_until_ready()
        theirs.append((time.perf_counter() - begin_s) / whole.most)
    return statistics.median(ours), statistics.median(theirs)


if __name__ == "__main__":
    main()
