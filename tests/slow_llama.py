"""A Llama decoder written a second time, slowly and from its definition; and a GGUF file written byte by byte."""

from __future__ import annotations

import cmath
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models.text.bpe import CHARACTER_OF

F64 = npt.NDArray[np.float64]
TINY_PIECES = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    *CHARACTER_OF.values(),
    "Ġa",
    "he",
    *map(str, range(100, 127)),
]
"""A vocabulary for a small model: marks, every byte, two joined pieces, and pieces that no text is made of."""
TINY_MERGES = ["Ġ a", "h e"]


def random_arrays(
    *, layers: int, dim: int, heads: int, groups: int, inner: int, pieces: int, seed: int = 0
) -> dict[str, npt.NDArray[np.float32]]:
    """Weights of a small decoder under GGUF's names, large enough that every part matters."""
    rng = np.random.default_rng(seed)
    kv = dim // heads * groups
    sizes = {
        "attn_q": (dim, dim), "attn_k": (kv, dim), "attn_v": (kv, dim), "attn_output": (dim, dim),
        "ffn_gate": (inner, dim), "ffn_up": (inner, dim), "ffn_down": (dim, inner),
    }  # fmt: skip
    arrays = {"token_embd.weight": rng.standard_normal((pieces, dim))}
    for at in range(layers):
        for name, shape in sizes.items():
            arrays[f"blk.{at}.{name}.weight"] = 0.4 * rng.standard_normal(shape)
        for name in ("attn_norm", "ffn_norm"):
            arrays[f"blk.{at}.{name}.weight"] = 1 + 0.2 * rng.standard_normal(dim)
    arrays["output_norm.weight"] = 1 + 0.2 * rng.standard_normal(dim)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def logits_of(
    ids: list[int], arrays: Mapping[str, npt.NDArray[Any]], *, layers: int, heads: int, groups: int,
    epsilon: float = 1e-5, base: float = 100_000.0,
) -> F64:  # fmt: skip
    """Logits after each of the pieces, float64 [T, V]: every place anew, pairs turned as complex numbers, no cache."""
    w = {name.removesuffix(".weight"): array.astype(np.float64) for name, array in arrays.items()}
    dim = w["token_embd"].shape[1]
    size = dim // heads

    def norm(x: F64, name: str) -> F64:
        return x / math.sqrt(sum(value * value for value in x) / len(x) + epsilon) * w[name]

    def turned(x: F64, place: int) -> F64:
        pairs = [
            complex(x[2 * at], x[2 * at + 1]) * cmath.exp(1j * place / base ** (2 * at / size))
            for at in range(size // 2)
        ]
        return np.array([part for pair in pairs for part in (pair.real, pair.imag)])

    xs = [w["token_embd"][one] for one in ids]
    for at in range(layers):
        normed = [norm(x, f"blk.{at}.attn_norm") for x in xs]
        reads: list[list[F64]] = [[] for _ in xs]
        for head in range(heads):
            group = head // (heads // groups)
            own, shared = slice(head * size, (head + 1) * size), slice(group * size, (group + 1) * size)
            query = [turned(w[f"blk.{at}.attn_q"][own] @ x, place) for place, x in enumerate(normed)]
            key = [turned(w[f"blk.{at}.attn_k"][shared] @ x, place) for place, x in enumerate(normed)]
            value = [w[f"blk.{at}.attn_v"][shared] @ x for x in normed]
            for place in range(len(xs)):
                shares = [math.exp(query[place] @ key[before] / math.sqrt(size)) for before in range(place + 1)]
                read = sum(share * value[before] for before, share in enumerate(shares))
                reads[place].append(np.asarray(read / sum(shares)))
        xs = [x + w[f"blk.{at}.attn_output"] @ np.concatenate(read) for x, read in zip(xs, reads, strict=True)]
        for place, x in enumerate(xs):
            inner = norm(x, f"blk.{at}.ffn_norm")
            gate = w[f"blk.{at}.ffn_gate"] @ inner
            xs[place] = x + w[f"blk.{at}.ffn_down"] @ (gate / (1 + np.exp(-gate)) * (w[f"blk.{at}.ffn_up"] @ inner))
    return np.array([w["token_embd"] @ norm(x, "output_norm") for x in xs])


def gguf_bytes(meta: Mapping[str, Any], arrays: Mapping[str, tuple[tuple[int, ...], int, bytes]]) -> bytes:
    """A GGUF file of version 3.

    Args:
      meta: texts, whole numbers (as uint32), and lists of either (whole numbers as int32).
      arrays: name -> shape, form, and the bytes as they lie in the file.
    """

    def text(words: str) -> bytes:
        return struct.pack("<Q", len(words.encode())) + words.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), len(meta))
    for key, value in meta.items():
        head += text(key)
        if isinstance(value, str):
            head += struct.pack("<I", 8) + text(value)
        elif isinstance(value, int):
            head += struct.pack("<II", 4, value)
        elif value and isinstance(value[0], str):
            head += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
        else:
            head += struct.pack("<IIQ", 9, 5, len(value)) + b"".join(struct.pack("<i", one) for one in value)
    body = b""
    for name, (shape, form, held) in arrays.items():
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], form, len(body))
        body += held + b"\0" * (-len(held) % 32)
    return head + b"\0" * (-len(head) % 32) + body


def tiny_model() -> bytes:
    """A file as SmolLM2's, of one random layer and `TINY_PIECES`."""
    sizes = {"layers": 1, "dim": 32, "heads": 4, "groups": 2, "inner": 32, "pieces": len(TINY_PIECES)}
    meta = {
        "llama.block_count": 1, "llama.embedding_length": 32, "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2, "llama.feed_forward_length": 32, "llama.vocab_size": len(TINY_PIECES),
        "llama.context_length": 2048, "llama.rope.freq_base": 10_000, "llama.attention.layer_norm_rms_epsilon": 1,
        "tokenizer.ggml.tokens": TINY_PIECES, "tokenizer.ggml.merges": TINY_MERGES,
        "tokenizer.ggml.token_type": [3, 3, 3, *[1] * (len(TINY_PIECES) - 3)],
    }  # fmt: skip
    arrays = random_arrays(**sizes, seed=3)
    return gguf_bytes(meta, {name: (one.shape, 0, one.tobytes()) for name, one in arrays.items()})
