"""How a loop over rows becomes machine code: one decorator for every kernel of `models`."""

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(*, fastmath: bool = False, nogil: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with Numba and keep the machine code on disk.

    What is compiled is the function as written, without the shape checks that a test run wraps around it. A division by
    zero is none of its errors: a check at each costs a fifth of the learning, since no loop with one uses vector
    instructions.

    Args:
      fastmath: sums may be taken in another order, which lets them use vector instructions. Such a kernel is always
        inlined: a call would reach one of two copies of it, optimised by itself or in its caller, with sums in another
        order each, and which one depends on whether the caller was compiled just now or read from disk.
      nogil: other threads run meanwhile.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        return njit(cache=True, error_model="numpy", fastmath=fastmath, nogil=nogil, forceinline=fastmath)(
            inspect.unwrap(function)
        )

    return compiled
