"""Child processes that never outlive us, however we end."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

EXIT_ORPHANED = 75
"""Exit status (sysexits' EX_TEMPFAIL) of a process that ended because its parent was gone."""

_BIND_AND_EXEC = f"""
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; it survives the exec below
if os.getppid() != int(sys.argv[1]):  # the parent ended before the call
    sys.exit({EXIT_ORPHANED})
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""A program in between rather than ``preexec_fn``, which would fork a process that has threads (JAX has)."""


def ends_with_parent(command: Sequence[str]) -> list[str]:
    """The command line, bound to this process: on Linux the kernel kills the child when the calling *thread* ends.

    Start such children from the main thread. Elsewhere there is no such call, and the command comes back as it is; our
    own programs use :func:`exit_with_stdin` there.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _BIND_AND_EXEC, str(os.getpid()), *command]


def exit_with_stdin(stream: BinaryIO, *, leave: Callable[[int], object] = os._exit) -> threading.Thread:
    """Ends this process when ``stream`` ends: its other end is a pipe that only the parent holds.

    Args:
      stream: ``sys.stdin.buffer``.
      leave: ends the process.

    Returns:
      The watching thread, a daemon.
    """

    def watch() -> None:
        while os.read(stream.fileno(), 4096):  # a buffer's lock, held here, would abort the interpreter's end
            pass
        leave(EXIT_ORPHANED)

    thread = threading.Thread(target=watch, name="exit-with-stdin", daemon=True)
    thread.start()
    return thread
