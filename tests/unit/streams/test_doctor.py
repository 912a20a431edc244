"""The doctor: each thing that can be wrong is found, and comes with what to do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams import doctor
from streams.durability import snapshots
from streams.errors import SettingsError
from streams.registry.known import use_registry
from streams.registry_settings import RegistrySettings
from streams.settings import Settings
from streams.store_url import StoreUrl
from streams.transport.admin import TopicDifference
from tests.faulty_store import register

ROOMY = 100 << 30
ALL_THERE = {**doctor.PINNED, **dict.fromkeys(doctor.SHOWN, "1.0"), "faiss-cpu": "1.15.1"}


def verdicts(findings: list[doctor.Finding]) -> set[str]:
    return {finding.verdict for finding in findings}


def test_pins_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    names = {one.split(";")[0].strip() for one in project["dependencies"]}
    assert {f"{name}=={version}" for name, version in doctor.PINNED.items()} <= names


def test_python() -> None:
    assert doctor.check_python().verdict == "ok"
    old = doctor.check_python((3, 10, 4))
    assert (old.verdict, old.remedy) == ("failed", "install Python 3.11 or newer")
    assert old.found.startswith("3.10.4 on ")


def test_packages() -> None:
    assert verdicts(doctor.check_packages(ALL_THERE)) == {"ok"}
    other = doctor.check_packages(ALL_THERE | {"faust-streaming": "0.16.0"})
    assert [(one.what, one.found) for one in other if one.verdict == "failed"] == [("faust-streaming", "0.16.0")]
    assert "pip install faust-streaming==0.15.3" in other[0].remedy
    fewer = doctor.check_packages(
        {name: version for name, version in ALL_THERE.items() if name not in ("jax", "aiokafka")}
    )
    failed = {one.what: one for one in fewer if one.verdict == "failed"}
    assert failed["aiokafka"].found == "not installed"
    assert (failed["packages"].found, failed["packages"].remedy.split(",")[0]) == ("no jax", "pip install jax")


def test_installed_versions_are_those_of_this_environment() -> None:
    assert doctor.installed_versions()["numpy"] == np.__version__
    assert verdicts(doctor.check_packages(doctor.installed_versions())) == {"ok"}


@pytest.mark.parametrize(
    ("packages", "verdict", "found", "remedy"),
    [
        ({"faiss-cpu": "1"}, "ok", "faiss-cpu 1", ""),
        ({"faiss-gpu": "2"}, "ok", "faiss-gpu 2", ""),
        ({}, "failed", "none", "pip install 'marquee[cpu]'"),
        ({"faiss-cpu": "1", "faiss-gpu": "2"}, "failed", "faiss-cpu 1 and faiss-gpu 2", "both install the module"),
    ],
)
def test_faiss_packages(packages: dict[str, str], verdict: str, found: str, remedy: str) -> None:
    finding = doctor.check_faiss_packages(packages)
    assert (finding.verdict, finding.found) == (verdict, found)
    assert finding.remedy.startswith(remedy)
    assert (finding.remedy == "") == (verdict == "ok")


def test_faiss_and_devices_that_do_not_load() -> None:
    def broken() -> int:
        raise ImportError("libopenblas.so.0")

    def no_device() -> list[str]:
        raise RuntimeError("Unable to initialize backend 'cuda'")

    assert doctor.check_faiss(lambda: 0).found == "no GPU, searches on the CPU"
    assert doctor.check_faiss(lambda: 2).found == "2 GPUs"
    assert "libopenblas" in doctor.check_faiss(broken).found
    assert doctor.check_faiss(broken).verdict == "failed"
    assert doctor.check_devices(lambda: ["cpu", "gpu", "gpu"]).found == "1 x cpu, 2 x gpu"
    assert "JAX_PLATFORMS=cpu" in doctor.check_devices(no_device).remedy


def test_snapshot_dir(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "snapshots"

    fresh = doctor.check_snapshot_dir(folder, free_bytes=lambda _: ROOMY)
    assert (fresh.verdict, fresh.found) == ("ok", f"{folder}, writable, no snapshot yet")
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"

    for version in (1, 2):
        snapshots.save(folder, version, {"x": np.zeros(3)}, offsets={}, meta={})
    full = doctor.check_snapshot_dir(folder, free_bytes=lambda _: ROOMY)
    assert full.found == f"{folder}, writable, 2 snapshots, newest version 2"

    tight = doctor.check_snapshot_dir(folder, free_bytes=lambda _: 1 << 29)
    assert (tight.verdict, tight.found) == ("warning", f"{folder}, 0.5 GiB free")

    (snapshots.path_of(folder, 2) / "manifest.json").write_text("{")
    torn = doctor.check_snapshot_dir(folder, free_bytes=lambda _: ROOMY)
    assert torn.verdict == "warning"
    assert torn.found.startswith("newest of 2 snapshots is broken")


def test_a_snapshot_dir_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    in_the_way = doctor.check_snapshot_dir(tmp_path / "file" / "snapshots")
    assert (in_the_way.verdict, in_the_way.found) == ("failed", f"{tmp_path / 'file'} is a file")
    proc = doctor.check_snapshot_dir(Path("/proc/marquee"))
    assert proc.verdict == "failed"
    assert "MARQUEE_SNAPSHOT_DIR" in proc.remedy


def test_a_snapshot_dir_in_an_object_store(tmp_path: Path) -> None:
    register()
    (tmp_path / "store").mkdir()
    url = StoreUrl("unplugged", f"{tmp_path}/store/all")
    fresh = doctor.check_snapshot_dir(url)
    assert (fresh.verdict, fresh.found) == ("ok", f"{url}, writable, no snapshot yet")

    snapshots.save(url, 1, {"x": np.zeros(3)}, offsets={}, meta={})
    full = doctor.check_snapshot_dir(url)
    assert (full.verdict, full.found) == ("ok", f"{url}, writable, 1 snapshots, newest version 1")
    assert [path.name for path in (tmp_path / "store" / "all").iterdir()] == [f"snapshot-{1:020d}"], "the probe is gone"

    (tmp_path / "store" / "unplugged").touch()
    silent = doctor.check_snapshot_dir(url)
    assert silent.verdict == "failed"
    assert "the cable is out" in silent.found
    assert "credentials" in silent.remedy

    unknown = doctor.check_snapshot_dir(StoreUrl("nowhere", "bucket/all"))
    assert unknown.verdict == "failed"
    assert "expected a protocol that fsspec knows" in unknown.found


@pytest.mark.parametrize(
    ("wish", "is_there", "verdict", "found"),
    [
        ("auto", True, "ok", "text_encoder auto, MiniLM in /here"),
        ("minilm", True, "ok", "text_encoder minilm, MiniLM in /here"),
        ("hashed", False, "ok", "text_encoder hashed, MiniLM not needed"),
        ("auto", False, "warning", "no MiniLM here, words are only hashed"),
        ("minilm", False, "failed", "text_encoder minilm, and no MiniLM here"),
    ],
)
def test_text_encoder(wish: str, is_there: bool, verdict: str, found: str) -> None:
    finding = doctor.check_text_encoder(wish, Path("/here") if is_there else None)
    assert (finding.verdict, finding.found) == (verdict, found)
    assert ("marquee fetch minilm" in finding.remedy) == (verdict != "ok")


def test_a_wrong_setting_of_the_model_is_found():
    settings, finding = doctor.check_settings(lambda: Settings(model={"heads": {"clicks": 0.3}}))
    assert (settings, finding.verdict) == (None, "failed")
    assert finding.found.startswith("model.heads.clicks is no setting; known are ")


def test_settings() -> None:
    def wrong() -> Settings:
        raise SettingsError("MARQUEE_BROKER must be host:port")

    assert doctor.check_settings(wrong) == (
        None,
        doctor.Finding(
            what="settings", verdict="failed", found="MARQUEE_BROKER must be host:port", remedy="mend that setting"
        ),
    )
    settings, finding = doctor.check_settings(lambda: Settings(prefix="p"))
    assert settings == Settings(prefix="p")
    assert finding.found == "broker 127.0.0.1:9092, prefix 'p'"


def test_this_machine_is_fine(tmp_path: Path) -> None:
    findings = doctor.check_this_machine(doctor.installed_versions(), Settings(snapshot_dir=tmp_path))
    assert "failed" not in verdicts(findings)
    assert [finding.what for finding in findings] == [
        "python", "faust-streaming", "aiokafka", "packages", "faiss package", "faiss", "jax devices", "snapshot_dir",
            "text encoder", "metrics",
            "studio media", "studio engines", "studio store", "studio sources",
    ]  # fmt: skip


def test_without_settings_the_rest_is_still_looked_at() -> None:
    findings = doctor.check_this_machine(doctor.installed_versions(), None)
    assert [finding.what for finding in findings][-1] == "jax devices"


def test_topics_that_differ() -> None:
    def differ(topic: str, what: Any, *, is_fatal: bool) -> TopicDifference:
        return TopicDifference(topic=topic, what=what, expected="4", found="3", is_fatal=is_fatal, remedy="do so")

    assert [one.verdict for one in doctor.check_topics([])] == ["ok"]
    findings = doctor.check_topics(
        [
            differ("a.v1", "existence", is_fatal=True),
            differ("b.v1", "partitions", is_fatal=True),
            differ("c.v1", "retention.ms", is_fatal=False),
            differ("d.v1", "existence", is_fatal=True),
        ]
    )
    assert [(one.verdict, one.found, one.remedy) for one in findings] == [
        ("failed", "b.v1: partitions is 3, expected 4", "do so"),
        ("warning", "c.v1: retention.ms is 3, expected 4", "do so"),
        ("failed", "missing: a.v1, d.v1", "make them with `marquee topics create`"),
    ]


def test_a_registry_that_is_named_is_asked(tmp_path: Path) -> None:
    assert doctor.check_registry(Settings(cache_dir=tmp_path)) == []
    away = Settings(cache_dir=tmp_path, registry=RegistrySettings(url="http://127.0.0.1:1"))
    (finding,) = doctor.check_registry(away)
    use_registry(RegistrySettings(), cache_dir=tmp_path)
    assert (finding.what, finding.verdict) == ("registry", "failed")
    assert "http://127.0.0.1:1 does not answer" in finding.found
