"""Child processes that never outlive us, however we end."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1
"""Linux's prctl option: the signal that a process gets when the thread that made it ends."""

EXIT_ORPHANED = 75
"""Exit status (sysexits' EX_TEMPFAIL) of a process that ended because its parent was gone."""


def ends_with_parent() -> dict[str, Any]:
    """Keyword arguments for ``Popen``: on Linux the kernel kills the child when the calling *thread* ends.

    Start such children from the main thread. Elsewhere there is no such call, and the dictionary is empty; our own
    programs use :func:`exit_with_stdin` there.
    """
    if sys.platform != "linux":
        return {}
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the call
            os._exit(EXIT_ORPHANED)

    return {"preexec_fn": in_child}


def exit_with_stdin(stream: BinaryIO, *, leave: Callable[[int], object] = os._exit) -> threading.Thread:
    """Ends this process when ``stream`` ends: its other end is a pipe that only the parent holds.

    Args:
      stream: ``sys.stdin.buffer``.
      leave: ends the process.

    Returns:
      The watching thread, a daemon.
    """

    def watch() -> None:
        while stream.read(4096):
            pass
        leave(EXIT_ORPHANED)

    thread = threading.Thread(target=watch, name="exit-with-stdin", daemon=True)
    thread.start()
    return thread
