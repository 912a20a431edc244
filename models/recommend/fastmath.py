"""Logarithms and powers of two over whole arrays, quick enough to be taken of every item for every event."""

import numpy as np

from models.compiled import kernel


@kernel(fastmath=True)
def log1p_scaled(value, gain, bits, out):  # type: ignore[no-untyped-def]
    """out = log(1 + gain * value), float32, absolute error below 1e-5: vectorises where logf would not."""
    n = len(value)
    work = bits.view(np.float32)
    for j in range(n):
        work[j] = np.float32(1.0) + gain * value[j]
    for j in range(n):
        raw = bits[j]
        exponent = np.float32((raw >> 23) - 127)
        bits[j] = (raw & 0x7FFFFF) | 0x3F800000
        out[j] = exponent
    for j in range(n):
        m = work[j] - np.float32(1.0)
        p = np.float32(-0.0064535442)
        p = p * m + np.float32(0.0360884937)
        p = p * m + np.float32(-0.0953293897)
        p = p * m + np.float32(0.1676540711)
        p = p * m + np.float32(-0.2407338084)
        p = p * m + np.float32(0.3317990258)
        p = p * m + np.float32(-0.4998741238)
        p = p * m + np.float32(0.9999964239)
        out[j] = out[j] * np.float32(0.6931471806) + p * m


@kernel(fastmath=True)
def exp2_in_place(x, bits):  # type: ignore[no-untyped-def]
    """x = 2^x for float32 x >= -126, relative error below 1e-4: exponent bits and a polynomial."""
    n = len(x)
    for j in range(n):
        whole = np.floor(x[j])
        f = (x[j] - whole) * np.float32(0.6931471806)
        p = np.float32(0.041666668) + f * np.float32(0.0083333337)
        p = np.float32(0.5) + f * (np.float32(0.16666667) + f * p)
        x[j] = np.float32(1.0) + f * (np.float32(1.0) + f * p)
        bits[j] = (np.int32(whole) + 127) << 23
    scale = bits.view(np.float32)
    for j in range(n):
        x[j] *= scale[j]


@kernel(fastmath=True)
def decayed_to(value, last, now, half, bits, out):  # type: ignore[no-untyped-def]
    """out = value * 2^(-(now - last) / half)."""
    n = len(value)
    rate = np.float32(-1.0 / half)
    for j in range(n):
        out[j] = max(np.float32(max(0, now - last[j])) * rate, np.float32(-120.0))
    exp2_in_place(out, bits)
    for j in range(n):
        out[j] *= value[j]
