"""An object store that falls silent: while the trainer learns, while it starts, and the commands that read the past.

One installation, in the order of the tests. Its store is a folder that answers through fsspec, unless it is unplugged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.durability import snapshots
from streams.replay.convert import to_interactions
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from streams.store_url import StoreUrl
from tests.conftest import Kafka
from tests.faults.test_faults import PORTION, World
from tests.faults.test_kills import run_here
from tests.faulty_store import register

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PROGRAM = "from tests.faulty_store import register; register(); from streams import cli; cli.main()"


class Stored(World):
    """A trainer whose snapshots lie in a store that can be unplugged."""

    program = ("-c", PROGRAM)

    @property
    def url(self) -> StoreUrl:
        return StoreUrl("unplugged", f"{self.folder}/store/all")

    @property
    def plug(self) -> Path:
        return self.folder / "store" / "unplugged"

    def told(self, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
        """What a command says of this installation, as JSON."""
        status, out, err = run_here(self, capsys, *words, "--json")
        assert status == 0, err
        return json.loads(out)


@pytest.fixture(scope="module")
def stored(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    register()
    engine = Stored(kafka, tmp_path_factory.mktemp("store"))
    (engine.folder / "store").mkdir()
    text = engine.config.read_text()
    engine.config.write_text(text.replace(f"{engine.folder}/snapshots", str(engine.url)))
    engine.events = list(to_interactions(read_log(PACKAGED_DIR / "movietweetings").head(PORTION * 8)))
    try:
        engine.more()
        engine.learn()
        yield engine
    finally:
        engine.close()


def test_a_store_that_falls_silent_stops_no_learning_and_what_is_unsaved_is_told(stored: Stored) -> None:
    before = snapshots.versions(stored.url)
    assert before
    with stored.trainer(MARQUEE_TRAINER_SNAPSHOT_EVERY_STEPS="1") as process:
        stored.wait(lambda: stored.learned().get("learned") == stored.produced, "what was there learned")
        stored.plug.touch()
        stored.more()
        stored.wait(lambda: stored.learned().get("learned") == stored.produced, "learned without a store")
        stored.wait(lambda: stored.learned().get("unsaved", 0) > 0, "steps told as unsaved")
        stored.wait(lambda: "learning goes on and tries again" in stored.words(), "a failed snapshot told")
        assert "the cable is out" in stored.words()
        assert process.poll() is None
        stored.plug.unlink()
        assert snapshots.versions(stored.url) == before
        stored.more()
        stored.wait(lambda: snapshots.versions(stored.url)[-1] > before[-1], "a snapshot once the store is back")
        stored.wait(lambda: stored.learned().get("learned") == stored.produced, "all learned")
        process.kill()  # the ledger has what the store has not


def test_a_store_that_is_silent_at_the_start_is_waited_for_and_nothing_begins_anew(stored: Stored) -> None:
    newest = snapshots.newest(stored.url)
    assert newest is not None
    stored.more()
    stored.plug.touch()
    said = len(stored.words())
    with stored.trainer() as process:
        stored.wait(lambda: stored.words()[said:].count("trying again in") > 1, "two looks for the store")
        assert "expected to list the snapshots in unplugged://" in stored.words()[said:]
        assert process.poll() is None
        assert stored.learned() == {}, "it learns without its snapshot"
        stored.plug.unlink()
        stored.wait(lambda: stored.learned().get("learned") == stored.produced, "all learned")
        process.terminate()
        assert process.wait(60) == 0
    again = snapshots.newest(stored.url)
    assert again is not None
    assert again.version > newest.version
    assert len(snapshots.versions(stored.url)) <= 3


def test_the_past_is_read_from_a_store(stored: Stored, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    oldest, *_, newest = snapshots.versions(stored.url)
    checked = stored.told(capsys, "verify")
    assert (checked["from_step"], checked["ok"], checked["differ"]) == (oldest, True, [])
    user = stored.events[0].user_id
    slate = stored.told(capsys, "recommend", user, "--as-of", str(newest))
    assert slate["items"]
    compared = stored.told(capsys, "diff", str(oldest), "now", "--user", user)
    assert compared["steps"][0] == oldest
    other = tmp_path / "other.toml"
    other.write_text(stored.config.read_text().replace("diversity = 0.0", "diversity = 0.1"))
    branches = stored.told(capsys, "branch", str(other), "--from", str(oldest))["branches"]
    assert [row["from_step"] for row in branches] == [oldest, oldest]


def test_the_past_is_not_told_without_the_store(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    stored.plug.touch()
    try:
        status, out, err = run_here(stored, capsys, "verify", "--json")
    finally:
        stored.plug.unlink()
    assert (status, out) == (1, "")
    assert "Error: expected to list the snapshots in unplugged://" in err
