"""How a loop over scores becomes machine code."""

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` as written and keep the machine code on disk; other threads run while it does.

    The shape checks that a test run wraps around it are left out.
    """
    compiled: Callable[..., Any] = njit(cache=True, nogil=True)(inspect.unwrap(function))
    return compiled
