"""BERT written a second time, slowly and from its definition: one piece, one head, one number after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def random_arrays(
    *, layers: int, dim: int, inner: int, pieces: int, places: int, seed: int = 0
) -> dict[str, npt.NDArray[Any]]:
    """Weights of a small BERT under the names of a checkpoint, large enough that every part matters."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 0.5) -> npt.NDArray[np.float32]:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    arrays = {
        "embeddings.word_embeddings.weight": normal(pieces, dim),
        "embeddings.position_embeddings.weight": normal(places, dim),
        "embeddings.token_type_embeddings.weight": normal(2, dim),
        "pooler.dense.weight": normal(dim, dim),
    }
    sizes = {
        "attention.self.query": (dim, dim), "attention.self.key": (dim, dim), "attention.self.value": (dim, dim),
        "attention.output.dense": (dim, dim), "intermediate.dense": (inner, dim), "output.dense": (dim, inner),
    }  # fmt: skip
    for at in range(layers):
        for name, (o, i) in sizes.items():
            arrays[f"encoder.layer.{at}.{name}.weight"] = normal(o, i)
            arrays[f"encoder.layer.{at}.{name}.bias"] = normal(o)
    norms = [f"encoder.layer.{at}.{part}.LayerNorm" for at in range(layers) for part in ("attention.output", "output")]
    for name in ["embeddings.LayerNorm", *norms]:
        arrays[f"{name}.weight"] = 1 + normal(dim, scale=0.2)
        arrays[f"{name}.bias"] = normal(dim, scale=0.2)
    return arrays


def vector_of(ids: list[int], arrays: Mapping[str, npt.NDArray[Any]], *, layers: int, heads: int) -> F64:
    """The vector of one text: mean of the last layer over its pieces, of length one."""
    w = {name: array.astype(np.float64) for name, array in arrays.items()}

    def linear(x: F64, name: str) -> F64:
        return np.array([row @ x for row in w[f"{name}.weight"]]) + w[f"{name}.bias"]

    def norm(x: F64, name: str) -> F64:
        mean = sum(x) / len(x)
        spread = math.sqrt(sum((value - mean) ** 2 for value in x) / len(x) + 1e-12)
        return (x - mean) / spread * w[f"{name}.weight"] + w[f"{name}.bias"]

    xs = [
        norm(
            w["embeddings.word_embeddings.weight"][piece]
            + w["embeddings.position_embeddings.weight"][place]
            + w["embeddings.token_type_embeddings.weight"][0],
            "embeddings.LayerNorm",
        )
        for place, piece in enumerate(ids)
    ]
    size = len(xs[0]) // heads
    for at in range(layers):
        prefix = f"encoder.layer.{at}"
        query, key, value = (
            [linear(x, f"{prefix}.attention.self.{part}") for x in xs] for part in ("query", "key", "value")
        )
        new = []
        for here, x in enumerate(xs):
            attended = []
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                likeness = [math.exp(query[here][part] @ other[part] / math.sqrt(size)) for other in key]
                shares = [like / sum(likeness) for like in likeness]
                attended += [
                    sum(share * other[place] for share, other in zip(shares, value, strict=True))
                    for place in range(part.start, part.stop)
                ]
            y = norm(
                x + linear(np.array(attended), f"{prefix}.attention.output.dense"),
                f"{prefix}.attention.output.LayerNorm",
            )
            wide = linear(y, f"{prefix}.intermediate.dense")
            active = np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in wide])
            new.append(norm(y + linear(active, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm"))
        xs = new
    mean = np.array([sum(column) / len(xs) for column in zip(*xs, strict=True)])
    return mean / math.sqrt(float(mean @ mean))
