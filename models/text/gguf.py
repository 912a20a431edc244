"""The bytes of a GGUF file as what they say of themselves and as named arrays, each unpacked when it is asked for.

Only what the decoder's file has is read: float32, and the block formats Q8_0 and Q4_1. Who opens the file, and whether
it is the right one, is decided elsewhere; whatever else the bytes may be is an error, never a crash.

References:
  The GGUF specification and `ggml-quants.c` of llama.cpp: a block is 32 weights; Q8_0 is a float16 factor and 32 int8;
  Q4_1 is a float16 factor, a float16 offset and 16 bytes, whose low halves are the first 16 weights.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.typing import F32

BLOCK: Final = 32
MOST_ENTRIES: Final = 1 << 20
"""More keys, arrays or values of a list than any file of this kind has."""
_MAGIC: Final = b"GGUF"
_NUMBERS: Final = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_TEXT, _LIST = 8, 9
_BYTES_A_BLOCK: Final = {0: 4 * BLOCK, 3: 20, 8: 34}
"""Of the forms that are read: float32, Q4_1, Q8_0."""


class GgufError(ModelError):
    """Bytes that are no GGUF file, or one with parts that are not read here."""


class _Where(NamedTuple):
    shape: tuple[int, ...]
    form: int
    begin: int


class Gguf(Mapping[str, F32]):
    """One file: ``meta`` by key, and arrays by name.

    Args:
      content: the whole file; it may be a memory map, and is read where an array lies when that is asked for.

    Raises:
      GgufError: it is cut off, no GGUF, or has what is not read here.
    """

    def __init__(self, content: bytes | memoryview) -> None:
        self._content = memoryview(content)
        self._at = 0
        try:
            self.meta, self._where = self._read()
        except (struct.error, UnicodeDecodeError, RecursionError) as error:
            raise GgufError(f"expected a whole GGUF file, got one that ends or breaks at byte {self._at}") from error

    def __getitem__(self, name: str) -> F32:
        """The array of a name, float32, of the shape that row-major order has: the last axis lies together."""
        shape, form, begin = self._where[name]
        count = int(np.prod(shape))
        if form == 0:
            return np.frombuffer(self._content, np.dtype("<f4"), count, begin).reshape(shape).astype(np.float32)
        size = _BYTES_A_BLOCK[form]
        blocks = np.frombuffer(self._content, np.uint8, count // BLOCK * size, begin).reshape(-1, size)
        factor: F32 = blocks[:, :2].copy().view("<f2").astype(np.float32)
        if form == 8:
            return np.asarray(factor * blocks[:, 2:].view(np.int8), np.float32).reshape(shape)
        offset = blocks[:, 2:4].copy().view("<f2").astype(np.float32)
        halves = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
        return np.asarray(factor * halves + offset, np.float32).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def _read(self) -> tuple[dict[str, Any], dict[str, _Where]]:
        if bytes(self._content[:4]) != _MAGIC:
            raise GgufError(f"expected a GGUF file, got one that begins with {bytes(self._content[:4])!r}")
        self._at = 4
        version, arrays, keys = self._number("I"), self._count(), self._count()
        if version not in (2, 3):
            raise GgufError(f"expected version 2 or 3 of GGUF, got {version}")
        meta: dict[str, Any] = {}
        for _ in range(keys):
            key = self._text()
            meta[key] = self._value(self._number("I"))
        found = [self._array() for _ in range(arrays)]
        step = meta.get("general.alignment", 32)
        if not isinstance(step, int) or step < 1:
            raise GgufError(f"expected an alignment of 1 or more, got {step!r}")
        base = -(-self._at // step) * step
        for name, where in found:
            end = base + where.begin + int(np.prod(where.shape)) // BLOCK * _BYTES_A_BLOCK[where.form]
            if end > len(self._content):
                raise GgufError(f"expected {name} to end by byte {len(self._content)}, got {end}: the file is cut off")
        return meta, {name: where._replace(begin=base + where.begin) for name, where in found}

    def _array(self) -> tuple[str, _Where]:
        name, axes = self._text(), self._number("I")
        if axes > 4:
            raise GgufError(f"expected an array of at most 4 axes, got {axes}: {name[:64]}")
        shape = tuple(self._number("Q") for _ in range(axes))[::-1]
        form, begin = self._number("I"), self._number("Q")
        if form not in _BYTES_A_BLOCK:
            raise GgufError(f"expected {name[:64]} as float32, Q4_1 or Q8_0, got form {form}")
        if not shape or shape[-1] % BLOCK:
            raise GgufError(f"expected rows of whole blocks of {BLOCK}, got {name[:64]} of shape {shape}")
        return name, _Where(shape, form, begin)

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text()
        if kind != _LIST:
            return self._number(_NUMBERS[kind]) if kind in _NUMBERS else self._unknown(kind)
        inner, count = self._number("I"), self._count()
        if inner in _NUMBERS:
            values: NDArray[Any] = np.array(self._take(f"<{count}{_NUMBERS[inner]}"))
            return values
        return [self._value(inner) for _ in range(count)]

    def _unknown(self, kind: int) -> Any:
        raise GgufError(f"expected a value of a known kind, got {kind} before byte {self._at}")

    def _text(self) -> str:
        length = self._number("Q")
        (held,) = self._take(f"<{length}s") if length < len(self._content) else self._unknown(length)
        return str(held, "utf-8")

    def _count(self) -> int:
        count = int(self._number("Q"))
        if count > MOST_ENTRIES:
            raise GgufError(f"expected at most {MOST_ENTRIES} entries, got {count} before byte {self._at}")
        return count

    def _number(self, form: str) -> Any:
        return self._take(f"<{form}")[0]

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return values
