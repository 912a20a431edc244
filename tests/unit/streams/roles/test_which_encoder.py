"""Both roles go on with the encoder that the snapshot was learned with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.recommend.content import folded
from models.recommend.state import fresh, to_arrays
from streams.cores.contents import TEXT_LENGTH
from streams.durability import snapshots
from streams.errors import SettingsError
from streams.roles.model_config import model_config_of
from streams.roles.recommender import RecommenderRole
from streams.roles.trainer import Trainer
from streams.settings import Settings
from streams.text.choice import META
from streams.text.encoder import MiniLM
from streams.text.files import find_files
from tests.factories import make_item

SIZES = {"towers": {"dim": 8, "content_dim": 16, "window": 8}}


def settings(folder: Path, text_encoder: str) -> Settings:
    return Settings(
        snapshot_dir=folder / "snapshots", cache_dir=folder / "cache", text_encoder=text_encoder, model=SIZES
    )


def save_snapshot(given: Settings, learned_with: str) -> None:
    """A snapshot of a state that has learned nothing yet."""
    config = model_config_of(given, text_encoder=learned_with)  # type: ignore[arg-type]
    snapshots.save(given.snapshot_dir, 1, to_arrays(fresh(config)), offsets={}, meta={META: learned_with, "clocks": {}})


def _folder() -> Path:
    folder = find_files(Path("nowhere"))
    if folder is None:
        pytest.skip("the wheel of MiniLM is not installed")
    return folder


@pytest.fixture
def _needs_the_wheel() -> None:
    _folder()


@pytest.mark.usefixtures("_needs_the_wheel")
@pytest.mark.parametrize("learned_with", ["hashed", "minilm"])
def test_auto_goes_on_with_the_snapshot_s(tmp_path: Path, learned_with: str) -> None:
    auto = settings(tmp_path, "auto")
    save_snapshot(auto, learned_with)
    for role in (Trainer(auto), RecommenderRole(auto)):
        config = role.config if isinstance(role, Trainer) else role.serving.config
        assert config.towers.text_encoder == learned_with
        assert config.towers.hashed_dim == 16


@pytest.mark.usefixtures("_needs_the_wheel")
def test_auto_takes_the_encoder_that_is_there_and_says_so(tmp_path: Path) -> None:
    trainer = Trainer(settings(tmp_path, "auto"))
    assert trainer.config.towers.text_encoder == "minilm"
    assert "; text minilm; " in trainer.fingerprint
    trainer.learner.learn([make_item(item_id="i", title="Alien (1979)", tags=["Horror"])])
    row = trainer.learner.state.items.row("i")
    content = np.asarray(trainer.learner.state.towers.tables.content)[row]
    np.testing.assert_array_equal(
        content[16:], np.float32(TEXT_LENGTH) * folded(MiniLM(_folder())(["Alien (1979). Horror"]), 128)[0]
    )
    assert (tmp_path / "cache" / "text-vectors.sqlite").is_file()


def test_a_state_is_not_continued_with_another_encoder(tmp_path: Path) -> None:
    save_snapshot(settings(tmp_path, "auto"), "minilm")
    with pytest.raises(SettingsError, match="text_encoder must be 'minilm' or 'auto', got 'hashed'"):
        Trainer(settings(tmp_path, "hashed"))
