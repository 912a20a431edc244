"""Where compiled code is kept, so that a second start compiles nothing: Numba's kernels and XLA's programs.

Kernels lie in a folder named after the sources that they were compiled from: Numba notices a change in a kernel's own
file but not in another file's kernel that it calls, so a shared folder would serve stale machine code after an update.
JAX names a program after everything that went into it; its folder is named after the versions, the processor and the
threads that it may use, since a home folder may be shared by machines that differ. A damaged entry is compiled again.
Call these before anything imports numba or jax.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from streams.processors import THREADS_VARIABLE

_ROOT = Path(__file__).resolve().parent.parent
_SOURCES = (_ROOT / "models", _ROOT / "index")
_PROCESSORS = Path("/proc/cpuinfo")
VARIABLE = "NUMBA_CACHE_DIR"
PROGRAMS_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_EVERY_PROGRAM = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def kernel_cache_dir(cache_dir: Path, sources: Sequence[Path] = _SOURCES) -> Path:
    """The folder for kernels compiled from ``sources`` by the installed numba."""
    parts = [importlib.metadata.version("numba").encode()]
    for folder in sources:
        for path in sorted(folder.rglob("*.py")):
            parts += [str(path.relative_to(folder.parent)).encode(), path.read_bytes()]
    return cache_dir / "kernels" / _digest(parts)


def program_cache_dir(cache_dir: Path, processors: Path = _PROCESSORS) -> Path:
    """The folder for programs that the installed JAX compiled for this processor.

    ``processors``: the file in which Linux describes them.
    """
    parts = [importlib.metadata.version(name).encode() for name in ("jax", "jaxlib")]
    parts += [platform.machine().encode(), os.environ.get(THREADS_VARIABLE, "").encode()]
    if processors.exists():
        described = processors.read_text(encoding="utf-8", errors="replace").splitlines()
        parts += sorted({line.encode() for line in described if line.startswith(("flags", "Features", "model name"))})
    return cache_dir / "programs" / _digest(parts)


def use_kernel_cache(cache_dir: Path) -> None:
    """Keep compiled kernels under ``cache_dir``, unless the environment names a folder already."""
    os.environ.setdefault(VARIABLE, str(kernel_cache_dir(cache_dir)))


def use_program_cache(cache_dir: Path) -> None:
    """Keep compiled programs under ``cache_dir``, unless the environment names a folder already."""
    os.environ.setdefault(PROGRAMS_VARIABLE, str(program_cache_dir(cache_dir)))
    for name, value in _EVERY_PROGRAM.items():
        os.environ.setdefault(name, value)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()
