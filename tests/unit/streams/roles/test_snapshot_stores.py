"""The roles and their store: both begin with what it holds, neither begins without it, and no address is followed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import streams
from models.recommend.state import to_arrays
from streams.contract import topics
from streams.durability import snapshots
from streams.durability.ledger import Place
from streams.errors import StoreUnavailableError
from streams.roles.recommender import RecommenderRole
from streams.roles.restoring import Reached
from streams.roles.trainer import Trainer, _Copy
from streams.settings import Settings
from streams.store_url import StoreUrl
from tests.faulty_store import register

SIZES = {"towers": {"dim": 8, "content_dim": 16, "window": 8}}
ROLES: list[Any] = [Trainer, RecommenderRole]


@pytest.fixture
def given(tmp_path: Path) -> Settings:
    register()
    (tmp_path / "store").mkdir()
    url = StoreUrl("unplugged", f"{tmp_path}/store/all")
    return Settings(snapshot_dir=url, cache_dir=tmp_path / "cache", text_encoder="hashed", model=SIZES)


def unplug(given: Settings) -> Path:
    assert isinstance(given.snapshot_dir, StoreUrl)
    plug = Path(given.snapshot_dir.path).parent / "unplugged"
    plug.touch()
    return plug


def save(trainer: Trainer, step: int) -> None:
    asyncio.run(trainer._save(step, _Copy(to_arrays(trainer.learner.state), {}), Reached({}, {}), Place(0, "")))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_does_not_begin_with_nothing_while_the_store_is_silent(given: Settings, role: Any) -> None:
    role(given)
    unplug(given)
    with pytest.raises(StoreUnavailableError, match="expected to list the snapshots in unplugged://.*the cable is out"):
        role(given)


def test_a_trainer_whose_store_is_silent_goes_on_and_says_what_is_unsaved(
    given: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(given)
    told: list[Any] = []

    async def performed(outs: list[Any]) -> None:
        told.extend(outs)

    async def flushed() -> None: ...

    monkeypatch.setattr(trainer.publisher, "perform", performed)
    monkeypatch.setattr(trainer.publisher, "flush", flushed)
    state = trainer.learner.state
    state.step = 5
    plug = unplug(given)

    save(trainer, 5)

    assert "no snapshot of step 5, learning goes on and tries again: expected to list" in caplog.text
    assert (told, trainer.durable_step) == ([], 0)

    plug.unlink()
    state.step = 7
    save(trainer, 7)

    (notice,) = told
    assert notice.topic == topics.MODEL_SNAPSHOTS.name
    assert trainer.durable_step == 7
    assert snapshots.versions(given.snapshot_dir) == [7]


def test_a_recommender_reads_no_snapshot_s_address_from_a_topic(given: Settings) -> None:
    role = RecommenderRole(given)
    read = {topic for reader in role.readers.values() for topic in reader._topics} | set(role.app.reader.topics)
    assert topics.INTERACTIONS.name in read
    assert topics.MODEL_SNAPSHOTS.name not in read


def test_snapshot_notices_are_written_by_the_trainer_and_shown_by_the_console_and_nobody_follows_one() -> None:
    root = Path(streams.__file__).parent
    named = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"SnapshotNotice|MODEL_SNAPSHOTS", path.read_text(encoding="utf-8"))
    }
    shown = {"console/board.py", "console/watching.py"}
    assert named == {"contract/access.py", "contract/events.py", "contract/topics.py", "roles/trainer.py"} | shown
    for name in shown:
        assert not re.search(r"\bopen\(|Path\(|open_store|snapshots\.load", (root / name).read_text(encoding="utf-8"))
    assert "codec.decode" not in (root / "roles" / "trainer.py").read_text(encoding="utf-8")
