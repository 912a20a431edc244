"""What commands that rebuild a past state share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.settings import Settings

SAY_EVERY_STEPS = 50


def prepare(settings: Settings) -> None:
    """Have JAX and Numba compile as the trainer's do, for the same bits; call it before they are imported."""
    from streams.kernel_cache import use_kernel_cache, use_program_cache
    from streams.processors import use_one_xla_thread

    use_one_xla_thread()
    use_kernel_cache(settings.cache_dir)
    use_program_cache(settings.cache_dir)


@contextmanager
def progress(what: str, *, is_shown: bool) -> Iterator[Callable[[int], None]]:
    """A line on the terminal with the step that was learned last."""
    is_shown = is_shown and sys.stderr.isatty()

    def heard(step: int) -> None:
        if is_shown and step % SAY_EVERY_STEPS == 0:
            sys.stderr.write(f"\r{what}: step {step:,}")
            sys.stderr.flush()

    try:
        yield heard
    finally:
        if is_shown:
            sys.stderr.write("\r\033[K")
