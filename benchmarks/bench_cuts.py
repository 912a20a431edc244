"""Shots and reels on spliced clips whose changes are known: hard cuts and dissolves, beside PySceneDetect where it is.

The clips are made of ffmpeg's own moving pictures, so they say how well changes between unlike shots are found, not
how well a feature film is cut. PySceneDetect is no dependency: `pip install scenedetect-headless` adds the comparison.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, report
from streams.contract.events import Item
from streams.studio import checks, cut, footage, media
from streams.studio.engines import Job
from tests.films import SCENES, film

NEAR_CUT, NEAR_DISSOLVE = 2, 8
"""Frames within which a change counts as found."""
DISSOLVE_FRAMES = 12
REELS = 10
TARGET_S = 4.0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=50, help="half with hard cuts, half with dissolves")
    options = parser.parse_args()
    ours: dict[str, list[int]] = {"hard": [0, 0, 0], "dissolve": [0, 0, 0]}
    peers: dict[str, dict[str, list[int]]] = {}
    worst_s, decoded = 0.0, 0
    reels = min(REELS, options.clips)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.clips):
            path = Path(folder) / f"{number}.mp4"
            kind, cuts, near = clip(path, number)
            add(ours[kind], footage.look_through(path).cuts, cuts, near)
            for name, found in scenedetect(path).items():
                add(peers.setdefault(name, {"hard": [0, 0, 0], "dissolve": [0, 0, 0]})[kind], found, cuts, near)
            if number < reels:
                job = Job(
                    task_id="t", kind="cut", item=Item(item_id="i"), spec={"target_s": TARGET_S, "aspect": "9:16"},
                    source=str(path),
                )  # fmt: skip
                draft = cut.reel.produce(job, Path(folder))
                length_s = media.probe(Path(draft.path)).duration_s
                worst_s = max(worst_s, abs(length_s - TARGET_S))
                decoded += checks.first_failure(draft.checks) is None
            path.unlink()
            print(f"clip {number}: {kind}, {ours}, {peers}", flush=True)
    best = {kind: max((f1(one[kind]) for one in peers.values()), default=None) for kind in ours}
    report(
        Figure(name="F1 of hard cuts", ours=f1(ours["hard"]), unit="F1", peer=best["hard"], goal="ours >= 0.95"),
        Figure(name="F1 of dissolves", ours=f1(ours["dissolve"]), unit="F1", peer=best["dissolve"], goal="ours >= 0.8"),
        Figure(name="length of a reel beside its target, worst", ours=worst_s, unit="s", goal="ours <= 0.5"),
        Figure(name="reels that pass every check", ours=decoded / max(1, reels), unit="share", goal="ours >= 1"),
        counts=ours,
        peers=peers,
    )


def clip(path: Path, number: int) -> tuple[str, list[int], int]:
    """Writes a clip of three to six scenes; gives its kind, its changes, and how near they must be found."""
    chance = random.Random(number)
    scenes = chance.sample(range(len(SCENES)), chance.randrange(3, 7))
    frames = chance.randrange(40, 70)
    is_hard = number % 2 == 0
    cuts = film(path, scenes=scenes, frames=frames, dissolve=0 if is_hard else DISSOLVE_FRAMES)
    return ("hard", cuts, NEAR_CUT) if is_hard else ("dissolve", cuts, NEAR_DISSOLVE)


def add(counts: list[int], found: Sequence[int], truth: Sequence[int], near: int) -> None:
    """Adds hits, false alarms and misses; each true change is hit once at most."""
    left = list(found)
    for at in truth:
        close = [one for one in left if abs(one - at) <= near]
        if close:
            left.remove(min(close, key=lambda one: abs(one - at)))
            counts[0] += 1
        else:
            counts[2] += 1
    counts[1] += len(left)


def f1(counts: Sequence[int]) -> float:
    """F1 of hits, false alarms and misses."""
    hits, false, missed = counts
    return 2 * hits / (2 * hits + false + missed) if hits else 0.0


def scenedetect(path: Path) -> dict[str, list[int]]:
    """First frames of scenes by PySceneDetect's detectors at their defaults; nothing where it is not installed."""
    try:
        import scenedetect as library
    except ImportError:
        return {}
    found: dict[str, list[int]] = {}
    for name in ("ContentDetector", "AdaptiveDetector"):
        scenes: Any = library.detect(str(path), getattr(library, name)())
        found[name] = [int(scene[0].frame_num) for scene in scenes][1:]
    return found


if __name__ == "__main__":
    main()
