"""File systems of fsspec that fail on purpose: at a chosen call, always, in silence, or while a file is there."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

Fault = Callable[[int, str], None]
CALLS = ("ls", "info", "cat_file", "open", "rm_file", "makedirs", "rmdir")


class Killed(BaseException):
    """The process ends here: nothing that our code does comes after it."""


class FaultyStore(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store in memory, with buckets; before each call `fault` is asked, with its number and name."""

    protocol = "faulty"
    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.__dict__.update(store={}, pseudo_dirs=["", "/bucket"])  # of its own, not of all stores in memory
        self.calls = 0
        self.fault: Fault = lambda _number, _name: None
        self.is_short = False
        self.creates = True
        self._lock = threading.Lock()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in CALLS or threading.current_thread() in _inside:
            return found

        def asked(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.calls += 1
                number = self.calls
            self.fault(number, name)
            _inside.add(threading.current_thread())
            try:
                return found(*args, **kwargs)
            finally:
                _inside.discard(threading.current_thread())

        return asked

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "xb" and not self.creates:
            raise OSError(errno.ENOSYS, "exclusive writing is not implemented")
        if self.is_short and mode != "rb" and path.endswith(".bin"):
            return _Short(super().open(path, mode, **options))
        return super().open(path, mode, **options)

    def copied(self) -> FaultyStore:
        """The same objects, and no faults."""
        other = FaultyStore()
        for path, held in self.store.items():
            other.pipe_file(path, held.getvalue())
        return other


_inside: set[threading.Thread] = set()
"""Threads inside a call: what it calls itself is not counted."""


class _Short:
    """Loses the last byte of what is written, and says nothing of it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> _Short:
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.close()

    def write(self, content: memoryview) -> int:
        self._stream.write(content[:-1])
        return len(content)


class Unplugged(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Folders as a store's objects; nobody answers while the file ``unplugged`` lies beside the root."""

    protocol = "unplugged"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return LocalFileSystem._strip_protocol(str(path).removeprefix("unplugged://"))

    def _look(self, path: str) -> None:
        if any((parent / "unplugged").exists() for parent in Path(self._strip_protocol(path)).parents):
            raise ConnectionError("the cable is out")

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:
        self._look(path)
        return super().ls(path, detail=detail, **options)

    def open(self, path: str, *args: Any, **options: Any) -> Any:
        self._look(path)
        return super().open(path, *args, **options)

    def cat_file(self, path: str, *args: Any, **options: Any) -> Any:
        self._look(path)
        return super().cat_file(path, *args, **options)


def register() -> None:
    """Make ``unplugged://`` known to fsspec, in this process."""
    fsspec.register_implementation("unplugged", Unplugged, clobber=True)
