"""What every test shares: JAX in its strict modes, shape checks, seeds, a fake clock, a real Kafka when asked for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from deploy.kafka import kafka_up
from streams.kernel_cache import use_kernel_cache

# Read by JAX when it is imported, which nothing above does.
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
install_import_hook(["models", "index"], "beartype.beartype")
use_kernel_cache(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "marquee")

settings.register_profile("marquee", derandomize=True, deadline=None)
settings.load_profile("marquee")

NO_KAFKA = "MARQUEE_NO_KAFKA"
KAFKA_FIXTURES = {"kafka", "any_kafka", "registry_url"}
START_MS = 1_700_000_000_000
_DESELECTED = pytest.StashKey[int]()


class FakeClock:
    """Time that moves only when told."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """UTC epoch, ms."""
        return self._now_ms

    def advance_ms(self, by_ms: int) -> None:
        """Lets ``by_ms`` pass; never negative."""
        if by_ms < 0:
            raise ValueError(f"time moves forward: by_ms must be >= 0, got {by_ms}")
        self._now_ms += by_ms


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@dataclass(frozen=True, kw_only=True)
class Kafka:
    """A running broker of the tests' own."""

    options: kafka_up.Options
    bootstrap: str
    secure: str
    """The SASL_SSL listener's address."""

    def topic(self, stem: str) -> str:
        """A name that no other test uses."""
        return f"{stem}-{secrets.token_hex(4)}"

    def kill(self) -> None:
        """Ends the broker as a crash would."""
        kafka_up.stop(self.options.data, is_abrupt=True)

    def start(self) -> None:
        """Starts it again, on the same port and records."""
        kafka_up.start(self.options)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what needs Kafka; without Java, says so before anything runs."""
    for item in items:
        if KAFKA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")
    if os.environ.get(NO_KAFKA) == "1":
        without = [item for item in items if item.get_closest_marker("kafka") is None]
        config.stash[_DESELECTED] = len(items) - len(without)
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("kafka")])
        items[:] = without


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where workers run the tests and all of them are asked for, says before they start what they need."""
    config = session.config
    if is_worker(config) or not config.getoption("numprocesses", None) or os.environ.get(NO_KAFKA) == "1":
        return
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        _require_tools()


def pytest_collection_finish(session: pytest.Session) -> None:
    """After -m and -k have had their say: is what the chosen tests need installed?"""
    if session.config.option.collectonly or is_worker(session.config):
        return
    if any(item.get_closest_marker("kafka") for item in session.items):
        _require_tools()


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for another one, which collects none itself."""
    return hasattr(config, "workerinput")


def _require_tools() -> None:
    missing: list[str] = []
    for version in (kafka_up.NEWEST_VERSION, kafka_up.OLDEST_VERSION):
        options = kafka_up.Options(
            data=Path(os.devnull), cache=kafka_up.default_cache(os.environ), version=version, is_secure=True
        )
        missing += [line for line in kafka_up.missing_tools(options) if line not in missing]
    if missing:
        raise pytest.UsageError(
            "\nthe chosen tests need a real Kafka broker, and these programs to run it:\n  "
            + "\n  ".join(missing)
            + f"\ninstall them, or set {NO_KAFKA}=1 to leave these tests out knowingly\n"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it left out."""
    config = session.config
    if is_worker(config):
        config.workeroutput[NO_KAFKA] = config.stash.get(_DESELECTED, 0)  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every worker collects everything, so each has left out the same."""
    node.config.stash[_DESELECTED] = getattr(node, "workeroutput", {}).get(NO_KAFKA, 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says loudly what was not run."""
    if count := config.stash.get(_DESELECTED, 0):
        terminalreporter.section("NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{NO_KAFKA}=1: {count} tests against a real Kafka were left out; offsets, rebalances, outages and"
            " compaction are UNTESTED in this run."
        )


@pytest.fixture(scope="session")
def start_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Kafka]]:
    """Starts brokers by version, each once; all end with the session."""
    running: dict[str, Kafka] = {}

    def start(version: str) -> Kafka:
        if version not in running:
            options = kafka_up.Options(
                data=tmp_path_factory.mktemp(f"kafka-{version}").resolve(),
                cache=kafka_up.default_cache(os.environ),
                version=version,
                is_secure=True,
                dies_with_parent=True,
            )  # fmt: skip
            bootstrap, secure = kafka_up.start(options)
            running[version] = Kafka(options=options, bootstrap=bootstrap, secure=secure)
        return running[version]

    yield start
    for broker in running.values():
        kafka_up.stop(broker.options.data)


@pytest.fixture(scope="session")
def kafka(start_kafka: Callable[[str], Kafka]) -> Kafka:
    """A real broker of the newest version that we support; started by the first test that asks."""
    return start_kafka(kafka_up.NEWEST_VERSION)


@pytest.fixture(params=[kafka_up.NEWEST_VERSION, kafka_up.OLDEST_VERSION])
def any_kafka(request: pytest.FixtureRequest, start_kafka: Callable[[str], Kafka]) -> Kafka:
    """The newest and the oldest version that we support, one after the other."""
    version: str = request.param
    return start_kafka(version)
