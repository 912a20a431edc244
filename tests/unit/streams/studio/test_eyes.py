"""Weights that are not what they should be are refused with a reason, and the next engine has its turn."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.vision.learning import LESSONS
from streams.contract.events import ContentTask, Gain, Item
from streams.studio.errors import EngineError
from streams.studio.eyes import OURS, looked_at, read_weights, why_not
from streams.studio.means import Means
from streams.studio.rendering import Errand, render
from streams.studio.vision_training import describe
from tests.vision_weights import WIDTHS, blind


@pytest.fixture
def folder(tmp_path):
    """Weights of both models."""
    return blind(tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in OURS.glob("*.safetensors")))
def test_our_own_weights_are_what_is_said_of_them_and_have_a_card(name):
    assert why_not(OURS, name) is None
    read_weights(OURS, name)
    told = json.loads((OURS / f"{name}.json").read_text())
    assert (OURS / f"{name}.safetensors").stat().st_size == told["bytes"] <= 6_000_000
    assert told["sha256"] in (OURS / f"{name}.md").read_text()


def test_weights_that_fit_are_read(folder):
    for name in LESSONS:
        assert why_not(folder, name) is None
        read_weights(folder, name)


def test_a_missing_file_is_told(folder):
    (folder / "detect.safetensors").unlink()
    assert "expected detect.safetensors beside detect.json" in str(why_not(folder, "detect"))
    (folder / "detect.json").unlink()
    assert "marquee studio train detect" in str(why_not(folder, "detect"))
    with pytest.raises(EngineError, match="No such file"):
        read_weights(folder, "detect")


def test_a_damaged_file_is_refused(folder):
    path = folder / "detect.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(EngineError, match="the file is damaged or another one"):
        read_weights(folder, "detect")


def test_weights_of_another_shape_are_refused_although_their_hash_is_right(folder):
    path = folder / "detect.safetensors"
    arrays = load_file(path)
    first = sorted(arrays)[0]
    save_file(arrays | {first: np.zeros(3, np.float32)}, path)
    describe("detect", folder, {"config": {"widths": WIDTHS}})
    with pytest.raises(EngineError, match=f"fit the network of detect, got: expected {first} as float32"):
        read_weights(folder, "detect")
    shutil.copy(folder / "segment.json", folder / "detect.json")
    assert "got those of 'segment'" in str(why_not(folder, "detect"))


def errand(movie, workdir, vision_dir, **spec):
    spec = {"source": movie.path.as_uri(), "target_s": 1.0, "aspect": "9:16"} | spec
    task = ContentTask(
        task_id="t", kind="cut", item_id="i", spec=spec,
        expected_gain=Gain(metric="none", value=0.0, interval=(0.0, 0.0)),
    )  # fmt: skip
    workdir.mkdir()
    return Errand(
        engines=["follow"],
        task=task, item=Item(item_id="i"), workdir=str(workdir), seed=0, roots=[str(movie.path.parent)],
        means=Means(vision_dir=str(vision_dir)),
    )  # fmt: skip


def test_without_weights_the_next_engine_makes_the_reel_but_hides_nobody_by_itself(movie, tmp_path):
    (tmp_path / "empty").mkdir()

    made = render(errand(movie, tmp_path / "a", tmp_path / "empty"), lambda _: None)
    assert made.draft is not None
    assert made.engine["name"] == "reel"

    refused = render(errand(movie, tmp_path / "b", tmp_path / "empty", hide=["person"]), lambda _: None)
    assert refused.draft is None
    assert "follow: expected weights of 'detect'" in str(refused.reason)
    assert "reel: expected an engine that sees figures for spec.hide" in str(refused.reason)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (640, 480), (4000, 100), (32, 32)])
def test_pictures_are_looked_at_in_sides_that_the_network_takes(width, height):
    across, down = looked_at(width, height)
    assert across % 16 == down % 16 == 0
    assert min(across, down) >= 32
