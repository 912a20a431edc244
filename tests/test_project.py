"""What the project promises of itself: locked sets, packages, and the size of files."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==([^ ]+)")
LINE_LIMIT = 400


def pins(lock: Path) -> dict[str, str]:
    """Package -> version of a locked set."""
    found = (PIN.match(line) for line in lock.read_text(encoding="utf-8").splitlines())
    return {match[1]: match[2] for match in found if match}


def names(requirements: list[str]) -> set[str]:
    """Package names of requirement strings, as locks spell them."""
    return {
        re.split(r"[\[<>=~! ;]", requirement, maxsplit=1)[0].lower().replace("_", "-") for requirement in requirements
    }


def test_there_are_the_three_locked_sets():
    assert [lock.name for lock in LOCKS] == ["base.txt", "dev.txt", "gpu.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_locked_set_has_a_hash_for_every_package_and_names_no_address(lock):
    text = lock.read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    without_hash = [block.split()[0] for block in blocks if PIN.match(block) and "--hash=sha256:" not in block]

    assert without_hash == []
    assert re.findall(r"\S*(?://|--(?:extra-)?index|--find-links|file:)\S*", text) == []


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("base.txt", ["cpu", "embedded"]),
        ("dev.txt", ["cpu", "embedded", "eval", "studio", "whisper", "piper", "registry", "dev"]),
        ("gpu.txt", ["gpu"]),
    ],
)
def test_a_locked_set_holds_what_pyproject_asks_for(lock, extras):
    project = PROJECT["project"]
    wanted = names(project["dependencies"]).union(*(names(project["optional-dependencies"][extra]) for extra in extras))

    assert wanted - pins(ROOT / "requirements" / lock).keys() == set()


def test_the_two_faiss_packages_are_never_in_one_set():
    kinds = {lock.name: {"faiss-cpu", "faiss-gpu"} & pins(lock).keys() for lock in LOCKS}

    assert kinds == {"base.txt": {"faiss-cpu"}, "dev.txt": {"faiss-cpu"}, "gpu.txt": {"faiss-gpu"}}


def test_a_package_has_one_version_in_all_sets():
    base = pins(ROOT / "requirements" / "base.txt")
    for lock in LOCKS:
        differing = {
            name: (version, base[name]) for name, version in pins(lock).items() if base.get(name, version) != version
        }
        assert differing == {}, lock.name


def test_source_files_stay_small():
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    files = [ROOT / name for name in tracked.stdout.splitlines()] or list(ROOT.glob("[a-z]*/**/*.py"))
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files
        if path.exists()
    }

    assert len(sizes) > 10
    assert {name: size for name, size in sizes.items() if size > LINE_LIMIT} == {}


def test_every_package_is_installed_with_its_type_marker():
    for package in ("models", "index", "streams"):
        assert (ROOT / package / "py.typed").exists()
    without_init = {
        str(path.parent.relative_to(ROOT))
        for package in ("models", "index", "streams")
        for path in (ROOT / package).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert without_init == set()
