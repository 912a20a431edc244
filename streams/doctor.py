"""What could be wrong with this machine, its broker and its topics; every finding comes with what to do.

Each check is a function that looks at one thing and returns `Finding`s; nothing is changed. `marquee doctor` prints
them.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from streams.errors import BrokerError, BrokerRefusedError, MarqueeError, SettingsError, SnapshotError, StoreError
from streams.settings import Settings
from streams.store_url import StoreUrl
from streams.text.choice import HOW_TO_GET
from streams.text.files import find_files

if TYPE_CHECKING:
    from streams.transport.admin import TopicDifference

OLDEST_PYTHON: Final = (3, 11)
PINNED: Final = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
"""The transport reaches into private hooks of these; pyproject.toml pins the same versions, and a test compares."""
SHOWN: Final = (
    "kafka-python",
    "confluent-kafka",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "numba",
    "msgspec",
    "polars",
)
BROKER: Final = "broker"
ACCESS: Final = "access"
"""What the finding about the broker itself is called."""
REGISTRY: Final = "registry"
ONE_FAISS_ONLY: Final = "both install the module `faiss` and overwrite each other"
LEAST_FREE_BYTES: Final = 2 << 30
"""A few snapshots of a catalogue of a million items."""

Verdict = Literal["ok", "warning", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
      what: the thing, in a word or two.
      verdict: "failed" keeps Marquee from working, "warning" does not.
      found: what is there.
      remedy: what to do; "" when nothing.
    """

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Is this Python new enough?"""
    found = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        return Finding(what="python", verdict="failed", found=found, remedy=f"install Python {wanted} or newer")
    return Finding(what="python", verdict="ok", found=found)


def installed_versions() -> dict[str, str]:
    """Version of every installed distribution, by its name in lower case with dashes."""
    found = {}
    for one in importlib.metadata.distributions():
        found[one.name.lower().replace("_", "-")] = one.version
    return found


def check_packages(versions: Mapping[str, str]) -> list[Finding]:
    """Are the packages there, and those that are pinned in the right version?"""
    findings = []
    for name, wanted in PINNED.items():
        found = versions.get(name, "not installed")
        if found == wanted:
            findings.append(Finding(what=name, verdict="ok", found=found))
        else:
            remedy = f"pip install {name}=={wanted} (the bulk transport is tested with this version alone)"
            findings.append(Finding(what=name, verdict="failed", found=found, remedy=remedy))
    missing = [name for name in SHOWN if name not in versions]
    shown = ", ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)
    if missing:
        remedy = f"pip install {' '.join(missing)}, or install Marquee again"
        findings.append(Finding(what="packages", verdict="failed", found=f"no {', '.join(missing)}", remedy=remedy))
    else:
        findings.append(Finding(what="packages", verdict="ok", found=shown))
    return findings


def check_faiss_packages(versions: Mapping[str, str]) -> Finding:
    """Is there exactly one of the two faiss packages?"""
    there = [f"{name} {versions[name]}" for name in ("faiss-cpu", "faiss-gpu") if name in versions]
    found = " and ".join(there) or "none"
    if len(there) == 1:
        return Finding(what="faiss package", verdict="ok", found=found)
    if there:
        remedy = f"{ONE_FAISS_ONLY}: pip uninstall -y faiss-cpu faiss-gpu, then install the one you want"
    else:
        remedy = "pip install 'marquee[cpu]', or 'marquee[gpu]' on a machine with an NVIDIA GPU; never both"
    return Finding(what="faiss package", verdict="failed", found=found, remedy=remedy)


def check_faiss(gpu_count: Callable[[], int]) -> Finding:
    """Does faiss load, and does it see a GPU? ``gpu_count`` imports it."""
    try:
        count = gpu_count()
    except ImportError as error:
        return Finding(
            what="faiss",
            verdict="failed",
            found=f"does not load: {error}",
            remedy="install faiss-cpu or faiss-gpu again",
        )
    return Finding(what="faiss", verdict="ok", found=f"{count} GPUs" if count else "no GPU, searches on the CPU")


def check_devices(list_devices: Callable[[], Sequence[str]]) -> Finding:
    """What does JAX compute on? ``list_devices`` imports it and names each device's platform."""
    try:
        platforms = list_devices()
    except (ImportError, RuntimeError) as error:
        remedy = "install jax again, or set JAX_PLATFORMS=cpu"
        return Finding(what="jax devices", verdict="failed", found=str(error), remedy=remedy)
    counts = {name: platforms.count(name) for name in sorted(set(platforms))}
    found = ", ".join(f"{count} x {name}" for name, count in counts.items())
    return Finding(what="jax devices", verdict="ok", found=found)


def check_snapshot_dir(root: Path | StoreUrl, *, free_bytes: Callable[[Path], int] | None = None) -> Finding:
    """Can snapshots be written there, is there room, and are those that are there readable?"""
    if isinstance(root, StoreUrl):
        return _check_object_store(root)
    where = root.resolve()
    parent = next(one for one in (where, *where.parents) if one.exists())
    remedy = "make it writable for this user, or set snapshot_dir (MARQUEE_SNAPSHOT_DIR)"
    if not parent.is_dir():
        return Finding(what="snapshot_dir", verdict="failed", found=f"{parent} is a file", remedy=remedy)
    try:
        with tempfile.NamedTemporaryFile(dir=parent, prefix=".marquee-doctor-") as probe:
            probe.write(b"probe")
    except OSError as error:
        return Finding(what="snapshot_dir", verdict="failed", found=f"{where}: {error.strerror}", remedy=remedy)
    free = (free_bytes or _free_bytes)(parent)
    if free < LEAST_FREE_BYTES:
        found = f"{where}, {free / 2**30:.1f} GiB free"
        return Finding(what="snapshot_dir", verdict="warning", found=found, remedy="make room, or choose another disk")
    return _check_snapshots(where)


def _check_object_store(url: StoreUrl) -> Finding:
    """Is the store there, does it let us write, and are its snapshots readable?"""
    from streams.durability.object_store import open_object_store

    try:
        open_object_store(url).probe()
        return _check_snapshots(url)
    except SettingsError as error:
        remedy = "install that package, or set snapshot_dir (MARQUEE_SNAPSHOT_DIR)"
        return Finding(what="snapshot_dir", verdict="failed", found=str(error), remedy=remedy)
    except StoreError as error:
        remedy = "the environment or files of the store's library have address and credentials; see docs/operations.md"
        return Finding(what="snapshot_dir", verdict="failed", found=str(error), remedy=remedy)


def _check_snapshots(where: Path | StoreUrl) -> Finding:
    from streams.durability import snapshots

    versions = snapshots.versions(where)
    if not versions:
        return Finding(what="snapshot_dir", verdict="ok", found=f"{where}, writable, no snapshot yet")
    try:
        newest = snapshots.open_ref(where, versions[-1])
    except SnapshotError as error:
        found = f"newest of {len(versions)} snapshots is broken: {error}"
        remedy = "the one before it is used; remove this folder when you have looked at it"
        return Finding(what="snapshot_dir", verdict="warning", found=found, remedy=remedy)
    found = f"{where}, writable, {len(versions)} snapshots, newest version {newest.version}"
    return Finding(what="snapshot_dir", verdict="ok", found=found)


def check_text_encoder(wish: str, folder: Path | None) -> Finding:
    """Is the text encoder there, if it is wanted? ``folder`` has its files; None: nobody has."""
    what = "text encoder"
    if folder is not None:
        return Finding(what=what, verdict="ok", found=f"text_encoder {wish}, MiniLM in {folder}")
    if wish == "hashed":
        return Finding(what=what, verdict="ok", found="text_encoder hashed, MiniLM not needed")
    remedy = f"{HOW_TO_GET} to have new items known by what their words mean"
    if wish == "minilm":
        return Finding(what=what, verdict="failed", found="text_encoder minilm, and no MiniLM here", remedy=remedy)
    return Finding(what=what, verdict="warning", found="no MiniLM here, words are only hashed", remedy=remedy)


def check_settings(load: Callable[[], Settings]) -> tuple[Settings | None, Finding]:
    """Are the settings right? Gives them when they are."""
    try:
        settings = load()
        _check_model(settings)
    except MarqueeError as error:
        return None, Finding(what="settings", verdict="failed", found=str(error), remedy="mend that setting")
    return settings, Finding(
        what="settings", verdict="ok", found=f"broker {settings.broker}, prefix {settings.prefix!r}"
    )


def _check_model(settings: Settings) -> None:
    try:
        from streams.mapping.decoders import decoders_of
        from streams.roles.model_config import model_config_of
    except ImportError:  # a package that does not load has a finding of its own
        return
    model_config_of(settings)
    decoders_of(settings.mapping)


def check_topics(differences: Sequence[TopicDifference]) -> list[Finding]:
    """A finding for each topic property that is not as the contract has it."""
    if not differences:
        return [Finding(what="topics", verdict="ok", found="all there and as expected")]
    findings = [
        Finding(
            what="topics",
            verdict="failed" if one.is_fatal else "warning",
            found=f"{one.topic}: {one.what} is {one.found}, expected {one.expected}",
            remedy=one.remedy,
        )
        for one in differences
        if one.what != "existence"
    ]
    missing = [one.topic for one in differences if one.what == "existence"]
    if missing:
        remedy = "make them with `marquee topics create`"
        findings.append(Finding(what="topics", verdict="failed", found=f"missing: {', '.join(missing)}", remedy=remedy))
    return findings


def check_broker(settings: Settings) -> list[Finding]:
    """Does a broker answer, and are the topics as the contract has them?"""
    from streams.connect import connection_of
    from streams.transport import admin

    connection = connection_of(settings)
    try:
        admin.wait_for_broker(connection, on_wait=lambda _: None, timeout_s=0.0)
        differences = admin.check_topics(connection, settings.topics.specs(), prefix=settings.prefix)
    except BrokerRefusedError as error:
        return [Finding(what=ACCESS, verdict="failed", found=str(error), remedy="mend [security] in marquee.toml")]
    except BrokerError as error:
        remedy = "give its address with --broker or MARQUEE_BROKER; [security] in marquee.toml if it asks for it"
        return [Finding(what=BROKER, verdict="failed", found=str(error), remedy=remedy)]
    return [Finding(what=BROKER, verdict="ok", found=f"answers at {settings.broker}"), *check_topics(differences)]


def check_registry(settings: Settings) -> list[Finding]:
    """Does the schema registry answer, where one is named?"""
    from streams.registry.client import AwayError, Client
    from streams.registry.known import use_registry

    if not settings.registry.url:
        return []
    try:
        use_registry(settings.registry, cache_dir=settings.cache_dir)
        Client(settings.registry).schema(1)
    except SettingsError as error:
        return [Finding(what=REGISTRY, verdict="failed", found=str(error), remedy="mend [registry] in marquee.toml")]
    except AwayError as error:
        return [
            Finding(what=REGISTRY, verdict="failed", found=f"{settings.registry.url} does not answer: {error}",
                    remedy="start it, or mend [registry]; records of schemas that are new wait for it")
        ]  # fmt: skip
    return [Finding(what=REGISTRY, verdict="ok", found=f"answers at {settings.registry.url}")]


def check_this_machine(versions: Mapping[str, str], settings: Settings | None) -> list[Finding]:
    """All checks that need no broker; without settings none of those that need them."""
    findings = [
        check_python(),
        *check_packages(versions),
        check_faiss_packages(versions),
        check_faiss(_faiss_gpu_count),
        check_devices(_jax_platforms),
    ]
    if settings is None:
        return findings
    from streams.doctor_metrics import check_metrics
    from streams.doctor_studio import check_studio

    encoder = check_text_encoder(settings.text_encoder, find_files(settings.encoders_dir))
    machine = [check_snapshot_dir(settings.snapshot_dir), encoder, check_metrics(settings.metrics)]
    return [*findings, *machine, *check_studio(settings)]


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _jax_platforms() -> list[str]:
    import jax

    return [device.platform for device in jax.devices()]


def _faiss_gpu_count() -> int:
    from index import faiss_index

    return int(faiss_index.faiss.get_num_gpus())
