"""SIGKILL at any instant: the trainer comes back, and its state is what an undisturbed replay makes of the log.

``KILLS`` says how often; `make faults` kills a hundred times.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import cli
from streams.contract import codec, topics
from streams.contract.events import LedgerRecord, Slate, SnapshotNotice
from streams.durability.ledger import Placed, recovery_of
from streams.replay.convert import to_interactions, to_items
from streams.replay.fetch import PACKAGED_DIR
from streams.replay.logs import read_log
from tests.conftest import Kafka
from tests.e2e.running import Running, decoded
from tests.faults.fed import command, environment, verified

KILLS = int(os.environ.get("KILLS", "6"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 60 * KILLS)]
PORTION = 400
LONGEST_S, AMONG_STEPS_S = 6.0, 0.3
"""Latest instants of a kill: after a start, before the broker was asked or long after; after a step of many."""


def trainer(engine: Running) -> subprocess.Popen[bytes]:
    with engine.log.open("ab") as log:
        return subprocess.Popen(
            command(engine, "worker", "trainer"), cwd=engine.folder, env=environment(engine), stdin=subprocess.PIPE,
            stdout=log, stderr=log,
        )  # fmt: skip


def run_here(
    engine: Running, capsys: pytest.CaptureFixture[str], *words: str, broker: str | None = None
) -> tuple[int, str, str]:
    """A command's status, output and errors, run in this process: nothing is compiled twice."""
    capsys.readouterr()
    environ = dict(os.environ)
    try:
        status = cli.run(command(engine, *words, broker=broker)[3:])
    finally:  # it names folders for what a process of its own would compile
        os.environ.clear()
        os.environ.update(environ)
    out, err = capsys.readouterr()
    return status, out, err


def said(engine: Running, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints."""
    status, out, err = run_here(engine, capsys, *words)
    assert status == 0, err
    return out


def past_slate(engine: Killed, capsys: pytest.CaptureFixture[str], moment: str) -> Slate:
    words = said(engine, capsys, "recommend", engine.user_id, "--k", "20", "--as-of", moment, "--json")
    slate = codec.decode(Slate, words.encode(), timestamp_ms=-1)
    assert isinstance(slate, Slate)
    return slate


class Killed(Running):
    """An installation whose trainer was killed again and again, and ended in peace at last."""

    produced, user_id = 0, ""

    def wait_until_learning(self, count: int) -> None:
        """Waits until more than so many interactions are learned; what was told before a kill may come again."""
        self.learned()
        self.newest = {}
        self.wait(lambda: self.learned().get("learned", 0) > count, f"more than {count} learned")

    def go_through(self) -> None:
        """Produces a log in portions, with a kill in each."""
        log = read_log(PACKAGED_DIR / "movietweetings").head(PORTION * (KILLS + 1))
        events = list(to_interactions(log))
        self.user_id = events[0].user_id
        named = {event.item_id for event in events}
        self.list_items([item for item in to_items(log.catalogue) if item.item_id in named], at_ms=int(log.time_ms[0]))
        draw = random.Random(5)
        for number in range(KILLS + 1):
            self.act(*events[number * PORTION : (number + 1) * PORTION])
            self.produced = (number + 1) * PORTION
            with trainer(self) as process:
                try:
                    if number < KILLS:
                        if number % 2 == 0:  # else at an instant of its start, or of what it has left to catch up
                            self.wait_until_learning(number * PORTION + draw.randrange(PORTION // 2))
                        time.sleep(draw.uniform(0.0, LONGEST_S if number % 2 else AMONG_STEPS_S))
                        assert process.poll() is None, self.words()
                    else:
                        self.wait_until_learned(self.produced)
                        process.terminate()
                        assert process.wait(60) == 0, self.words()
                finally:
                    process.kill()


@pytest.fixture(scope="module")
def killed(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    engine = Killed(kafka, tmp_path_factory.mktemp("killed"))
    try:
        engine.go_through()
        yield engine
    finally:
        engine.close()


def ledger_of(engine: Running) -> list[Placed]:
    tail = engine.tail(topics.LEDGER.name)
    (end,) = tail.ends(tail.topic).values()
    engine.wait(lambda: len(tail.all()) >= end, "the ledger read")
    return [Placed(message.offset() or 0, decoded(LedgerRecord, message)) for message in tail.messages]


def test_every_record_is_in_one_step_of_the_ledger(killed: Killed) -> None:
    placed = ledger_of(killed)
    fingerprint = placed[0].record.fingerprint
    found = recovery_of(placed, step=0, writer="", fingerprint=fingerprint)
    assert found.passed_over == 0
    times: Counter[tuple[str, int, int]] = Counter()
    for one in found.todo:
        for span in one.record.ranges:
            times.update((span.topic, span.partition, offset) for offset in range(span.first, span.last + 1))
    assert set(times.values()) == {1}
    learned = Counter(topic for topic, _, _ in times)
    assert learned[killed.name(topics.INTERACTIONS)] == killed.produced
    assert learned[killed.name(topics.ITEMS)] == sum(killed.ends(topics.ITEMS).values())


def test_nothing_is_lost_and_nothing_learned_twice(killed: Killed) -> None:
    figures = killed.learned()
    assert (figures["learned"], figures["repeated"], figures["rejected"]) == (killed.produced, 0, 0)
    assert "Traceback" not in killed.words()
    assert killed.words().count("steps again as the ledger names them") >= 1


def test_the_state_is_that_of_an_undisturbed_replay_bit_for_bit(killed: Killed) -> None:
    whole = verified(killed, "--from", "0")
    assert whole["ok"], whole
    assert (whole["from_step"], whole["learned"], whole["differ"]) == (0, killed.produced, [])
    last = [one.record for one in ledger_of(killed) if not one.record.ranges][-1]
    assert (whole["to_step"], whole["state_hash"]) == (last.step, last.state_hash)
    tail = killed.tail(topics.MODEL_SNAPSHOTS.name)
    killed.wait(lambda: any(decoded(SnapshotNotice, m).version == last.step for m in tail.all()), "the last snapshot")


def test_a_part_is_verified_from_the_nearest_snapshot(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    part = json.loads(said(killed, capsys, "verify", "--json"))
    assert part["from_step"] > 0
    assert part["compared"] == part["same"] > 0
    assert part["to_step"] == max(one.record.step for one in ledger_of(killed))


def test_a_slate_of_the_past_is_the_one_that_was_served(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    killed.start("recommender")
    served = killed.slate(killed.user_id, k=20)
    assert killed.stop() == 0
    past = past_slate(killed, capsys, "now")
    assert (past.model, past.as_of) == (served.model, served.as_of)
    scores = {item.item_id: item.score for item in past.items}
    for item in served.items[:15]:  # seconds passed between the newest event and the answer
        assert scores[item.item_id] == pytest.approx(item.score, abs=0.01)


def test_a_moment_is_the_same_from_the_log_and_from_a_snapshot_near_it(
    killed: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    """By step, by the last record of that step and by its time; with all snapshots, and with none."""
    found = recovery_of(ledger_of(killed), step=0, writer="", fingerprint=ledger_of(killed)[0].record.fingerprint)
    record = found.todo[len(found.todo) * 2 // 3].record
    span = next(span for span in record.ranges if "interactions" in span.topic)
    by_step = past_slate(killed, capsys, str(record.step))
    assert by_step.model.step == record.step
    assert past_slate(killed, capsys, f"{span.topic}/{span.partition}:{span.last}") == by_step
    folder = killed.folder / "snapshots"
    folder.rename(killed.folder / "away")
    try:
        assert past_slate(killed, capsys, str(record.step)) == by_step
    finally:
        (killed.folder / "away").rename(folder)
    by_time = past_slate(killed, capsys, f"ms:{by_step.as_of.event_time_ms}")
    assert by_time.as_of.event_time_ms == by_step.as_of.event_time_ms
    assert by_time.model.step >= by_step.model.step


def test_slates_of_two_moments_are_compared(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    last = max(one.record.step for one in ledger_of(killed))
    same = json.loads(said(killed, capsys, "diff", str(last), "now", "--sample", "5", "--json"))
    assert (same["steps"], same["users"], same["overlap"]) == ([last, last], 5, 1.0)
    apart = json.loads(said(killed, capsys, "diff", str(last // 3), "now", "--user", killed.user_id, "--json"))
    (one,) = apart["of"]
    assert 0.0 <= one["overlap"] < 1.0
    assert len(one["entered"]) == len(one["left"]) > 0


def test_the_same_log_under_another_configuration(
    killed: Killed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(killed.config.read_text().replace("[model.towers]", "[model]\nsuccessors = 4\n[model.towers]"))
    told = json.loads(said(killed, capsys, "branch", str(other), "--json"))
    was, would = told["branches"]
    assert was["events"] == would["events"] > 0
    assert was["hr_at_10"]["decayed_popularity"] == would["hr_at_10"]["decayed_popularity"]
    assert told["change"]["ndcg_at_10"] == would["ndcg_at_10"]["model"] - was["ndcg_at_10"]["model"] != 0


@pytest.mark.parametrize(
    ("words", "status", "said_so"),
    [
        (("verify", "--to", "999999"), 2, "expected a step that was learned, got 999999: the ledger ends with step"),
        (("explain", "u", "i", "--as-of", "999999999999999999999999"), 2, "expected a step that was learned"),
        (("recommend", "u", "--as-of", "ms:0"), 2, "before anything was learned"),
        (("recommend", "u", "--as-of", "0"), 2, "before anything was learned"),
        (("recommend", "u", "--as-of", "interactions.v1/0:999999999"), 2, "expected a record that was learned"),
        (("recommend", "u", "--as-of", "yesterday"), 2, "expected a step"),
        (("diff", "now", "\x1b[2J"), 2, "expected a step"),
    ],
)
def test_moments_that_never_were_are_one_clear_line(
    killed: Killed, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, said_so: str
) -> None:
    found, out, err = run_here(killed, capsys, *words)
    assert (found, out) == (status, "")
    assert said_so in err
    assert len(err.splitlines()) == 1


def test_an_unknown_user_or_item_is_an_answer(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(said(killed, capsys, "explain", "nobody knows me", "no such item", "--json"))
    assert (told["rank"], told["without"]) == (None, [])


@pytest.mark.parametrize("words", [("verify",), ("recommend", "u", "--as-of", "now"), ("explain", "u", "i")])
def test_without_a_broker_one_line_says_so(
    killed: Killed, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    found, _, err = run_here(killed, capsys, *words, broker="127.0.0.1:1")
    assert found == 3
    assert err.startswith("Error: no Kafka broker answers at 127.0.0.1:1")


def test_another_configuration_is_refused(killed: Killed, tmp_path: Path) -> None:
    """The same ledger under another configuration is refused, and nothing of the installation is touched."""
    other = tmp_path / "other.toml"
    other.write_text(killed.config.read_text().replace("dim = 8", "dim = 12"))
    words = [word if word != str(killed.config) else str(other) for word in command(killed, "verify", "--from", "0")]
    done = subprocess.run(
        words, cwd=killed.folder, env=environment(killed), check=False, stderr=subprocess.PIPE, text=True, timeout=300
    )
    assert done.returncode == 1
    assert "of the ledger to be learned by" in done.stderr
