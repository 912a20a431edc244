"""How our processes share the processors of a machine.

The trainer counts in one thread while XLA takes the towers' steps in another: that is two processors already, and a
third thread would only wait for the others in turn. One thread for XLA's programs takes a quarter less processor time a
step, and gives the same bits on any number of processors, so that a state depends on its log alone. Call it before
anything imports jax.
"""

from __future__ import annotations

import os

THREADS_VARIABLE = "PJRT_NPROC"
"""Read by XLA when it starts: the size of its pool of threads."""
TRAINER_NICENESS = 5
"""Steps of the system's scale of 20: where the machine is short of processors, whoever waits for a slate goes first."""


def use_one_xla_thread() -> None:
    """Have XLA's programs run in one thread, unless the environment says how many."""
    os.environ.setdefault(THREADS_VARIABLE, "1")


def give_way() -> None:
    """Let the other processes of this machine go first: for the trainer, whose figures may be a moment late."""
    os.nice(TRAINER_NICENESS)
