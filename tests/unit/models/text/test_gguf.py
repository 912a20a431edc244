"""GGUF files against blocks unpacked by hand, and bytes that are none."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.gguf import Gguf, GgufError
from tests.slow_llama import gguf_bytes

HALVES = bytes(range(0x10, 0x20))
"""16 bytes whose low halves are 0 to 15 and whose high halves are 1."""
ARRAYS = {
    "plain": ((2, 32), 0, np.arange(64, dtype="<f4").tobytes()),
    "four": ((1, 32), 3, struct.pack("<ee", 0.5, -1.0) + HALVES),
    "eight": ((2, 32), 8, b"".join(struct.pack("<e32b", 2.0, *range(-16, 16)) for _ in range(2))),
}
META = {"general.architecture": "llama", "llama.block_count": 30, "pieces": ["a", "Ġb"], "kinds": [1, -3]}
FILE = gguf_bytes(META, ARRAYS)


def test_blocks_unpack_as_their_format_says():
    file = Gguf(FILE)
    np.testing.assert_array_equal(file["plain"], np.arange(64, dtype=np.float32).reshape(2, 32))
    np.testing.assert_array_equal(file["four"], [[0.5 * q - 1 for q in range(16)] + [0.5 * 1 - 1] * 16])
    np.testing.assert_array_equal(file["eight"], np.tile(2.0 * np.arange(-16, 16), (2, 1)))
    assert sorted(file) == ["eight", "four", "plain"]
    assert all(file[name].dtype == np.float32 for name in file)
    assert "nothing" not in file


def test_what_it_says_of_itself():
    meta = Gguf(memoryview(FILE)).meta
    assert (meta["general.architecture"], meta["llama.block_count"], meta["pieces"]) == ("llama", 30, ["a", "Ġb"])
    assert meta["kinds"].tolist() == [1, -3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with"),
        (b"RIFF" + FILE[4:], "begins with b'RIFF'"),
        (FILE[:4] + struct.pack("<I", 1) + FILE[8:], "version 2 or 3"),
        (FILE[:-40], "the file is cut off"),
        (FILE[:200], "got one that ends"),
        (gguf_bytes({}, {"a": ((1, 32), 2, b"")}), "got form 2"),
        (gguf_bytes({}, {"a": ((4, 8), 0, b"")}), "whole blocks"),
        (gguf_bytes({"general.alignment": "x"}, {}), "an alignment"),
    ],
)
def test_what_is_no_file_of_this_kind_is_an_error(content, words):
    with pytest.raises(GgufError, match=words):
        Gguf(content)


@given(st.integers(0, len(FILE) - 1), st.integers(0, 255))
def test_a_broken_byte_never_crashes(at, value):
    content = bytearray(FILE)
    content[at] = value
    try:
        file = Gguf(bytes(content))
        for name in file:
            assert file[name].size >= 0
    except GgufError:
        pass
