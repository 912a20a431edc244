"""A real Prometheus for the tests, and its promtool: where they are, and how to ask."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from streams.transport.child import ends_with_parent
from streams.transport.embedded import free_port

NO_PROMETHEUS = "MARQUEE_NO_PROMETHEUS"
HOW = (
    "alert rules, board and what roles export are tried with a real Prometheus and its promtool, which are not there; "
    f"on Debian: apt install --no-install-recommends prometheus; {NO_PROMETHEUS}=1 leaves these tests out knowingly"
)
WAIT_S = 480.0
"""Where compiled kernels are not there yet, a first engine takes minutes."""


def missing() -> list[str]:
    """Programs that are not there."""
    return [name for name in ("prometheus", "promtool") if shutil.which(name) is None]


def promtool(*arguments: str, text: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    return subprocess.run(
        ["promtool", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )


class Prometheus:
    """A running one."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **query: str) -> Any:
        """``data`` of an answer of its API."""
        with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def value(self, expression: str) -> float | None:
        """Of an expression that gives one number; None: it gives none."""
        found = self.ask("query", query=expression)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None


@contextlib.contextmanager
def running(config: Path, folder: Path) -> Iterator[Prometheus]:
    """One over a configuration, its data in a folder."""
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            ends_with_parent(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]), stdout=log, stderr=log,
        )  # fmt: skip
    made = Prometheus(port)
    try:
        wait(lambda: _answers(made), "Prometheus answering")
        yield made
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _answers(made: Prometheus) -> bool:
    with contextlib.suppress(OSError):
        made.ask("status/buildinfo")
        return True
    return False


def wait(is_met: Callable[[], Any], what: str, words: Callable[[], str] = str) -> Any:
    """Waits for a condition; what it gave."""
    deadline_s = time.monotonic() + WAIT_S
    while not (found := is_met()):
        assert time.monotonic() < deadline_s, f"not {what} within {WAIT_S:.0f} s\n{words()}"
        time.sleep(0.1)
    return found
