"""Hostile media: files cut short, flipped, of other kinds, far too large, and no files at all, as sources of tasks.

Each goes the way that a worker's task goes, into a store. Each must end in a reason, or in a file that passed every
check (a flipped bit may be one that nobody sees), before its deadline; no process and no file may be left outside the
store, and what the files try to read must be in nothing that was made.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine import percentiles, say
from benchmarks.hostile import Hostile, hostile_files
from benchmarks.report import Figure, report
from streams.contract import ids
from streams.contract.events import ContentAsset, ContentTask, Gain, Item
from streams.roles.workshop import Workshop
from streams.settings import Settings, StudioSettings
from streams.studio.store import ASIDE, sha256_of
from tests.films import film

DEADLINE_S = 60
SECRET = b"what is in no folder of ours"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="marquee-hostile-") as name:
        asyncio.run(measure(Path(name).resolve(), options.files))


async def measure(folder: Path, count: int) -> None:
    """Asks for content of each file in turn."""
    media = folder / "media"
    media.mkdir()
    (folder / "secret").write_bytes(SECRET)
    (media / "secret").write_bytes(SECRET)
    film(folder / "good.mp4", scenes=(0, 1, 3), frames=50)
    studio = StudioSettings(
        store_dir=folder / "store", roots=(str(media),), deadline_s=DEADLINE_S, memory_mb=2_048, file_mb=1_024
    )
    shop = Workshop(Settings(studio=studio, cache_dir=folder / "cache"))
    good = {path.name for path in folder.iterdir()}
    states: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    seconds: list[float] = []
    for number, one in enumerate(hostile_files(media, folder / "good.mp4", count)):
        began_s = time.monotonic()
        record = await shop.make(task_of(one, number), Item(item_id=f"i{number}", title="T"))
        seconds.append(time.monotonic() - began_s)
        await shop.forget(record.task_id)
        states[record.status] += 1
        wrong += [f"{one.name}: {line}" for line in faults(record, one, folder, good, seconds[-1])]
        with contextlib.suppress(OSError):
            (shutil.rmtree if one.path.is_dir() and not one.path.is_symlink() else Path.unlink)(one.path)
        if number % 20 == 19:
            say(f"  {number + 1} of {count}: {dict(states)}, {len(wrong)} wrong")
    left = [path for path in shop.aside.folder.iterdir() if path.name != "lock"]
    wrong += [f"left behind: {path.name}" for path in left]
    shop.close()
    for line in wrong[:20]:
        say(f"  wrong: {line}")
    spent = percentiles([1000 * one for one in seconds])
    report(
        Figure(
            name="hostile files that end in a reason or a checked file", ours=1 - len(wrong) / count, unit="share",
            goal="ours >= 1",
        ),
        Figure(name="longest of them", ours=spent["max_ms"] / 1000, unit="s", goal=f"ours <= {2 * DEADLINE_S}"),
        Figure(name="the median of them", ours=spent["p50_ms"] / 1000, unit="s"),
        files=count,
        states=dict(states),
        wrong=wrong[:20],
        deadline_s=DEADLINE_S,
    )  # fmt: skip


def task_of(one: Hostile, number: int) -> ContentTask:
    """What is asked of a file."""
    name = "text_source" if one.kind == "subtitles" else "source"
    spec: dict[str, Any] = {name: one.path.as_uri()} | ({"target_s": 2.0} if one.kind == "cut" else {})
    task_id = ids.content_task_id(item_id=f"i{number}", kind=one.kind, audience={}, locale=None, spec=spec)
    gain = Gain(metric="none", value=0.0, interval=(0.0, 0.0))
    return ContentTask(task_id=task_id, kind=one.kind, item_id=f"i{number}", expected_gain=gain, spec=spec)


def faults(record: ContentAsset, one: Hostile, folder: Path, good: set[str], spent_s: float) -> list[str]:
    """What is not as promised."""
    found = []
    if record.asset is None and "expected" not in str(record.error):
        found.append(f"no reason: {record.error}")
    if record.asset is not None:
        path = Path(record.asset.uri.removeprefix("file://"))
        if not one.may_do:
            found.append(f"a file was made of it: {record.asset.media_type}")
        if not path.is_relative_to(folder / "store") or sha256_of(path) != record.asset.sha256:
            found.append("another file than told")
        elif SECRET in path.read_bytes():
            found.append("it reached what is outside")
    if spent_s > 2 * DEADLINE_S:  # two engines at most have a try each
        found.append(f"it took {spent_s:.0f} s")
    found += [f"a file outside the store: {path.name}" for path in folder.iterdir() if path.name not in good]
    left = [path.name for path in (folder / "store" / ASIDE).glob("*/*") if path.name != "lock"]
    found += [f"left in the work folder: {name}" for name in left]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return found + [f"a process is left: {pid}" for pid in children]


if __name__ == "__main__":
    main()
