"""The copy of the catalogue on disk: how far it goes, when it is not trusted, and that one process writes."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import numpy as np

from streams.cores.serving import Serving
from streams.durability import snapshots
from streams.roles import catalogue_disk
from streams.roles.catalogue_disk import CatalogueDisk
from tests.factories import make_item
from tests.planted import SMALL

PLACE = ("127.0.0.1:9092", "items.v1")
OFFSETS = {("items.v1", 0): 7, ("items.v1", 1): 0}


def change(function: Any, *args: Any) -> asyncio.Future[Any]:
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    done.set_result(function(*args))
    return done


def with_items(*names: str) -> Serving:
    serving = Serving(SMALL)
    for name in names:
        serving.take_item(name, make_item(item_id=name))
    return serving


async def test_a_copy_is_read_with_how_far_it_goes(tmp_path):
    await CatalogueDisk(tmp_path, PLACE).save(with_items("a", "b"), OFFSETS, change=change)
    serving = Serving(SMALL)
    assert CatalogueDisk(tmp_path, PLACE).load(serving) == OFFSETS
    assert sorted(serving.catalogue.records) == ["a", "b"]


async def test_another_installation_has_another_copy(tmp_path):
    await CatalogueDisk(tmp_path, PLACE).save(with_items("a"), OFFSETS, change=change)
    assert CatalogueDisk(tmp_path, ("127.0.0.1:9092", "other.items.v1")).load(Serving(SMALL)) == {}


async def test_nothing_is_written_while_nothing_changes(tmp_path):
    disk, serving = CatalogueDisk(tmp_path, PLACE), with_items("a")
    for _ in range(2):
        await disk.save(serving, OFFSETS, change=change)
    assert len(list(tmp_path.glob("catalogue/*/snapshot-*"))) == 1
    serving.take_item("b", make_item(item_id="b"))
    await disk.save(serving, OFFSETS, change=change)
    assert len(list(tmp_path.glob("catalogue/*/snapshot-*"))) == 2


async def test_an_old_copy_is_not_used(tmp_path, monkeypatch):
    await CatalogueDisk(tmp_path, PLACE).save(with_items("a"), OFFSETS, change=change)
    monkeypatch.setattr(catalogue_disk, "MOST_AGE_S", -1)
    assert CatalogueDisk(tmp_path, PLACE).load(Serving(SMALL)) == {}


async def test_a_damaged_copy_or_one_of_another_version_is_not_used(tmp_path):
    disk = CatalogueDisk(tmp_path, PLACE)
    await disk.save(with_items("a"), OFFSETS, change=change)
    (folder,) = tmp_path.glob("catalogue/*/snapshot-*")
    records = json.loads((folder / "manifest.json").read_text())["arrays"]
    place = [entry["name"] for entry in records].index("records")
    (folder / f"array-{place:05d}.bin").write_bytes(b"{}")
    serving = Serving(SMALL)
    assert CatalogueDisk(tmp_path, PLACE).load(serving) == {}
    meta = {"format": catalogue_disk.FORMAT, "saved_s": int(time.time())}
    snapshots.save(folder.parent, 9, {"records": np.zeros(3, np.uint8)}, offsets={}, meta=meta)
    assert CatalogueDisk(tmp_path, PLACE).load(serving) == {}
    assert not serving.catalogue.records


async def test_only_one_process_writes_at_a_time(tmp_path):
    disk = CatalogueDisk(tmp_path, PLACE)
    await disk.save(with_items("a"), OFFSETS, change=change)
    (root,) = tmp_path.glob("catalogue/*")
    with catalogue_disk._only_one(root / "lock") as is_ours:
        assert is_ours
        await CatalogueDisk(tmp_path, PLACE).save(with_items("b"), OFFSETS, change=change)
    assert len(snapshots.versions(root)) == 1
    await CatalogueDisk(tmp_path, PLACE).save(with_items("b"), OFFSETS, change=change)
    assert len(snapshots.versions(root)) == 2
