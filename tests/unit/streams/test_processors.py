"""How processes share a machine: XLA's threads, and who goes first."""

import os
import subprocess
import sys

import pytest

from streams.processors import AUTOGROUP, THREADS_VARIABLE, TRAINER_NICENESS, use_one_xla_thread


def test_xla_gets_one_thread_unless_the_environment_says_how_many(monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    use_one_xla_thread()
    assert os.environ[THREADS_VARIABLE] == "3"
    monkeypatch.delenv(THREADS_VARIABLE)
    use_one_xla_thread()
    assert os.environ[THREADS_VARIABLE] == "1"


def test_giving_way_raises_the_niceness():
    program = "import os; from streams.processors import give_way; give_way(); print(os.nice(0))"
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    assert int(done.stdout) == min(19, os.nice(0) + TRAINER_NICENESS)


@pytest.mark.skipif(not os.access(AUTOGROUP, os.W_OK), reason="no groups of sessions here")
@pytest.mark.parametrize("of_its_own", [True, False])
def test_a_session_of_our_own_gives_way_as_a_group_and_no_other_does(of_its_own):
    program = (
        "from streams.processors import AUTOGROUP, give_way; before = AUTOGROUP.read_text().strip(); give_way(); "
        "print(before, AUTOGROUP.read_text().strip(), sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True, start_new_session=of_its_own
    )
    before, after = done.stdout.strip().split("|")  # both are empty for a session in no group, as in some containers
    assert after.endswith(f"nice {TRAINER_NICENESS}") if of_its_own else after == before
