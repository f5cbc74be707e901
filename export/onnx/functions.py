"""The functions of one value, by their names in compress.ops.tables: relu, "leaky_relu(0.2)", …"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from compress.errors import GraphError
from export.onnx.writer import Writer

Emit = Callable[..., str]  # (writer, value, its numbers …) -> value
LEAK = 0.01  # of a leaky_relu that says no slope
FLOAT = TensorProto.FLOAT


def function(w: Writer, x: str, name: str) -> str:
    """A function by its name; GraphError where ONNX has none."""
    family, _, rest = name.partition("(")
    if family not in FUNCTIONS:
        raise GraphError(f"{w.module}: the function {name!r} cannot be exported as ONNX")
    numbers = [float(n) for n in rest.removesuffix(")").split(",")] if rest else []
    return FUNCTIONS[family](w, x, *numbers)


def step(w: Writer, x: str, high: str) -> str:
    """`high` from zero on, else 0."""
    zero = _scalar(w, "zero", 0.0)
    return w.add("Mul", w.add("Cast", w.add("GreaterOrEqual", x, zero), to=FLOAT), high)


def clamp(w: Writer, x: str, lo: float, hi: float) -> str:
    """min(max(x, lo), hi); either may be infinite."""
    return w.add("Clip", x, _scalar(w, "least", lo), _scalar(w, "most", hi))


def _scalar(w: Writer, what: str, value: float) -> str:
    return w.constant(what, np.asarray(value, np.float32))


def _named(op_type: str, **attributes: float | str) -> Emit:
    """An operator that is the function."""
    return lambda w, x: w.add(op_type, x, **attributes)


def _leaky_relu(w: Writer, x: str, slope: float = LEAK) -> str:
    return w.add("LeakyRelu", x, alpha=slope)


def _elu(w: Writer, x: str, alpha: float) -> str:
    return w.add("Elu", x, alpha=alpha)


def _silu(w: Writer, x: str) -> str:
    return w.add("Mul", x, w.add("Sigmoid", x))


def _softplus(w: Writer, x: str, beta: float, threshold: float) -> str:
    """x itself where βx passes the threshold."""
    inside = w.add("Mul", x, _scalar(w, "beta", beta))
    curved = w.add("Div", w.add("Softplus", inside), _scalar(w, "beta", beta))
    passed = w.add("Greater", inside, _scalar(w, "threshold", threshold))
    return w.add("Where", passed, x, curved)


def _step(w: Writer, x: str) -> str:
    return step(w, x, _scalar(w, "one", 1.0))


FUNCTIONS: dict[str, Emit] = {
    "abs": _named("Abs"),
    "elu": _elu,
    "gelu": _named("Gelu"),
    "gelu_tanh": _named("Gelu", approximate="tanh"),
    "hardsigmoid": _named("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardswish": _named("HardSwish"),
    "leaky_relu": _leaky_relu,
    "mish": _named("Mish"),
    "relu": _named("Relu"),
    "sigmoid": _named("Sigmoid"),
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _named("Softsign"),
    "step": _step,
    "tanh": _named("Tanh"),
}
