"""How processes share a machine: XLA's threads, and who goes first."""

import os
import subprocess
import sys

from streams.processors import THREADS_VARIABLE, TRAINER_NICENESS, use_one_xla_thread


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
