"""The integer arithmetic that several operators share: docs/spec/integers.md in numpy.

Integers are int64 arrays. Every 32-bit sum is proven to stay below 2³¹ (quantization/proof.py),
so nothing here wraps or saturates but where it says so.
"""

from __future__ import annotations

import math

import numpy as np

from compress.errors import GraphError
from compress.ops.base import INT32
from compress.ops.tensor import Array

DEAD = 2.0**-8  # multiplier of a row without weights: any will do that does not ask for a shift


def smmulr(a: Array, b: Array | int) -> Array:
    """(a·b + 2³¹) >> 32: the high word of a product, rounded; the instruction SMMULR."""
    product: Array = a * b
    product += 2**31
    product >>= 32
    return product


def modulo(a: Array, bits: int) -> Array:
    """a modulo 2^bits, from −2^(bits − 1) on: what is left of a state that no step leaves."""
    half = 1 << (bits - 1)
    return ((a + half) & (2 * half - 1)) - half


def requant(acc: Array, shift: int, mult: Array | int) -> Array:
    """A 32-bit sum times mult·2^(shift − 32), rounded once."""
    return smmulr(acc << shift if shift else acc, mult)


def multiplier(ratios: Array | float, bound: int, where: str) -> tuple[Array, int]:
    """(mult, shift) so that requant(acc) ≈ acc·ratio for |acc| ≤ bound; every mult < 2³¹, bound <<
    shift < 2³¹. GraphError where no shift does both; `where` names the operator."""
    ratios = np.asarray(ratios, np.float64)
    # the largest ratio times 2^(32 − shift) stays below 2³¹
    shift = max(0, math.frexp(float(ratios.max()) * 2.0)[1])
    if bound << shift >= INT32:
        raise GraphError(
            f"{where}: a sum of up to {bound} cannot be shifted by {shift} bits within 32; the"
            " scales do not fit"
        )
    return np.round(ratios * 2.0 ** (32 - shift)).astype(np.int64), shift


def same_multiplier(mult: Array | int, shift: int, ratios: Array | float) -> bool:
    """Whether these are what multiplier() gives for the ratios."""
    try:
        expected, of = multiplier(ratios, 0, "")
    except (GraphError, ValueError, OverflowError):
        return False
    return shift == of and np.array_equal(np.asarray(mult, np.int64), expected)


def bit_length(v: Array) -> Array:
    """Position of the highest set bit plus one, for v ≥ 1."""
    bits = np.frexp(v.astype(np.float64))[1].astype(np.int64)
    # float64 rounds some values up to the next power of two
    return np.asarray(bits - ((v >> (bits - 1)) == 0))


def rsqrt(m: Array) -> Array:
    """2⁴⁶/√m for 2³⁰ ≤ m < 2³² by three Newton steps."""
    m = m.astype(np.uint64)
    one = np.uint64(1)
    r = np.uint64(0x8A000000) - (m >> (one + one)) - (m >> np.uint64(4))
    for _ in range(3):
        t = (r * r) >> np.uint64(31)  # r² in Q61 >> 31
        u = (m * t) >> np.uint64(32)  # m·r², 1 in Q30 where r is exact
        r = (r * (np.uint64(0x60000000) - u)) >> np.uint64(30)  # r·(3 − m·r²) / 2
    return np.minimum(r, np.uint64(2**31 - 1)).astype(np.int64)


def lut(x: Array, table: Array) -> Array:
    """The line between two points of a table (257,): the upper byte of x chooses them, the lower
    byte is how far x lies between."""
    t = table.astype(np.int64)
    i, f = (x + 32768) >> 8, x & 255
    return np.asarray(t[i] + (((t[i + 1] - t[i]) * f + 128) >> 8))
