"""How our processes share the processors of a machine.

The trainer counts in one thread while XLA takes the towers' steps in another: that is two processors already, and a
third thread would only wait for the others in turn. One thread for XLA's programs takes a quarter less processor time a
step, and gives the same bits on any number of processors, so that a state depends on its log alone. Call it before
anything imports jax.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

THREADS_VARIABLE = "PJRT_NPROC"
"""Read by XLA when it starts: the size of its pool of threads."""
AUTOGROUP = Path("/proc/self/autogroup")
"""Niceness of our session as a group, see sched(7)."""
TRAINER_NICENESS = 5
"""Steps of the system's scale of 20: where the machine is short of processors, whoever waits for a slate goes first."""


def use_one_xla_thread() -> None:
    """Have XLA's programs run in one thread, unless the environment says how many."""
    os.environ.setdefault(THREADS_VARIABLE, "1")


def give_way(niceness: int = TRAINER_NICENESS) -> None:
    """Let the other processes of this machine go first: for the trainer, whose figures may be a moment late.

    More so for planner and studio, which nobody waits for.
    """
    os.nice(niceness)
    give_way_as_group()


def give_way_as_group() -> None:
    """Linux may schedule sessions as groups, inside which alone niceness counts: a session of our own gives way too."""
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # there are no such groups, or /proc is not for us to write
            AUTOGROUP.write_text(str(os.nice(0)))
