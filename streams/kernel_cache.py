"""Where compiled kernels are kept: a folder named after the sources that they were compiled from.

Numba notices a change in a kernel's own file but not in another file's kernel that it calls, so a shared folder would
serve stale machine code after an update. Call this before anything imports numba.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from pathlib import Path

_SOURCES = Path(__file__).resolve().parent.parent / "models"
VARIABLE = "NUMBA_CACHE_DIR"


def kernel_cache_dir(cache_dir: Path, sources: Path = _SOURCES) -> Path:
    """The folder for kernels compiled from ``sources`` by the installed numba."""
    digest = hashlib.blake2b(importlib.metadata.version("numba").encode(), digest_size=8)
    for path in sorted(sources.rglob("*.py")):
        digest.update(str(path.relative_to(sources)).encode())
        digest.update(path.read_bytes())
    return cache_dir / "kernels" / digest.hexdigest()


def use_kernel_cache(cache_dir: Path) -> None:
    """Keep compiled kernels under ``cache_dir``, unless the environment names a folder already."""
    os.environ.setdefault(VARIABLE, str(kernel_cache_dir(cache_dir)))
