"""The one decorator of kernels."""

import functools

import numpy as np
import pytest

from models.compiled import kernel


def test_it_compiles_what_was_written():
    def doubled(x):
        return x + x

    @functools.wraps(doubled)
    def checked(*args, **kwargs):
        pytest.fail("the checks of a test run must not end up in machine code")

    compiled = kernel(fastmath=True, nogil=True)(checked)
    np.testing.assert_array_equal(compiled(np.arange(3.0)), [0.0, 2.0, 4.0])
    assert compiled.signatures, "machine code, not Python"
