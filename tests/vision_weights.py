"""Weights of the vision models for tests: small, and of nothing but noughts, so that nothing is ever found."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from models.vision.learning import LESSONS, named
from streams.studio.vision_training import describe

WIDTHS = (8, 8, 8, 8)


def blind(folder: Path) -> Path:
    """Writes weights of both models into a folder."""
    for name, lesson in LESSONS.items():
        config = lesson.config(widths=WIDTHS)
        shapes = nnx.split(nnx.eval_shape(lambda lesson=lesson, config=config: lesson.build(config, rngs=nnx.Rngs(0))))
        arrays = named(jax.tree.map(lambda one: np.zeros(one.shape, one.dtype), shapes[1]))
        if name == "detect":
            arrays = {key: one - 9 if key.startswith("heat.bias") else one for key, one in arrays.items()}
        save_file(arrays, folder / f"{name}.safetensors")
        describe(name, folder, {"config": {"widths": WIDTHS}})
    return folder
