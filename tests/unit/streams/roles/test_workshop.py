"""A task that ends its worker each time is given up; one that was called off, or met a full disk, is not to blame."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.roles.workshop import Workshop
from streams.settings import Settings, StudioSettings
from streams.studio.store import TRIES, Aside, Store
from tests.factories import make_content_task, make_item

ENGINES = """
import os, pathlib, signal, time
from streams.studio.blurb import Extract

class Poison(Extract):
    name = "poison"
    def produce(self, job, workdir):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)

class Slow(Extract):
    name = "slow"
    def produce(self, job, workdir):
        pathlib.Path(os.environ["MARK"]).touch()
        time.sleep(600)

poison, slow = Poison(), Slow()
"""
WORKER = """
import asyncio, sys
from pathlib import Path
from streams.contract import codec
from streams.roles.workshop import Workshop
from tests.unit.streams.roles.test_workshop import ITEM, TASK, settings_of

async def main():
    shop = Workshop(settings_of(Path(sys.argv[1]), "poisoned:poison"))
    print((await shop.make(TASK, ITEM)).error)

asyncio.run(main())
"""
TASK = make_content_task(task_id="t", kind="blurb", locale=None, spec={})
ITEM = make_item(text="A film of some length.", language="en")
ROOT = Path(__file__).resolve().parents[4]


def settings_of(folder: Path, *engines: str) -> Settings:
    studio = StudioSettings(store_dir=folder / "store", engines=engines, environment=("MARK",), tries=2)
    return Settings(studio=studio, cache_dir=folder / "cache")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "poisoned.py").write_text(ENGINES)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    return tmp_path


def tries(folder: Path) -> int:
    return Store(folder / "store").tries("t")


@pytest.mark.slow
def test_a_task_that_ends_its_worker_is_given_up_after_so_many_tries(here: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(here)]
    for nth in (1, 2):
        worker = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=100)
        assert worker.returncode == -signal.SIGKILL, worker.stderr
        assert tries(here) == nth
    last = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=100)
    assert last.stdout.startswith(b"expected an end within 2 tries, got none")


@pytest.mark.slow
async def test_a_task_that_is_called_off_was_not_tried(here: Path) -> None:
    shop = Workshop(settings_of(here, "poisoned:slow"))
    work = asyncio.create_task(shop.make(TASK, ITEM))
    async with asyncio.timeout(100):
        while not (here / "mark").exists():
            await asyncio.sleep(0.05)
    assert tries(here) == 1
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    assert tries(here) == 0
    assert list(shop.aside.folder.iterdir()) == [shop.aside.folder / "lock"]
    shop.close()


@pytest.mark.slow
async def test_a_full_disk_is_waited_for_and_the_task_is_done_then(here: Path) -> None:
    class Full(Store):
        failures = 2

        def put(self, *args, **options):
            self.failures -= 1
            if self.failures >= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().put(*args, **options)

    shop = Workshop(settings_of(here, "extract"))
    shop.store, shop.patience_s = Full(here / "store"), 0.01
    record = await shop.make(TASK, ITEM)
    assert record.status == "done", record.error
    assert (
        Path(str(record.asset and record.asset.uri).removeprefix("file://")).read_text() == "A film of some length.\n"
    )
    assert tries(here) == 1, "its record is not told yet"
    await shop.forget("t")
    assert list((here / "store" / TRIES).iterdir()) == []
    shop.close()


def test_two_workers_share_a_store(here: Path) -> None:
    one, other = Workshop(settings_of(here)), Workshop(settings_of(here))
    assert one.aside.folder != other.aside.folder
    one.close()
    Aside(other.store.corners).close()
    assert other.aside.folder.exists()
    other.close()
