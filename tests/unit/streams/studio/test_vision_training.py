"""Training goes on where it was broken off, bit for bit, and stops when it gets no better."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from models.vision.detector import DetectorConfig
from models.vision.learning import DETECT, LearnConfig
from streams.studio import vision_training as training
from streams.studio.errors import EngineError
from streams.studio.eyes import read_weights
from streams.studio.vision_training import CHECKPOINT, Pace, Story, draw_curve, train

TINY = DetectorConfig(widths=(8, 8, 8, 8))
HOW = LearnConfig(steps=4, batch=2, scenes=4, side=32, warm=1, rate=0.01)


def test_training_that_was_broken_off_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SCENES_WATCHED", 2)
    steps: list[int] = []
    whole = train(DETECT, tmp_path / "whole", HOW, config=TINY, pace=Pace(judge_every=2))
    for _ in range(2):
        parts = train(
            DETECT, tmp_path / "parts", HOW, config=TINY, pace=Pace(judge_every=2, seconds=0.0),
            heard=lambda step, *_: steps.append(step),
        )  # fmt: skip
    parts = train(DETECT, tmp_path / "parts", HOW, config=TINY, pace=Pace(judge_every=2))

    assert steps == [1, 2]
    assert whole.is_done
    assert (parts.step, parts.is_done, parts.best) == (whole.step, True, whole.best)
    mine, theirs = load_file(tmp_path / "whole" / CHECKPOINT), load_file(tmp_path / "parts" / CHECKPOINT)
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    read_weights(tmp_path / "whole", "detect")

    with pytest.raises(EngineError, match="one of others; remove"):
        train(DETECT, tmp_path / "parts", dataclasses.replace(HOW, seed=1), config=TINY)
    story = tmp_path / "parts" / "training.json"
    words = json.loads(story.read_text())
    story.write_text(json.dumps(words | {"checkpoint_sha256": "0"}))
    with pytest.raises(EngineError, match="one that was cut off"):
        train(DETECT, tmp_path / "parts", HOW, config=TINY)
    story.write_text("{")
    with pytest.raises(EngineError, match="expected a checkpoint in"):
        train(DETECT, tmp_path / "parts", HOW, config=TINY)


def test_the_curve_is_a_picture(tmp_path):
    judged = [{"step": 1.0, "loss": 3.0, "score": 0.1}, {"step": 2.0, "loss": 2.0, "score": 0.4}]
    draw_curve(Story(step=2, cpu_s=90.0, judged=judged), "detect", tmp_path / "curve.png")

    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
