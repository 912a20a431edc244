"""The small platform beside the log lacks what it is known to lack, and its lines say so."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from streams.contract.events import Asset, ContentAsset, ContentTask, Gain, Item
from streams.cores.plan import Planner
from streams.demo import beside, making_screen, workshop
from streams.demo.making import Making, MakingWatch
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from streams.settings import Settings

CLIPS = [(name, Path("/clips") / f"{name}.mp4") for name in ("bikes", "bunny", "phone")]


@pytest.fixture(scope="module")
def catalogue() -> list[Item]:
    return beside.catalogue(CLIPS, read_log(PACKAGED_DIR / "movietweetings").head(3_000))


def found(items: Sequence[Item]) -> list[ContentTask]:
    planner = Planner()
    return planner.take([*items, *beside.viewers(), *beside.events(items, start_ms=1_362_000_000_000)])


def test_the_planner_finds_what_the_platform_lacks_and_nothing_else(catalogue: list[Item]) -> None:
    tasks = found(catalogue)
    assert {task.item_id for task in tasks if task.kind == "image"} == {"bikes"}
    assert {task.item_id for task in tasks if task.kind == "cut"} == {"bunny", "phone"}
    blurbs = {task.item_id for task in tasks if task.kind == "blurb"}
    assert len(blurbs & {item.item_id for item in catalogue if not item.assets}) == beside.FILMS
    assert {task.locale for task in tasks if task.kind == "blurb"} == {"de"}
    assert {task.kind for task in tasks} == {"image", "cut", "blurb"}


def test_without_clips_there_are_texts(catalogue: list[Item]) -> None:
    assert {task.kind for task in found([item for item in catalogue if not item.assets])} == {"blurb"}


def test_the_same_seed_gives_the_same_viewers(catalogue: list[Item]) -> None:
    one, other = (list(beside.events(catalogue, start_ms=0, count=500)) for _ in range(2))
    assert one == other
    assert np.diff([event.occurred_at_ms for event in one]).min() >= 0


def test_clips_are_files_that_are_there(tmp_path: Path) -> None:
    clips = beside.clips_in(tmp_path / "clips", seconds=0.4)
    assert clips
    assert all(path.is_file() and path.parent == tmp_path / "clips" for _, path in clips)


def test_the_settings_of_its_roles_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "marquee.toml"
    path.write_text(workshop.settings_toml(tmp_path))
    settings = Settings.from_env({}, path=path)
    assert settings.studio.roots == (str(tmp_path / "clips"),)
    assert settings.studio.store_dir == tmp_path / "assets"


def task(task_id: str, gain: float = 5.0, **changes: object) -> ContentTask:
    evidence = [{"of": "audience", "shown": 61, "clicked": 2}, {"of": "expected", "rate": 0.2134}]
    values: dict[str, object] = {
        "task_id": task_id, "kind": "image", "item_id": "bikes", "audience": {"surface": "home"},
        "expected_gain": Gain(metric="clicks", value=gain, interval=(0.0, 9.0)), "evidence": evidence,
    }  # fmt: skip
    return ContentTask(**(values | changes))  # type: ignore[arg-type]


def done(task_id: str) -> ContentAsset:
    asset = Asset(asset_id="a", uri="file:///a.jpg", media_type="image/jpeg", size_bytes=12_345)
    return ContentAsset(task_id=task_id, item_id="bikes", status="done", asset=asset, engine={"name": "frame"})


def test_lines_say_what_is_wanted_why_and_what_became_of_it() -> None:
    watch = MakingWatch({"bikes": "Bikes"})
    for one in (task("small", 1.0), task("big", 9.0), task("made"), task("failed"), task("gone")):
        watch.take_task(one)
    watch.take_task(task("gone", withdrawn=True, evidence=[]))
    watch.take_asset(done("made"))
    watch.take_task(task("made", withdrawn=True, evidence=[]))
    watch.take_asset(ContentAsset(task_id="failed", item_id="bikes", status="failed", error="no ffmpeg"))
    making = watch.making()
    assert [line.state for line in making.lines] == ["made", "wanted", "wanted", "not made"]
    assert (making.tasks, making.made, making.not_made) == (4, 1, 1)
    made, big, *_, failed = making.lines
    assert (made.title, made.why, made.became) == (
        "Bikes",
        "clicked 2 of 61, expected 21 %",
        "image/jpeg, 12.3 kB by frame",
    )
    assert (big.gain, big.audience) == ("+9 clicks", "everybody")
    assert failed.became == "no ffmpeg"


def test_the_panel_fits_its_rows_and_nobody_s_title_steers_the_terminal() -> None:
    watch = MakingWatch({"bikes": "\x1b[2J[bold]Evil[/bold]\n"})
    for number in range(20):
        watch.take_task(task(f"t{number}", number))
    for number in range(12):
        watch.take_asset(done(f"t{number}"))
    making = watch.making()
    assert len(making_screen.chosen(making, 7)) == 7
    assert {line.state for line in making_screen.chosen(making, 7)} == {"made", "wanted"}
    out = io.StringIO()
    console = Console(file=out, width=98, force_terminal=False)
    console.print(making_screen.making_table(making, 7))
    text = out.getvalue()
    assert len(text.splitlines()) == 7
    assert "\x1b" not in text
    assert making_screen.making_title(Making(tasks=3, made=1, not_made=1)).endswith("3 tasks, 1 made, 1 not made")
