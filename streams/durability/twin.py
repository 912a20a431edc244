"""A twin of this process: a child that has the memory as it was at one moment and writes a snapshot's files from it.

The system shares every page between the two and copies one when either writes to it (`fork`), so learning stands still
for as long as the page tables take, not for as long as the state is. Of all threads only the caller's comes along: the
twin touches no JAX, no client of Kafka and no lock that another thread may have held; it reads arrays, hashes them,
writes files and ends. One that says nothing for too long is killed, and so is one whose parent ends. Redis keeps a
moment in the same way for its background saves.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import json
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy.typing as npt

from streams.durability.folder_store import write_synced
from streams.durability.manifest import ArrayEntry, as_bytes, entry_of, file_name, portable
from streams.errors import SnapshotError

SILENCE_S: Final = 120.0
"""A twin that has written no array for so long hangs."""
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end: the twin is waited for in a drain, and is told by its parent alone."""
IS_POSSIBLE: Final = sys.platform == "linux"
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None, use_errno=True) if IS_POSSIBLE else None

Arrays = dict[str, npt.NDArray[Any]]


class Twin:
    """A child that keeps the present.

    Args:
      arrays: gives what is to be written, run in the child; what it reads must not change on another thread just now,
        and must not be JAX's.

    Raises:
      OSError: the system has no process, memory or file to spare.
    """

    def __init__(self, arrays: Callable[[], Arrays]) -> None:
        asked, self._ask = os.pipe()
        try:
            self._heard, answering = os.pipe()
        except OSError:
            _close(asked, self._ask)
            raise
        parent = os.getpid()
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that other threads do not come along is what the module is about
                self.pid = os.fork()
            if self.pid == 0:
                _close(self._ask, self._heard)
                _live(arrays, asked, answering, parent)
        except OSError:
            _close(self._ask, self._heard)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            _close(asked, answering)
        self._is_over = False

    def write(self, folder: Path, *, silence_s: float = SILENCE_S) -> list[ArrayEntry]:
        """Have the arrays written into a folder, sorted by name, each synced; gives what a manifest says of them.

        Raises:
          SnapshotError: it could not, it was killed, or it hangs and was killed for it.
        """
        try:
            os.write(self._ask, json.dumps(str(folder)).encode() + b"\n")
            return self._listen(silence_s)
        except OSError as error:
            raise SnapshotError(f"expected a twin that writes to {folder}, got: {error}") from error
        finally:
            self.end()

    def end(self) -> None:
        """End it, whatever it is at; may be called again."""
        if self._is_over:
            return
        self._is_over = True
        _close(self._ask, self._heard)
        os.kill(self.pid, signal.SIGKILL)  # one that is through has only its status left, which waits for us
        os.waitpid(self.pid, 0)

    def _listen(self, silence_s: float) -> list[ArrayEntry]:
        entries: list[ArrayEntry] = []
        said, news = b"", select.poll()
        news.register(self._heard)
        while True:
            if not news.poll(silence_s * 1000):
                raise SnapshotError(
                    f"expected the twin to write an array within {silence_s:g} s, got none; it was killed"
                )
            part = os.read(self._heard, 65_536)
            *lines, said = (said + part).split(b"\n")
            for line in map(json.loads, lines):
                if "error" in line:
                    raise SnapshotError(f"expected to write a snapshot in a twin, got: {line['error']}")
                if "count" in line and line["count"] == len(entries):
                    return entries
                entries.append(ArrayEntry(**{**line, "shape": tuple(line["shape"])}))
            if not part:
                raise SnapshotError(
                    f"expected all arrays from the twin, got {len(entries)} before it ended; was it killed?"
                )


def _close(*pipes: int) -> None:
    for pipe in pipes:
        os.close(pipe)


def _live(arrays: Callable[[], Arrays], asked: int, answering: int, parent: int) -> NoReturn:
    """The child's life; it never returns to what its parent was at."""
    try:
        gc.disable()  # a collection would write to every page
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):  # where memory is short it is the twin that goes
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        folder = b""  # up to a line's end and not to the pipe's: a later twin holds the other end open too
        while not folder.endswith(b"\n") and (part := os.read(asked, 65_536)):
            folder += part
        if folder and os.getppid() == parent:
            _write(arrays(), Path(json.loads(folder)), answering)
    except BaseException as error:  # noqa: BLE001 - told to the parent, which decides
        _say(answering, {"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


def _write(arrays: Arrays, folder: Path, answering: int) -> None:
    names = sorted(arrays)
    for place, name in enumerate(names):
        array = portable(name, arrays.pop(name))
        write_synced(folder / file_name(place), as_bytes(array).data)
        _say(answering, dataclasses.asdict(entry_of(name, array)))
    _say(answering, {"count": len(names)})


def _say(answering: int, line: dict[str, Any]) -> None:
    left = memoryview(json.dumps(line).encode() + b"\n")
    while left:
        left = left[os.write(answering, left) :]
