"""From what an audience lacks to a file that may fill it: a replayed log, a planner and a studio, over topics alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.contract import codec, topics
from streams.contract.events import Asset, ContentAsset, ContentTask, Item, User
from streams.cores.plan import Planner
from streams.studio import media
from streams.studio.store import sha256_of
from tests.conftest import Kafka
from tests.e2e.running import Running, decoded
from tests.films import film
from tests.platform import START_MS, catalogue, showings

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def engine(kafka: Kafka, tmp_path: Path) -> Iterator[Running]:
    running = Running(kafka, tmp_path)
    extra = f'[studio]\nstore_dir = "{tmp_path}/assets"\nroots = ["{tmp_path}/media"]\n'
    running.config.write_text(running.config.read_text() + extra)
    yield running
    running.close()


def test_a_film_that_nobody_clicks_on_gets_another_picture(engine: Running) -> None:
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

    engine.start("planner", "studio")
    tasks, assets = engine.tail(topics.CONTENT_TASKS.name), engine.tail(topics.CONTENT_ASSETS.name)
    engine.wait(lambda: {decoded(ContentTask, m).task_id for m in tasks.all()} >= wanted, "the planner's tasks")
    engine.wait(lambda: len(assets.all()) >= len(wanted), "a record for each task")
    assert engine.stop() == 0

    (task,) = {task.task_id: task for task in (decoded(ContentTask, m) for m in tasks.messages)}.values()
    (record,) = [decoded(ContentAsset, m) for m in assets.messages]
    assert (task.kind, task.item_id, task.audience) == ("image", "f0", {"surface": "home"})
    assert task.evidence
    assert (record.task_id, record.status) == (task.task_id, "done"), record.error
    assert record.asset is not None
    picture = Path(record.asset.uri.removeprefix("file://"))
    assert sha256_of(picture) == record.asset.sha256
    assert record.asset.media_type.startswith("image/")
