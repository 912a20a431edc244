"""Restarts by rule, and real processes that are started, restarted, drained and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.roles.supervisor import EXIT_USAGE, RestartPolicy, Supervisor, describe_exit
from streams.transport.reader import EXIT_HELPLESS

ROOT = Path(__file__).resolve().parents[4]
WAIT_S = 20.0


def test_waits_double_up_to_half_a_minute():
    policy = RestartPolicy()
    assert [policy.wait_s(1.0) for _ in range(9)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_healthy_minute_starts_the_waits_anew():
    policy = RestartPolicy()
    assert [policy.wait_s(ran_s) for ran_s in (0, 59.9, 60.0, 1)] == [0.5, 1.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended by itself"),
        (2, "refused its settings"),
        (3, "found no broker"),
        (70, "met an error"),
        (78, "needs a decision of yours"),
        (-9, "was ended by SIGKILL"),
        (-999, "exit status -999"),
        (5, "ended with exit status 5"),
    ],
)
def test_an_exit_is_told_in_words(status, words):
    assert words in describe_exit(status)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_for(is_met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_met():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_a_role_that_ends_is_started_again_and_the_other_is_left_alone():
    said: list[str] = []
    roles = {"brief": python("raise SystemExit(70)"), "steady": python("import sys; sys.stdin.read()")}
    both = Supervisor(roles, say=said.append)

    def stop_when_seen() -> None:
        wait_for(lambda: sum(line.startswith("brief: started") for line in said) >= 2)
        both.stop()

    helper = threading.Thread(target=stop_when_seen)
    helper.start()
    assert both.run() == 0
    helper.join()
    assert any(line.startswith("brief: met an error (exit status 70") and "again in 0.5 s" in line for line in said)
    assert sum(line.startswith("steady: started") for line in said) == 1
    assert said[-1] == "steady: stopped"


@pytest.mark.slow
def test_refused_settings_end_everything():
    said: list[str] = []
    roles = {"wrong": python(f"raise SystemExit({EXIT_USAGE})"), "steady": python("import sys; sys.stdin.read()")}
    assert Supervisor(roles, say=said.append).run() == EXIT_USAGE
    assert any("refused its settings" in line and line.endswith("stopping") for line in said)
    assert said[-1] == "steady: stopped"


def test_a_role_that_needs_a_decision_is_left_and_the_others_go_on():
    said: list[str] = []
    roles = {"helpless": python(f"raise SystemExit({EXIT_HELPLESS})"), "steady": python("import sys; sys.stdin.read()")}
    one = Supervisor(roles, say=said.append)

    def stop_when_said() -> None:
        wait_for(lambda: any("helpless: needs a decision" in line for line in said))
        time.sleep(0.3)
        one.stop()

    helper = threading.Thread(target=stop_when_said)
    helper.start()
    assert one.run() == 0
    helper.join()
    assert sum(line.startswith("helpless: started") for line in said) == 1
    assert any(line.endswith("; the others go on") for line in said)


def test_nothing_is_left_to_do_once_every_role_needs_a_decision():
    said: list[str] = []
    roles = {name: python(f"raise SystemExit({EXIT_HELPLESS})") for name in ("one", "two")}
    assert Supervisor(roles, say=said.append).run() == EXIT_HELPLESS
    assert said[-1].endswith("; stopping")


@pytest.mark.slow
def test_a_role_deaf_to_sigterm_is_killed(tmp_path):
    said: list[str] = []
    ready = tmp_path / "ready"
    deaf = python(
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    one = Supervisor({"deaf": deaf}, say=said.append, drain_s=0.3)

    def stop_when_ready() -> None:
        wait_for(ready.exists)
        one.stop()

    helper = threading.Thread(target=stop_when_ready)
    helper.start()
    assert one.run() == 0
    helper.join()
    assert said[-1] == "deaf: still running after SIGTERM; killed"


SUPERVISED = """
import sys
from streams.roles.supervisor import Supervisor
child = [sys.executable, "-c", "import time; time.sleep(60)"]
sys.exit(Supervisor({"sleeper": child}, say=lambda line: print(line, flush=True)).run())
"""


def start_supervisor() -> tuple[subprocess.Popen[str], int]:
    """A supervisor process and the pid of its one child."""
    process = subprocess.Popen(python(SUPERVISED), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, int(line.rsplit(" ", 1)[1])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_the_children(number):
    process, child = start_supervisor()
    process.send_signal(number)
    said, _ = process.communicate(timeout=WAIT_S)
    assert (process.returncode, said) == (0, "sleeper: stopped\n")
    assert not is_alive(child)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG; elsewhere the roles watch their stdin")
def test_a_killed_supervisor_leaves_no_orphan():
    process, child = start_supervisor()
    process.kill()
    process.communicate(timeout=WAIT_S)
    wait_for(lambda: not is_alive(child))
