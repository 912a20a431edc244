"""Arrays on the wire: known bytes, and dtypes that may not go there."""

from __future__ import annotations

import numpy as np
import pytest

from streams.contract import arrays
from streams.contract.errors import ArrayError


def test_floats_are_ieee_754_single_little_endian() -> None:
    assert arrays.floats_to_bytes([1.0, -2.0]) == bytes.fromhex("0000803f000000c0")
    back = arrays.floats_from_bytes(bytes.fromhex("0000803f000000c0"))
    assert back.dtype == np.float32
    assert back.tolist() == [1.0, -2.0]


def test_rows_are_int32_little_endian() -> None:
    assert arrays.rows_to_bytes(np.array([1, 300], dtype=np.int64)) == bytes.fromhex("010000002c010000")
    assert arrays.rows_from_bytes(bytes.fromhex("010000002c010000")).tolist() == [1, 300]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
def test_a_tensor_comes_back_as_it_was(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    back = arrays.array_from_tensor(arrays.tensor_from_array(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_a_view_and_a_foreign_byte_order_go_out_in_c_order_little_endian() -> None:
    array = np.array([[1, 2], [3, 4]], dtype=">i4").T
    tensor = arrays.tensor_from_array(array)
    assert tensor.shape == [2, 2]
    assert tensor.data == bytes.fromhex("01000000030000000200000004000000")


def test_scalars_and_empty_arrays_have_a_shape_too() -> None:
    assert arrays.tensor_from_array(np.array(1.0, np.float32)).shape == []
    assert arrays.array_from_tensor(arrays.tensor_from_array(np.zeros((0, 3), np.float32))).shape == (0, 3)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "U1", "object"])
def test_other_dtypes_are_refused(dtype: str) -> None:
    with pytest.raises(ArrayError, match="convert it first"):
        arrays.tensor_from_array(np.zeros(1, dtype))
