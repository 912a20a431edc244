"""From what an audience lacks to a file that fills it: a replayed log and all roles, over topics alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.contract import codec, topics
from streams.contract.events import Action, Asset, ContentAsset, ContentTask, Interaction, Item, Slate, SlateItem, User
from streams.cores.plan import Planner
from streams.studio import media
from streams.studio.store import sha256_of
from tests.conftest import Kafka
from tests.e2e.running import ROOT, Running, decoded
from tests.films import film
from tests.platform import DAY_MS, START_MS, catalogue, showings

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def engine(kafka: Kafka, tmp_path: Path) -> Iterator[Running]:
    running = Running(kafka, tmp_path)
    extra = f'[studio]\nstore_dir = "{tmp_path}/assets"\nroots = ["{tmp_path}/media"]\n'
    running.config.write_text(running.config.read_text() + extra)
    yield running
    running.close()


def test_a_film_that_nobody_clicks_on_gets_another_picture_which_earns_its_place(engine: Running) -> None:
    assert media.missing_media() is None
    (engine.folder / "media").mkdir()
    film(engine.folder / "media" / "f0.mp4")
    own = Asset(asset_id="f0-film", uri=(engine.folder / "media" / "f0.mp4").as_uri(), media_type="video/mp4")
    for entry in catalogue():
        if isinstance(entry, Item):
            item = Item(
                item_id=entry.item_id, title=f"Film {entry.item_id}", language="en", duration_s=entry.duration_s,
                assets=[own] if entry.item_id == "f0" else [],
            )  # fmt: skip
            engine.list_items([item], at_ms=START_MS - 1)
        elif isinstance(entry, User):
            engine.send(topics.USERS, [(entry.user_id, codec.encode(entry), START_MS - 1)])
    events = showings(4_000)
    engine.act(*events)
    wanted = {task.task_id for task in Planner().take([*catalogue(), *events])}
    assert wanted

    engine.start("trainer", "recommender", "planner", "studio")
    tasks, assets = engine.tail(topics.CONTENT_TASKS.name), engine.tail(topics.CONTENT_ASSETS.name)
    engine.wait(lambda: {decoded(ContentTask, m).task_id for m in tasks.all()} >= wanted, "the planner's tasks")
    engine.wait(lambda: len(assets.all()) >= len(wanted), "a record for each task")

    (task,) = {task.task_id: task for task in (decoded(ContentTask, m) for m in tasks.messages)}.values()
    (record,) = [decoded(ContentAsset, m) for m in assets.messages]
    assert (task.kind, task.item_id, task.audience) == ("image", "f0", {"surface": "home"})
    assert task.evidence
    assert (record.task_id, record.status) == (task.task_id, "done"), record.error
    assert record.asset is not None
    picture = Path(record.asset.uri.removeprefix("file://"))
    assert sha256_of(picture) == record.asset.sha256
    assert record.asset.media_type.startswith("image/")

    earns_its_place(engine, record.asset.asset_id, after_ms=events[-1].occurred_at_ms)
    engine.send(topics.CONTENT_ASSETS, [("f0", None, events[-1].occurred_at_ms)])
    engine.slate_that(lambda slate: not place_of(slate).asset_ids, "the withdrawn picture gone", "new", k=6)
    assert engine.stop() == 0


def place_of(slate: Slate) -> SlateItem:
    """The film's place in a slate of somebody who has seen nothing."""
    return next(item for item in slate.items if item.item_id == "f0")


def earns_its_place(engine: Running, asset_id: str, *, after_ms: int) -> None:
    """The picture and the film's own share the showings until people click on the one and not on the other."""
    dressed = engine.slate_that(
        lambda slate: any(item.item_id == "f0" and item.asset_ids for item in slate.items), "a choice", "new", k=6
    )
    place = place_of(dressed)
    assert set(place.asset_ids) < {asset_id, "own:image"}
    assert place.asset_propensities == [0.5]

    what: list[tuple[str, Action, int]] = [
        (asset_id, "impression", 80), (asset_id, "click", 40), ("own:image", "impression", 80),
        ("own:image", "click", 2),
    ]  # fmt: skip
    clicked = [
        Interaction(
            event_id=f"{action}-{asset}-{at}", user_id=f"e{at % 20}", item_id="f0", action=action, surface="home",
            occurred_at_ms=after_ms + 1_000 * at, position=1, asset_ids=[asset],
        )
        for asset, action, count in what
        for at in range(count)
    ]  # fmt: skip
    a_day_later = Interaction(
        event_id="later", user_id="e0", item_id="f1", action="progress", occurred_at_ms=after_ms + DAY_MS
    )
    engine.act(*clicked, a_day_later)
    engine.slate_that(lambda slate: place_of(slate).asset_propensities == [1.0], "the choice made", "new", k=6)
    assert {place_of(engine.slate("new", k=6)).asset_ids[0] for _ in range(4)} == {asset_id}

    command = [sys.executable, "-m", "streams.cli", "tasks", "lift", "f0", "--json", "--prefix", engine.prefix]
    told = subprocess.run(
        [*command, "--broker", engine.kafka.bootstrap, "--config", str(engine.config)], capture_output=True, cwd=ROOT,
        check=True, timeout=120,
    )  # fmt: skip
    own, ours = json.loads(told.stdout)["arms"]
    assert [(arm["asset_id"], arm["shown"], arm["taken"]) for arm in (own, ours)] == [
        ("own:image", 80, 2), (asset_id, 80, 40)
    ]  # fmt: skip
    assert [window["values"]["shown"] for window in ours["windows"]] == [80]
    assert ours["windows"][0]["values"]["lift_low"] > 1
