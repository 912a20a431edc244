"""How good the vision models are, on generated scenes and clips that no training saw; figures in, nothing kept.

Detection is judged by `faster-coco-eval`, which others keep; masks by intersection over union; tracks by CLEAR MOT;
reframing by whether the known subject is in the safe area, and by the camera's jerk.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from models.typing import F64, I64, Bools
from models.vision import subjects
from models.vision.camera import CameraConfig, follow, is_safe, jerk
from models.vision.clear_mot import Told, judge, total
from models.vision.figures import CLASSES
from models.vision.learning import HELD_OUT, pictures_of
from models.vision.precision import Found, class_overlaps, confusion
from models.vision.scenes import Scene, clip, scene
from models.vision.segmenter import steadied
from streams.cores import shots
from streams.cores.shots import Piece
from streams.studio.errors import EngineError
from streams.studio.eyes import Eyes
from streams.studio.footage import LOOK_HEIGHT, LOOK_WIDTH
from streams.studio.watched import Shot, instance, shot_of, way_of

FPS: Final = 25.0
SIDE: Final = 128
PORTRAIT, SQUARE = 81 / 256, 144 / 256
"""Share of a 16:9 picture's width that a 9:16 and a 1:1 window have."""
Heard = Callable[[int], None]


def detect(eyes: Eyes, *, scenes: int, seed: int, clutter: float, heard: Heard) -> dict[str, float]:
    """COCO's average precision on held-out scenes.

    Raises:
      EngineError: the weights, or the judge, are not there.
    """
    asked = [scene((HELD_OUT, seed, at), width=SIDE, height=SIDE, clutter=clutter) for at in range(scenes)]
    found = []
    for at, one in enumerate(eyes.found(pictures_of(asked))):
        found.append(one)
        heard(at + 1)
    return coco(asked, found)


def coco(asked: Sequence[Scene], found: Sequence[Found]) -> dict[str, float]:
    """What `faster-coco-eval` says of detections; figures that are not asked for are ignored, as crowds are.

    Raises:
      EngineError: it is not installed.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise EngineError(
            "expected faster-coco-eval for COCO's figures, got none; pip install faster-coco-eval"
        ) from error
    truths: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for number, (one, detections) in enumerate(zip(asked, found, strict=True), start=1):
        for row, (left, top, right, bottom) in enumerate(one.boxes.tolist()):
            box = [left, top, right - left, bottom - top]
            is_asked = bool(one.is_asked[row])
            truths.append(
                {
                    "id": len(truths) + 1, "image_id": number, "category_id": int(one.labels[row]) + 1, "bbox": box,
                    "area": box[2] * box[3], "iscrowd": int(not is_asked), "ignore": int(not is_asked),
                }
            )  # fmt: skip
        for (left, top, right, bottom), score, label in zip(*(column.tolist() for column in detections), strict=True):
            box = [left, top, right - left, bottom - top]
            told.append({"image_id": number, "category_id": label + 1, "bbox": box, "score": score})
    if not truths or not told:
        return {"map50": 0.0, "map": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):  # it tells its table, whatever is asked
        dataset = {
            "images": [{"id": number, "width": SIDE, "height": SIDE} for number in range(1, len(asked) + 1)],
            "annotations": truths,
            "categories": [{"id": at + 1, "name": name} for at, name in enumerate(CLASSES)],
        }
        truth = COCO(dataset)
        judged = COCOeval_faster(truth, truth.loadRes(told), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    stats = [float(one) for one in judged.stats]
    figures = {"map50": stats[1], "map": stats[0], "map75": stats[2], "recall": stats[8]}
    precision = np.asarray(judged.eval["precision"])[0, :, :, 0, -1]  # at an overlap of 0.5, all sizes, most a picture
    for at, name in enumerate(CLASSES):
        kept = precision[:, at][precision[:, at] > -1]
        figures[f"ap50_{name}"] = float(kept.mean()) if kept.size else 0.0
    return figures


def segment(eyes: Eyes, *, scenes: int, clips: int, seed: int, heard: Heard) -> dict[str, float]:
    """Overlaps of masks on held-out scenes, and of masks along tracks on held-out clips."""
    asked = [scene((HELD_OUT, seed, at), width=SIDE, height=SIDE) for at in range(scenes)]
    classes = len(CLASSES) + 1
    pixels = np.zeros((classes, classes), np.int64)
    for at, (one, chances) in enumerate(zip(asked, eyes.chances(pictures_of(asked)), strict=True)):
        pixels += confusion(chances.argmax(axis=2).astype(np.int32), one.classes(), classes)
        heard(at + 1)
    shared = class_overlaps(pixels)
    figure = np.array([[pixels[0, 0], pixels[0, 1:].sum()], [pixels[1:, 0].sum(), pixels[1:, 1:].sum()]])
    figures = {"iou_classes": float(shared[1:].mean()), "iou_figures": float(class_overlaps(figure)[1])}
    figures |= {f"iou_{name}": float(shared[at + 1]) for at, name in enumerate(CLASSES)}
    of_masks = []
    for at, (frames, shot) in enumerate(_watched(eyes, clips, seed, subject=False)):
        of_masks.append(_along_tracks(eyes, frames, shot))
        heard(scenes + at + 1)
    plain, steady, flicker, flicker_steady = (float(np.mean(column)) for column in zip(*of_masks, strict=True))
    return figures | {
        "iou_tracked": plain, "iou_tracked_steadied": steady, "flicker": flicker, "flicker_steadied": flicker_steady,
    }  # fmt: skip


def track(eyes: Eyes, *, clips: int, seed: int, heard: Heard) -> dict[str, float]:
    """CLEAR MOT of detector and tracker on held-out clips, and the share of clips without a change of identity."""
    figures = []
    for at, (frames, shot) in enumerate(_watched(eyes, clips, seed, subject=False)):
        figures.append(judge(_truth(frames), _told(shot)))
        heard(at + 1)
    every = total(figures)
    return {
        "clips_without_a_switch": float(np.mean([one.switches == 0 for one in figures])), "mota": every.mota,
        "idf1": every.idf1, "switches": every.switches, "misses": every.misses / every.truths,
        "false_alarms": every.false_alarms / every.truths, "boxes": every.truths,
    }  # fmt: skip


def reframe(eyes: Eyes, *, clips: int, seed: int, heard: Heard) -> dict[str, float]:
    """Whether a window follows the known subject of held-out clips, and how smoothly, beside other windows.

    Beside it: the same out of the true boxes, which says what the camera alone can do; one around the subject's
    detection of each frame, moved as it comes; what `reel` does, after what catches the eye; one in the middle.
    """
    config = CameraConfig()
    sums: dict[str, list[float]] = {}
    for at, (frames, shot) in enumerate(_watched(eyes, clips, seed, subject=True)):
        for name, share in (("portrait", PORTRAIT), ("square", SQUARE)):
            low, high = _subject(frames)
            width = frames[0].picture.shape[1]
            middle = np.full(len(frames), 0.5)
            way = way_of(shot, 0, share=share, fps=FPS, otherwise=middle, config=config).edge
            windows = {
                "": way, "_true_boxes": follow(low / width, high / width, share=share, fps=FPS, config=config),
                "_naive": _naive(shot, share), "_reel": _catching(frames, share), "_middle": middle - share / 2,
            }  # fmt: skip
            for window, edge in windows.items():
                safe = is_safe(low / width, high / width, edge, share=share, config=config)
                sums.setdefault(f"{name}_safe{window}", []).extend(safe[np.isfinite(low)].astype(float))
                sums.setdefault(f"{name}_jerk{window}", []).append(float(np.abs(jerk(edge, FPS)).max()))
        hidden = shot.tracks
        sums.setdefault("followed", []).append(float(shot.by == "figure" and shot.subject in hidden))
        heard(at + 1)
    told = {key: float(np.max(each) if "_jerk" in key else np.mean(each)) for key, each in sums.items()}
    return {"safe": min(told["portrait_safe"], told["square_safe"]), **told}


def _watched(eyes: Eyes, clips: int, seed: int, *, subject: bool) -> Iterator[tuple[list[Scene], Shot]]:
    """Held-out clips as the engine `follow` sees them."""
    for at in range(clips):
        frames = clip((HELD_OUT, seed, at), subject=subject)
        pictures = pictures_of(frames)
        moves = [subjects.moving(pictures[max(0, n - 1)], one) for n, one in enumerate(pictures)]
        height, width = pictures.shape[1:3]
        found = list(eyes.found(pictures))
        yield frames, shot_of(Piece(0, len(frames)), found, moves, width=width, height=height)


def _truth(frames: Sequence[Scene]) -> Told:
    """Figures that are asked for."""
    rows = [np.flatnonzero(one.is_asked) for one in frames]
    frame = np.repeat(np.arange(len(frames)), [len(one) for one in rows]).astype(np.int64)
    ids = np.concatenate([one.ids[at] for one, at in zip(frames, rows, strict=True)])
    return Told(frame, ids, np.concatenate([one.boxes[at] for one, at in zip(frames, rows, strict=True)]))


def _told(shot: Shot) -> Told:
    frame = np.concatenate([one.frames for one in shot.tracks] or [np.zeros(0, np.int64)])
    ids = np.concatenate([np.full(len(one.frames), one.id, np.int64) for one in shot.tracks] or [np.zeros(0, np.int64)])
    return Told(frame, ids, np.concatenate([one.boxes for one in shot.tracks] or [np.zeros((0, 4))]))


def _along_tracks(eyes: Eyes, frames: Sequence[Scene], shot: Shot) -> tuple[float, float, float, float]:
    """Mean overlap of the masks of true figures with those of their tracks, plain and steadied; and how they flicker.

    Flicker is the share of a mask's pixels that change from frame to frame beyond what the truth's own do.
    """
    chances = list(eyes.chances(pictures_of(frames)))
    overlaps: list[list[float]] = [[], []]
    changes: list[list[float]] = [[], []]
    for one in shot.tracks:
        kept: list[np.ndarray[Any, Any] | None] = [None, None]
        before_truth: Bools | None = None
        middle = np.zeros(2)
        last: list[Bools | None] = [None, None]
        for number, box in zip(one.frames, one.boxes, strict=True):
            mask, here = instance(1 - chances[number][..., 0], box)
            steady = mask if kept[1] is None else steadied(kept[1], mask, here - middle)
            kept[1], middle = steady, here
            owner = _owner(frames[number], box)
            if owner is None:
                before_truth, last = None, [None, None]
                continue
            truth = frames[number].owner == owner
            for way, soft in enumerate((mask, steady)):
                told = soft > 0.5
                overlaps[way].append(float((told & truth).sum() / max(1, (told | truth).sum())))
                was = last[way]
                if was is not None and before_truth is not None:
                    size = max(1, int(truth.sum()))
                    changes[way].append(float((told ^ was).sum() - (truth ^ before_truth).sum()) / size)
                last[way] = told
            before_truth = truth
    flat = [float(np.mean(each)) if each else 0.0 for each in (*overlaps, *changes)]
    return flat[0], flat[1], flat[2], flat[3]


def _owner(frame: Scene, box: F64) -> int | None:
    """The figure whose box overlaps most, by half at least."""
    from models.vision.boxes import overlaps

    shared = overlaps(box[None], frame.boxes)[0]
    return int(shared.argmax()) if len(shared) and shared.max() >= 0.5 else None


def _subject(frames: Sequence[Scene]) -> tuple[F64, F64]:
    """Left and right edge of the figure of id 1 in each frame, px; NaN where it is not to be seen."""
    low, high = np.full(len(frames), np.nan), np.full(len(frames), np.nan)
    for at, one in enumerate(frames):
        rows: I64 = np.flatnonzero((one.ids == 1) & one.is_asked)
        if len(rows):
            low[at], high[at] = one.boxes[rows[0], 0], one.boxes[rows[0], 2]
    return low, high


def _catching(frames: Sequence[Scene], share: float) -> F64:
    """The window of the engine `reel`, after what catches the eye."""
    looks: list[shots.Look] = []
    for one in frames:
        rows, columns = one.picture.shape[0] // LOOK_HEIGHT, one.picture.shape[1] // LOOK_WIDTH
        small = one.picture[: rows * LOOK_HEIGHT, : columns * LOOK_WIDTH]
        small = small.reshape(LOOK_HEIGHT, rows, LOOK_WIDTH, columns, 3).mean(axis=(1, 3)).astype(np.uint8)
        looks.append(shots.look(small, looks[-1] if looks else None))
    points = shots.path_of([one.centre[0] for one in looks], fps=FPS, share=share)
    seconds, edges = (np.array(column) for column in zip(*points, strict=True))
    return np.asarray(np.interp(np.arange(len(frames)) / FPS, seconds, edges))


def _naive(shot: Shot, share: float) -> F64:
    """A window around the subject's own detections, held where there is none."""
    edges = shot.edges()
    seen = np.flatnonzero(np.isfinite(edges[:, 0]))
    if not len(seen):
        return np.full(len(edges), 0.5 - share / 2)
    middle = np.interp(np.arange(len(edges)), seen, (edges[seen, 0] + edges[seen, 2]) / 2)
    return np.asarray(np.clip(middle - share / 2, 0, 1 - share))
