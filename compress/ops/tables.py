"""Function tables for `lut`: 257 points, linear between them, and the functions
(docs/spec/operators-functions.md).

A table operator holds the name of its function, so that exporters and the proof know it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from compress.ops.tensor import Array

SEGMENTS, WIDTH = 256, 256
GATE_SCALE = 12.0 / 32768  # the gate of a GLU, gates i, f, o of an LSTM: σ(±12) is 1 or 0 to 6e-6
TANH_SCALE = 8.0 / 32768  # gate g of an LSTM, and its cell as seen: tanh(±8) is ±1 to 2e-7
Q15 = 2.0**-15


def gelu(x: Array) -> Array:
    """x·Φ(x), the exact form PyTorch uses by default."""
    from scipy.special import erf

    return np.asarray(0.5 * x * (1.0 + erf(x / np.sqrt(2.0))))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ)."""
    from scipy.special import expit

    return np.asarray(expit(x))


Function = Callable[[Array], Array]


def gelu_tanh(x: Array) -> Array:
    """PyTorch's approximate="tanh"."""
    return np.asarray(0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3))))


def softplus(x: Array, beta: float, threshold: float) -> Array:
    """log(1 + e^(βx)) / β, x itself where βx passes the threshold."""
    return np.where(x * beta > threshold, x, np.logaddexp(0.0, x * beta) / beta)


FUNCTIONS: dict[str, Function] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky_relu": lambda x: np.where(x < 0.0, 0.01 * x, x),
    "tanh": np.tanh,
    "gelu": gelu,
    "sigmoid": sigmoid,
    "step": lambda x: (x >= 0.0).astype(np.float64),
    "abs": np.abs,
    "gelu_tanh": gelu_tanh,
    "silu": lambda x: x * sigmoid(x),
    "hardswish": lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "hardsigmoid": lambda x: np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "mish": lambda x: x * np.tanh(np.logaddexp(0.0, x)),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
}
# functions of x and of numbers that a network chooses, in PyTorch's order
FAMILIES: dict[str, Callable[..., Array]] = {
    "leaky_relu": lambda x, slope: np.where(x < 0.0, slope * x, x),
    "elu": lambda x, alpha: np.where(x < 0.0, alpha * np.expm1(np.minimum(x, 0.0)), x),
    "softplus": softplus,
}


def named(family: str, *numbers: float) -> str:
    """The name of a function of a family: "leaky_relu(0.2)"."""
    return f"{family}({', '.join(repr(float(n)) for n in numbers)})"


@functools.cache
def function(name: str) -> Function | None:
    """The function of a name, "relu" or "leaky_relu(0.2)"; None where there is none."""
    family, _, rest = name.partition("(")
    if not rest:
        return FUNCTIONS.get(name)
    try:
        numbers = [float(n) for n in rest.removesuffix(")").split(",")]
        known = FAMILIES.get(family)
        if known is None or named(family, *numbers) != name:
            return None
        known(np.zeros(1), *numbers)
    except (ValueError, TypeError):
        return None
    return lambda x: np.asarray(known(x, *numbers))


def names() -> str:
    """Every function and family, for a message."""
    return ", ".join([*FUNCTIONS, *(f"{family}(…)" for family in FAMILIES)])


@functools.lru_cache(maxsize=512)
def _fitted(name: str, s_in: float, s_out: float, lo: int, hi: int) -> Array:
    found = function(name)
    assert found is not None, name
    table = fit_table(found, s_in, s_out, lo, hi)
    table.setflags(write=False)
    return table


def table_of(name: str, s_in: float, s_out: float, lo: int, hi: int) -> Array:
    """The table int16 (257,) of a named function between these scales and limits."""
    return _fitted(name, s_in, s_out, lo, hi)


def sigmoid_table() -> Array:
    """Of a gate in steps of GATE_SCALE, in Q15, 0…32767."""
    return table_of("sigmoid", GATE_SCALE, Q15, 0, 32767)


def tanh_table() -> Array:
    """Of values in steps of TANH_SCALE, in Q15, −32767…32767."""
    return table_of("tanh", TANH_SCALE, Q15, -32767, 32767)


def fit_table(function: Function, s_in: float, s_out: float, lo: int, hi: int) -> Array:
    """int16 (257,): the least-squares piecewise linear fit of function(x·s_in)/s_out over all int16
    x, clipped to lo…hi.

    Fitting instead of interpolating puts the line on both sides of a curved function: 8 dB less
    error at the same size.
    """
    from scipy.linalg import solveh_banded

    x = np.arange(-32768, 32768, dtype=np.float64)
    y = np.clip(np.asarray(function(x * s_in)) / s_out, lo, hi)
    f = np.arange(WIDTH) / WIDTH
    left, right = 1.0 - f, f
    segments = y.reshape(SEGMENTS, WIDTH)
    # normal equations: each point is met by the segments on both of its sides
    diagonal = np.zeros(SEGMENTS + 1)
    diagonal[:-1] += (left * left).sum()
    diagonal[1:] += (right * right).sum()
    moments = np.zeros(SEGMENTS + 1)
    moments[:-1] += segments @ left
    moments[1:] += segments @ right
    off = np.full(SEGMENTS + 1, (left * right).sum())
    points = solveh_banded(np.stack([off, diagonal]), moments)
    return np.clip(np.round(points), lo, hi).astype(np.int16)
