"""Masks: their loss, and how they are steadied."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.vision import segmenter
from models.vision.segmenter import Segmenter, SegmenterConfig, steadied


def test_every_pixel_gets_its_logits_whatever_the_batch() -> None:
    config = SegmenterConfig(widths=(8, 8, 8, 8), classes=2)
    graph, shapes = nnx.split(nnx.eval_shape(lambda: Segmenter(config, rngs=nnx.Rngs(0))))
    chance = np.random.default_rng(1)
    weights = jax.tree.map(lambda one: 0.2 * chance.standard_normal(one.shape, np.float32), shapes)
    told = jax.jit(lambda held, pictures: nnx.merge(graph, held)(pictures))
    pictures = np.random.default_rng(0).integers(0, 255, (3, 32, 48, 3)).astype(np.uint8)

    both = told(weights, pictures[:2])

    assert both.shape == (2, 32, 48, 3)
    np.testing.assert_allclose(both[1], told(weights, pictures[[2, 1]])[1], atol=1e-5)


def test_the_right_answer_costs_least() -> None:
    classes = jnp.asarray(np.random.default_rng(1).integers(0, 3, (2, 8, 8)).astype(np.int32))
    sure = 20.0 * (jnp.arange(3)[None, None, None, :] == classes[..., None]).astype(jnp.float32)

    assert float(segmenter.loss(sure, classes)) < 0.02
    assert float(segmenter.loss(jnp.zeros_like(sure), classes)) > 1.5
    assert float(segmenter.loss(-sure, classes)) > 10.0


def test_a_mask_moves_with_its_track() -> None:
    before, now = np.zeros((6, 6), np.float32), np.zeros((6, 6), np.float32)
    before[1:3, 1:3], now[2:4, 3:5] = 1, 1

    np.testing.assert_array_equal(steadied(before, now, np.array([2.0, 1.0])), now)
    assert steadied(before, now, np.array([0.0, 0.0]))[1, 1] == 0.5
    np.testing.assert_array_equal(steadied(before, now, np.array([90.0, 0.0])), now / 2)
