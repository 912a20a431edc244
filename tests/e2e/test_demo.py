"""`marquee demo` as somebody runs it, on its own broker: what it says, how it ends, and that nothing stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.demo.feed import BROKEN_COUNT

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 300.0
"""A first start compiles; on an idle machine all of it takes a quarter of this."""
STOP_S = 8.0
"""Everything is gone within 5 s of Ctrl-C; the rest is for a machine that runs other things."""
ITEMS = 12_611

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * WAIT_S)]


class Demo:
    """A running demo; its words are read while it runs."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.log = folder / "words"
        self.out = folder / "out"
        with self.log.open("wb") as words, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "demo", *options],
                cwd=ROOT,
                # Settings of an engine of one's own, even wrong ones, are not the demo's.
                env=os.environ | {"MARQUEE_TRAINER_BATCH_SIZE": "none", "MARQUEE_CONFIG": "/nowhere"} | environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=words,
                start_new_session=True,
            )

    def words(self) -> str:
        return self.log.read_text(encoding="utf-8") + self.out.read_text(encoding="utf-8")

    def wait_for(self, pattern: str) -> re.Match[str]:
        deadline_s = time.monotonic() + WAIT_S
        while (found := re.search(pattern, self.words())) is None:
            assert self.process.poll() is None, self.words()
            assert time.monotonic() < deadline_s, self.words()
            time.sleep(0.05)
        return found

    def interrupt(self) -> tuple[int, float]:
        """Ctrl-C; gives the exit status and how long it took, s."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(WAIT_S), time.monotonic() - began_s


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Demo]]:
    """Temporary files of the demo go to a folder that we can look into."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    started: list[Demo] = []

    class Started(Demo):
        def __init__(self, *options: str, **environ: str) -> None:
            super().__init__(tmp_path, *options, **environ)
            started.append(self)

    yield Started
    for demo in started:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


def assert_nothing_is_left(port: int) -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert list(processes_with(f"127.0.0.1:{port}")) == []
    assert [path.name for path in Path(tempfile.gettempdir()).glob("marquee-demo-*")] == []


def processes_with(word: str) -> Iterator[str]:
    """Command lines of living processes that hold ``word``; Linux."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if word in line:
                yield line


@pytest.fixture(autouse=True)
def _tempdir_of_the_test(start, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)  # read TMPDIR again


def test_it_learns_everything_says_so_and_leaves_nothing_behind(start):
    demo = start("--events", "3000", "--rate", "500", "--json")
    port = int(demo.wait_for(r"127\.0\.0\.1:(\d+)")[1])
    assert list(processes_with(f"127.0.0.1:{port}")), "the check below would find nothing even if something were left"
    assert demo.process.wait(WAIT_S) == 0, demo.words()
    found = json.loads(demo.out.read_text())
    assert found["is_complete"]
    assert found["learned"] == found["produced"] == 3_000
    assert found["items"] == ITEMS
    assert found["dead_letters"] == found["broken"] == BROKEN_COUNT
    assert (found["reflected"], found["unreflected"]) == (1_500, 0)
    assert 0 < found["fresh_p50_ms"] <= found["fresh_p99_ms"]
    assert found["slates"] > 0
    assert 0.0 < found["decayed_popularity"]["hr_at_10"] < 1.0
    assert 0.0 < found["model"]["ndcg_at_10"] < found["model"]["hr_at_10"] < 1.0
    assert 0 <= found["assets_made"] <= found["content_tasks"]
    assert "With your own Kafka" in demo.words()
    assert "refused" not in demo.words()
    assert_nothing_is_left(port)


def test_ctrl_c_in_the_middle_stops_everything_at_once(start):
    demo = start("--events", "100000", "--rate", "200")
    port = int(demo.wait_for(r"127\.0\.0\.1:(\d+)")[1])
    demo.wait_for(r"\d of 100,000 learned")
    status, took_s = demo.interrupt()
    assert status == 130
    assert took_s < STOP_S
    assert "Stopped early" in demo.words()
    assert "✓ Learned" not in demo.words()
    assert_nothing_is_left(port)


def test_ctrl_c_while_it_starts_stops_everything_at_once(start):
    demo = start()
    port = int(demo.wait_for(r"127\.0\.0\.1:(\d+)")[1])
    demo.wait_for("starting trainer")
    status, took_s = demo.interrupt()
    assert status == 130
    assert took_s < STOP_S
    assert_nothing_is_left(port)


def test_kept_it_answers_requests_until_ctrl_c(start):
    demo = start("--events", "2000", DEMO_KEEP="1")
    port = int(demo.wait_for(r"Still serving on 127\.0\.0\.1:(\d+)")[1])
    console = int(demo.wait_for(r"open http://127\.0\.0\.1:(\d+)/ in a browser")[1])
    with urllib.request.urlopen(f"http://127.0.0.1:{console}/healthz", timeout=WAIT_S) as answer:
        assert json.load(answer) == {"ready": True, "problem": None}
    user = demo.wait_for(r"marquee recommend (\S+) ")[1]
    asked = subprocess.run(
        [sys.executable, "-m", "streams.cli", "recommend", user, "--k", "5", "--broker", f"127.0.0.1:{port}", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    slate = json.loads(asked.stdout)
    assert (slate["user_id"], len(slate["items"])) == (user, 5)
    status, took_s = demo.interrupt()
    assert status == 0
    assert took_s < STOP_S
    assert_nothing_is_left(port)
    assert_nothing_is_left(console)


def test_a_user_who_is_not_in_the_log_is_refused_before_anything_starts(start):
    demo = start("--user", "nobody")
    assert demo.process.wait(WAIT_S) == 1
    assert "expected a user of the first" in demo.words()
    assert "127.0.0.1" not in demo.words()
