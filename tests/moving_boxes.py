"""Boxes that move, cross and hide, with the truth about them: for tests of trackers and their benchmark."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.vision.clear_mot import Told

WIDTH, HEIGHT = 1280.0, 720.0
LOOK = 16


class Clip(NamedTuple):
    """A clip's truth and what a detector would have said of it.

    Attributes:
      truth: of every box in every frame. frame, boxes, scores, looks: columns of the detections, by frame.
      owner: the true id behind each detection, -1 where it is false.
    """

    truth: Told
    frame: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    looks: np.ndarray
    owner: np.ndarray


def generated(
    seed: int, *, count: int = 10, frames: int = 200, missed: float = 0.1, unsure: float = 0.1, false: float = 0.2
) -> Clip:
    """Boxes on straight ways that turn at the picture's edges; they cross and are detected all the same.

    Args:
      missed, unsure: share of the boxes not detected, and detected with a score below 0.5. false: detections a frame
        where nothing is, on average.
    """
    chance = np.random.default_rng(seed)
    sides = np.column_stack([chance.uniform(40, 80, count), chance.uniform(90, 180, count)])
    room = np.array([WIDTH, HEIGHT]) - sides
    start, speed = chance.uniform(0, 1, (count, 2)) * room, chance.uniform(-4, 4, (count, 2))
    # A way that turns at both edges is a straight one, folded.
    way = (start[None] + speed[None] * np.arange(frames)[:, None, None]) % (2 * room)
    corner = np.where(way > room, 2 * room - way, way)
    truth = np.concatenate([corner, corner + sides], axis=2)
    look = unit(chance.normal(size=(count, LOOK)))
    rows: list[tuple[int, np.ndarray, float, np.ndarray, int]] = []
    for frame in range(frames):
        for box in range(count):
            drawn = chance.uniform()
            if drawn < missed:
                continue
            noisy = truth[frame, box] + chance.normal(0, 1.5, 4)
            score = chance.uniform(0.2, 0.5) if drawn < missed + unsure else chance.uniform(0.75, 1.0)
            rows.append((frame, noisy, score, look[box] + chance.normal(0, 0.05, LOOK), box + 1))
        for _ in range(chance.poisson(false)):
            size = chance.uniform(40, 120, 2)
            at = chance.uniform(0, 1, 2) * (np.array([WIDTH, HEIGHT]) - size)
            noise = unit(chance.normal(size=(1, LOOK)))[0]
            rows.append((frame, np.concatenate([at, at + size]), chance.uniform(0.3, 0.9), noise, -1))
    return Clip(told(truth), *columns(rows))


def told(boxes: np.ndarray) -> Told:
    """Boxes [frames, count, 4] as truth, ids from 1."""
    frames, count = boxes.shape[:2]
    ids = np.tile(np.arange(1, count + 1), frames)
    return Told(np.repeat(np.arange(frames), count), ids, boxes.reshape(-1, 4))


def columns(rows: list[tuple[int, np.ndarray, float, np.ndarray, int]]) -> tuple[np.ndarray, ...]:
    """Rows of frame, box, score, look and owner as columns."""
    frame, boxes, scores, looks, owner = zip(*rows, strict=True)
    whole = np.array([frame, owner], np.int64)
    return whole[0], np.array(boxes), np.array(scores), np.array(looks, np.float32), whole[1]


def unit(looks: np.ndarray) -> np.ndarray:
    """Rows at length 1."""
    return np.asarray(looks / np.linalg.norm(looks, axis=1, keepdims=True))


def meeting(*, frames: int, speed: float, turns_at: int | None, hidden: range, apart: float) -> Clip:
    """Two boxes that come towards each other, pass or turn back, and are not detected while hidden.

    Args:
      turns_at: frame from which both go back; None: they pass. apart: px between them in the middle frame of hidden.

    Returns:
      The clip, with a false detection somewhere else in every fifth frame.
    """
    middle = (hidden.start + hidden.stop - 1) / 2 if len(hidden) else frames / 2
    rows: list[tuple[int, np.ndarray, float, np.ndarray, int]] = []
    truth = np.zeros((frames, 2, 4))
    for frame in range(frames):
        gone = (frame if turns_at is None else turns_at - abs(frame - turns_at)) - middle
        for box, (side, top) in enumerate(((-1, 100.0), (1, 112.0))):
            left = 400 + side * (apart / 2 - speed * gone)
            truth[frame, box] = [left, top, left + 50, top + 110]
            if frame not in hidden:
                rows.append((frame, truth[frame, box], 0.9, np.eye(LOOK)[box], box + 1))
        if frame % 5 == 3:
            at = 100.0 + 90 * (frame % 13)  # never where the last one was
            rows.append((frame, np.array([at, 500, at + 40, 560]), 0.9, np.eye(LOOK)[2 + frame % 3], -1))
    return Clip(told(truth), *columns(rows))
