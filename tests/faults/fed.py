"""An installation fed with the packaged log in portions, and its ledger learned again beside it.

What the fault tests share: how much was produced, a slate that has taken it, and the comparison at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from streams.contract.events import Interaction, Item, Slate
from streams.replay.convert import to_interactions, to_items
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from tests.conftest import Kafka
from tests.e2e.running import ROOT, Running


def environment(engine: Running) -> dict[str, str]:
    return os.environ | {"JAX_COMPILATION_CACHE_DIR": engine.programs, "PYTHONPATH": str(ROOT),
                         "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # fmt: skip


def command(engine: Running, *words: str, broker: str | None = None) -> list[str]:
    where = ["--broker", broker or engine.kafka.bootstrap, "--prefix", engine.prefix, "--config", str(engine.config)]
    return [sys.executable, "-m", "streams.cli", *words, *where]


def verified(engine: Running, *words: str) -> dict[str, Any]:
    """What `marquee verify` says; its exit status goes with it."""
    status, told, _ = told_with_status(engine, "verify", *words)
    assert (status == 0) == told["ok"]
    return told


def told_by(engine: Running, *words: str) -> dict[str, Any]:
    """What a command that goes well prints, as JSON."""
    status, told, err = told_with_status(engine, *words)
    assert status == 0, err
    return told


def told_with_status(engine: Running, *words: str) -> tuple[int, dict[str, Any], str]:
    """A command's exit status, its JSON, and its errors."""
    done = subprocess.run(
        command(engine, *words, "--json"), cwd=engine.folder, env=environment(engine), check=False,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told, done.stderr


class Fed(Running):
    """An engine under the supervisor, and the packaged log that it is given a portion at a time.

    Args:
      most: how much of the log there is to give.
    """

    def __init__(self, kafka: Kafka, folder: Path, *, most: int) -> None:
        super().__init__(kafka, folder)
        log = read_log(PACKAGED_DIR / "movietweetings").head(most)
        self.events: list[Interaction] = list(to_interactions(log))
        named = {event.item_id for event in self.events}
        self.items: list[Item] = [item for item in to_items(log.catalogue) if item.item_id in named]
        self.start_ms = int(log.time_ms[0])
        self.produced = 0

    def portion(self, count: int) -> list[Interaction]:
        """The next interactions of the log; whoever takes them produces them."""
        self.produced += count
        assert self.produced <= len(self.events), "the log is at its end"
        return self.events[self.produced - count : self.produced]

    def end_in_peace(self) -> dict[str, Any]:
        """Waits until all is learned, ends the engine, and learns the ledger again; gives what `verify` says."""
        figures = self.wait_until_learned(self.produced)
        assert (figures["repeated"], figures["rejected"]) == (0, 0)
        assert self.stop() == 0
        return verified(self, "--from", "0")

    def since(self, said: int) -> list[str]:
        """Lines that the processes have said after the first ``said`` characters."""
        return self.words()[said:].splitlines()


def has_taken(slate: Slate, places: list[tuple[int, int]]) -> bool:
    """Whether the slate was made after these interactions had reached the recommender."""
    return all(slate.as_of.offsets.get(str(partition), 0) > offset for partition, offset in places)


def learned_all(engine: Fed, told: dict[str, Any]) -> bool:
    """Whether the ledger, learned again from its start, is all that was produced and the same state bit for bit."""
    return bool(told["ok"]) and told["learned"] == engine.produced and told["differ"] == []
