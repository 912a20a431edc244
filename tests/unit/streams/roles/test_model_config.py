"""The table [model] of the settings: what it decides, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.recommend.state import ModelConfig
from models.recommend.towers import TowerConfig
from streams.errors import SettingsError
from streams.roles.model_config import fingerprint_of, model_config_of
from streams.settings import Settings


def settings(tmp_path: Path, toml: str = "", **variables: str) -> Settings:
    file = tmp_path / "marquee.toml"
    file.write_text(toml)
    return Settings.from_env(variables, path=file)


def test_without_a_table_the_defaults_hold(tmp_path: Path) -> None:
    assert model_config_of(settings(tmp_path)) == ModelConfig()


def test_the_table_and_the_trainers_settings_decide(tmp_path: Path) -> None:
    toml = """
        [trainer]
        seed = 7
        evaluate_sample = 0.05
        [model]
        min_count = 2
        combiner_rate = 1
        [model.towers]
        dim = 16
        flavour = "content"
        [model.training]
        windows = 8
    """
    config = model_config_of(settings(tmp_path, toml))
    assert (config.seed, config.evaluate_sample, config.min_count, config.combiner_rate) == (7, 0.05, 2, 1.0)
    assert config.towers == TowerConfig(dim=16, flavour="content")
    assert config.training.windows == 8


REFUSED: list[tuple[str, str]] = [
    ("[model]\nmincount = 2", "model.mincount is no setting; known are"),
    ("[model]\nmin_count = 'two'", "model.min_count must be int, got 'two'"),
    ("[model]\nmin_count = 1.5", "model.min_count must be int, got 1.5"),
    ("[model]\nmin_count = true", "model.min_count must be int, got True"),
    ("[model]\nmin_count = 0", "min_count must be a whole number >= 1, got 0"),
    ("[model]\nseed = 5", "model.seed is no setting of its own; set trainer.seed"),
    ("[model]\nevaluate_sample = 0.5", "set trainer.evaluate_sample"),
    ("[model]\ntowers = 3", "model.towers must be a table of settings, got 3"),
    ("[model.towers]\nsize = 3", "model.towers.size is no setting"),
    (
        "[model.towers]\nflavour = 'vanilla'",
        "model.towers.flavour must be one of collaborative, content, hybrid, counts, got 'vanilla'",
    ),
    ("[model.towers]\ntext_encoder = 'minilm'", "model.towers.text_encoder is no setting of its own; set text_encoder"),
    ("[model.training]\nreplayed = 2.0", "replayed must be between 0 and 1, got 2.0"),
    (
        "[model]\nhistory_most = 511",
        "model.history_most must be at least trainer.batch_size = 512, got 511",
    ),
]


@pytest.mark.parametrize(("toml", "words"), REFUSED)
def test_what_is_wrong_is_named(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        model_config_of(settings(tmp_path, toml))
    assert words in str(caught.value)


def test_a_text_encoder_adds_its_numbers_and_is_in_the_fingerprint(tmp_path: Path) -> None:
    given = settings(tmp_path, "[model.towers]\ncontent_dim = 64")
    hashed, minilm = model_config_of(given), model_config_of(given, text_encoder="minilm")
    assert (hashed.towers.content_dim, minilm.towers.content_dim) == (64, 64 + 128)
    assert minilm.towers.hashed_dim == hashed.towers.hashed_dim == 64
    assert "; text hashed; " in fingerprint_of(hashed)
    assert "; text minilm; " in fingerprint_of(minilm)
    with pytest.raises(SettingsError, match="content_dim 1 to 1024, got 64 and 1028"):
        model_config_of(settings(tmp_path, "[model.towers]\ncontent_dim = 900"), text_encoder="minilm")


def test_a_fingerprint_tells_configurations_apart_and_names_the_software() -> None:
    one, same, other = ModelConfig(), ModelConfig(), ModelConfig(min_count=2)
    assert fingerprint_of(one) == fingerprint_of(same) != fingerprint_of(other)
    assert fingerprint_of(one, repeats=True) != fingerprint_of(one)
    named: list[Any] = [part.split()[0] for part in fingerprint_of(one).split("; ")[0].split(", ")]
    assert named == ["marquee", "jax", "jaxlib", "numpy", "numba"]
