"""The dense weights by name: what a record of ``model-weights.v1`` carries, and reading it back."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from models.recommend.combiner import Combiner
from models.recommend.heads import Heads
from models.recommend.rerank import Reranker
from models.typing import F64
from streams.contract.events import ModelWeights

Arrays = Mapping[str, NDArray[np.generic]]
COMBINER_PARTS: Final = ("shared", "by_history", "by_gap")
"""What ranking needs of the combiner, but for the biases: those travel with their items."""
RERANKER_PARTS: Final = ("hidden", "offset", "out", "linear", "mean", "square")
"""What ranking needs of the re-ranker; the rest is for learning."""
ITEM_TOWER: Final = "towers/content/"
"""Where the names of the item tower's weights begin."""


class Dense(NamedTuple):
    """What ranking reads beside the items' states; ``trials``: see `Counts.trials`."""

    combiner: Combiner
    reranker: Reranker
    heads: Heads
    trials: F64
    towers: Any


def dense_arrays(dense: Dense) -> dict[str, NDArray[np.generic]]:
    """All dense weights that ranking needs, by name."""
    combiner, reranker, heads, trials, towers = dense
    named = {f"combiner/{name}": getattr(combiner, name) for name in COMBINER_PARTS}
    named |= {f"reranker/{name}": getattr(reranker, name) for name in RERANKER_PARTS}
    named |= {"heads/weights": heads.weights, "counts/trials": trials}
    return named | tower_arrays(towers)


def with_dense_arrays(dense: Dense, arrays: Arrays) -> Dense:
    """The same with the arrays of `dense_arrays`; what those leave out stays."""
    of_combiner: dict[str, Any] = {name: np.array(arrays[f"combiner/{name}"]) for name in COMBINER_PARTS}
    of_reranker: dict[str, Any] = {name: np.array(arrays[f"reranker/{name}"]) for name in RERANKER_PARTS}
    of_heads: dict[str, Any] = {"weights": np.array(arrays["heads/weights"])}
    trials: Any = np.array(arrays["counts/trials"])
    return Dense(
        dense.combiner._replace(**of_combiner),
        dense.reranker._replace(**of_reranker),
        dense.heads._replace(**of_heads),
        trials,
        with_tower_arrays(dense.towers, arrays),
    )


def have_shapes(weights: ModelWeights, ours: Arrays) -> bool:
    """False for what a trainer of another version or configuration left on the topic."""
    shapes = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights.arrays.items()}
    return shapes == {name: (array.shape, array.dtype.name) for name, array in ours.items()}


def tower_arrays(weights: Any) -> dict[str, NDArray[np.generic]]:
    """The dense weights by their path in the module, in tree order, but for the item tower's.

    What the item tower makes of an item's content travels as the item's vector, so a recommender needs neither those
    weights nor a text encoder.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(weights)
    named = {_path(path): np.asarray(leaf) for path, leaf in leaves}
    return {name: array for name, array in named.items() if not name.startswith(ITEM_TOWER)}


def with_tower_arrays(weights: Any, arrays: Arrays) -> Any:
    """``weights`` with those arrays of `tower_arrays`; the others stay."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jax.numpy.array(arrays[_path(path)]) if _path(path) in arrays else leaf, weights
    )


def _path(path: Any) -> str:
    return "towers" + "".join(f"/{_name(key)}" for key in path)


def _name(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))))


def weights_hash(arrays: Arrays, at_step: int) -> str:
    """Hash of the dense weights at a step, hex 32: tells versions apart; the hash of the whole state is another."""
    digest = hashlib.blake2b(str(at_step).encode(), digest_size=16)
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
