"""An engine that crashes, hangs or fails its checks gives way to the next; a call that is called off leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.contract.events import Asset, ContentTask, Gain, Item
from streams.studio.errors import SpecError
from streams.studio.jobs import carry_out
from streams.studio.rendering import Errand, asset_of
from tests.factories import make_asset, make_item

pytestmark = pytest.mark.slow

ENGINES = """
import os, pathlib, signal, subprocess, sys, time
import msgspec
from streams.studio.blurb import Extract
from streams.studio.checks import Check
from streams.studio.engines import Draft
from streams.studio.errors import EngineError

class Crashing(Extract):
    name = "crashing"
    def produce(self, job, workdir):
        os.kill(os.getpid(), signal.SIGSEGV)

class Hanging(Extract):
    name = "hanging"
    def produce(self, job, workdir):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pathlib.Path(workdir, "..", "..", "pids").resolve().write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)

class Hungry(Extract):
    name = "hungry"
    def produce(self, job, workdir):
        held = bytearray(64 << 30)

class Failing(Extract):
    name = "failing"
    def produce(self, job, workdir):
        path = pathlib.Path(workdir, "x.txt")
        path.write_text("x")
        bad = Check(name="taste", value=0.1, is_ok=False, expected=">= 0.5")
        return Draft(path=str(path), media_type="text/plain", suffix=".txt", checks=[bad])

class Lying(Extract):
    name = "lying"
    def produce(self, job, workdir):
        draft = {"path": "/etc/hostname", "media_type": "text/plain", "suffix": ".txt", "checks": []}
        said = {"type": "outcome", "draft": draft, "engine": {"name": "lying"}}
        sys.stdout.buffer.write(msgspec.json.encode(said) + b"\\n")
        sys.stdout.buffer.flush()
        os._exit(0)

class Chatty(Extract):
    name = "chatty"
    def produce(self, job, workdir):
        while True:
            sys.stdout.buffer.write(b"x" * 65536)

class Looking(Extract):
    name = "looking"
    def produce(self, job, workdir):
        path = pathlib.Path(workdir, "x.txt")
        path.write_text(",".join(sorted(os.environ)))
        return Draft(path=str(path), media_type="text/plain", suffix=".txt", checks=[])

class Absent(Extract):
    name = "absent"
    def available(self):
        return "no licence key"

crashing, hanging, hungry, failing, absent = Crashing(), Hanging(), Hungry(), Failing(), Absent()
lying, chatty, looking = Lying(), Chatty(), Looking()
"""
TASK = ContentTask(
    task_id="t", kind="blurb", item_id="i", expected_gain=Gain(metric="m", value=0.0, interval=(0.0, 0.0)), spec={}
)
ErrandOf = Callable[..., Errand]


@pytest.fixture
def errand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ErrandOf:
    (tmp_path / "odd_engines.py").write_text(ENGINES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(*names: str, **changes: object) -> Errand:
        made = Errand(
            task=TASK, item=Item(item_id="i", title="Title", text="A film of some length."), seed=1,
            workdir=str(tmp_path / "work"), engines=[*(f"odd_engines:{name}" for name in names), "extract"],
        )  # fmt: skip
        return msgspec.structs.replace(made, **changes)

    return make


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_engines_that_cannot_give_way_in_their_order(errand: ErrandOf) -> None:
    outcome = await carry_out(errand("absent", "crashing", "hungry", "failing"), deadline_s=60.0)
    assert outcome.draft is not None
    assert outcome.engine["name"] == "extract"
    assert Path(outcome.draft.path).read_text() == "A film of some length.\n"


async def test_one_that_does_not_end_is_stopped_with_what_it_started(errand: ErrandOf, tmp_path: Path) -> None:
    outcome = await carry_out(errand("hanging", seconds=15.0), deadline_s=15.0)
    assert outcome.engine.get("name") == "extract"
    assert not any(map(is_alive, map(int, (tmp_path / "pids").read_text().split())))


async def test_the_reason_names_each_engine_and_its_figure(errand: ErrandOf) -> None:
    wanted = errand("absent", "crashing", "failing")
    empty = msgspec.structs.replace(wanted, item=Item(item_id="i"))
    outcome = await carry_out(empty, deadline_s=60.0)
    assert outcome.draft is None
    assert not outcome.refused
    for words in ("no licence key", "crashing: expected an outcome", "check taste failed", "empty record"):
        assert words in (outcome.reason or "")
    assert outcome.figures == {"taste": 0.1}


async def test_what_a_process_says_of_its_file_is_not_believed(errand: ErrandOf) -> None:
    empty = msgspec.structs.replace(errand("lying", "chatty"), item=Item(item_id="i"))
    outcome = await carry_out(empty, deadline_s=60.0)
    assert outcome.draft is None
    reason = outcome.reason or ""
    assert "lying: expected a draft that is a regular file in the work folder, got '/etc/hostname'" in reason
    assert "bytes of words, got more" in reason


async def test_a_render_sees_no_more_of_the_environment_than_it_needs(
    errand: ErrandOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "MARQUEE_SECURITY_PASSWORD", "OUR_ENGINE_KEY"):
        monkeypatch.setenv(name, "secret")
    outcome = await carry_out(errand("looking", environment=["OUR_ENGINE_KEY"]), deadline_s=60.0)
    assert outcome.draft is not None
    seen = set(Path(outcome.draft.path).read_text().split(","))
    assert {"PATH", "PYTHONPATH", "OUR_ENGINE_KEY"} <= seen
    assert not seen & {"AWS_SECRET_ACCESS_KEY", "MARQUEE_SECURITY_PASSWORD"}


async def test_a_source_outside_the_lists_is_refused(errand: ErrandOf) -> None:
    task = msgspec.structs.replace(TASK, kind="cut", spec={"source": "file:///etc/hostname"})
    outcome = await carry_out(errand(task=task), deadline_s=60.0)
    assert outcome.refused
    assert "studio.roots" in (outcome.reason or "")


async def test_a_dub_of_nothing_is_refused(errand: ErrandOf) -> None:
    outcome = await carry_out(errand(task=msgspec.structs.replace(TASK, kind="dub")), deadline_s=60.0)
    assert outcome.refused
    assert "expected a film" in (outcome.reason or "")


async def test_a_call_that_is_called_off_leaves_no_process(errand: ErrandOf, tmp_path: Path) -> None:
    work = asyncio.create_task(carry_out(errand("hanging"), deadline_s=600.0))
    async with asyncio.timeout(100):
        while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text():
            await asyncio.sleep(0.05)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    async with asyncio.timeout(60):
        while any(map(is_alive, pids)):
            await asyncio.sleep(0.05)
    assert os.getpid() not in pids


def test_a_text_is_taken_in_the_task_s_language_and_never_in_another():
    english, french, film = (
        make_asset(asset_id=name, uri=f"file:///{name}", media_type=kind, language=language)
        for name, kind, language in (("a", "text/vtt", None), ("b", "text/vtt", "fr-CA"), ("c", "video/mp4", None))
    )
    item = make_item(language="en", assets=[english, french, film])
    for locale, uri in ((None, "file:///a"), ("en-GB", "file:///a"), ("fr", "file:///b")):
        assert asset_of(item, ("text/",), locale) == uri
    assert asset_of(item, ("audio/",), "de") is None
    with pytest.raises(SpecError, match=r"a text in 'de' among the item's assets, got en, fr; nothing here translates"):
        asset_of(item, ("text/",), "de")


async def test_a_task_of_a_dub_takes_what_its_item_has(errand: ErrandOf, movie: Any, tmp_path: Path) -> None:
    script = tmp_path / "lines.vtt"
    script.write_text("WEBVTT\n\n00:01.000 --> 00:03.500\nNobody has lived here since the war.\n")
    assets = [
        Asset(asset_id="f", uri=movie.path.as_uri(), media_type="video/mp4"),
        Asset(asset_id="s", uri=script.as_uri(), media_type="text/vtt", language="en"),
    ]
    item = Item(item_id="i", title="Title", language="en", assets=assets)
    roots = [str(movie.path.parent), str(tmp_path)]
    task = msgspec.structs.replace(TASK, kind="dub", locale="en-GB")
    outcome = await carry_out(errand(task=task, item=item, roots=roots), deadline_s=100.0)
    assert outcome.draft is not None, outcome.reason
    assert outcome.draft.media_type == "video/mp4"
    assert set(outcome.inputs) == {asset.uri for asset in assets}
    french = msgspec.structs.replace(task, locale="fr")
    outcome = await carry_out(errand(task=french, item=item, roots=roots), deadline_s=100.0)
    assert outcome.refused
    assert "nothing here translates" in (outcome.reason or "")
