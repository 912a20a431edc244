"""Arrays on the wire: little-endian bytes and back, the same on every machine."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from streams.contract.errors import ArrayError
from streams.contract.events import Tensor

TensorDtype = Literal["float32", "float64", "int32", "int64", "uint8", "bool"]


def floats_to_bytes(values: npt.ArrayLike) -> bytes:
    """Numbers as the bytes of an item state's vector, counts or weights: float32, little-endian, C order."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def floats_from_bytes(data: bytes) -> npt.NDArray[np.float32]:
    """Read-only float32 [n] over ``data``, without a copy; the pair of ``floats_to_bytes``."""
    return np.frombuffer(data, dtype="<f4")


def rows_to_bytes(rows: npt.ArrayLike) -> bytes:
    """Item rows as the bytes of an item state's successors: int32, little-endian."""
    return np.ascontiguousarray(rows, dtype="<i4").tobytes()


def rows_from_bytes(data: bytes) -> npt.NDArray[np.int32]:
    """Read-only int32 [n] over ``data``, without a copy; the pair of ``rows_to_bytes``."""
    return np.frombuffer(data, dtype="<i4")


def tensor_from_array(array: npt.NDArray[np.generic]) -> Tensor:
    """An array as it goes into ``ModelWeights.arrays``.

    Raises:
      ArrayError: its dtype is not one of the contract's.
    """
    name = array.dtype.name
    for dtype in get_args(TensorDtype):
        if name == dtype:
            data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
            return Tensor(shape=list(array.shape), dtype=dtype, data=data)
    raise ArrayError(
        f"a tensor's dtype must be one of {', '.join(get_args(TensorDtype))}, got {name}; convert it first"
    )


def array_from_tensor(tensor: Tensor) -> npt.NDArray[np.generic]:
    """Read-only array of a tensor, without a copy; the pair of ``tensor_from_array``."""
    return np.frombuffer(tensor.data, dtype=np.dtype(tensor.dtype).newbyteorder("<")).reshape(tensor.shape)
