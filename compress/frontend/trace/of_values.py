"""What functions of values mean: arguments of a PyTorch function -> calls of `arithmetic`."""

from __future__ import annotations

from typing import Any

import torch

from compress import graph as g
from compress.frontend.trace import arithmetic, layers
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.handler import Handler, Values
from compress.frontend.trace.layout import Laid
from compress.frontend.trace.writer import Writer

# --- functions of one value -----------------------------------------------------------------------


def of_kind(kind: str) -> Handler:
    return lambda w, a: arithmetic.activation(w, _first(a), kind)


def _first(a: Values) -> Any:
    return a.get("self", a.get("input"))


def elu(w: Writer, a: Values) -> Laid:
    if a["input_scale"] != 1:
        raise Refused("an ELU of a scaled input (CELU)", "ELU")
    made = arithmetic.activation(w, a["self"], g.named("elu", a["alpha"]))
    return affine(w, made, gain=a["scale"])


def softplus(w: Writer, a: Values) -> Laid:
    kind = g.named("softplus", a["beta"], a["threshold"])
    return arithmetic.activation(w, a["self"], kind)


def gelu(w: Writer, a: Values) -> Laid:
    kind = "gelu" if a["approximate"] == "none" else "gelu_tanh"
    return arithmetic.activation(w, a["self"], kind)


def leaky(w: Writer, a: Values) -> Laid:
    slope = float(a["negative_slope"])
    kind = "leaky_relu" if slope == 0.01 else g.named("leaky_relu", slope)
    return arithmetic.activation(w, a["self"], kind)


def selu(w: Writer, a: Values) -> Laid:
    made = arithmetic.activation(w, a["self"], g.named("elu", 1.6732632423543772))
    return affine(w, made, gain=1.0507009873554805)


def at_least(w: Writer, a: Values) -> Laid:
    if a["other"] != 0:
        return comparison(w, a)
    return arithmetic.activation(w, a["self"], "step")


def comparison(w: Writer, a: Values) -> Laid:
    raise Refused("a choice by value", "an activation, or x >= 0 as a step from 0 to 1")


def power(w: Writer, a: Values) -> Laid:
    if a["exponent"] != 2:
        raise Refused(f"a power of {a['exponent']}", "a square, or products")
    return arithmetic.binary(w, a["self"], a["self"], g.Multiply)


def glu(w: Writer, a: Values) -> Laid:
    x: Laid = a["self"]
    dim = a["dim"] % x.index.ndim
    value, gate = (x.seen_as(half) for half in x.index.chunk(2, dim))
    direct = next((op for op in w.b.ops if op.output == x.name), None)
    rows = w.rows(x, [dim])
    alone = rows.groups == 1 and rows.layout.identity and w.uses(x.name) == 0
    if alone and isinstance(direct, g.Dense | g.Depthwise):
        return w.laid(w.op(g.Glu, w.frames(rows)), rows, [value.shape[dim]])
    return arithmetic.binary(w, value, arithmetic.activation(w, gate, "sigmoid"), g.Multiply)


# --- arithmetic ----------------------------------------------------------------------------------


def affine(w: Writer, x: Laid, gain: Any = None, bias: Any = None) -> Laid:
    return arithmetic.affine(w, x, *(_tensor(v) for v in (gain, bias)))


def _tensor(value: Any) -> torch.Tensor | None:
    return None if value is None else torch.as_tensor(value)


def add(w: Writer, a: Values) -> Laid:
    x, y, alpha = a["self"], a["other"], a.get("alpha", 1)
    if isinstance(x, Laid) and isinstance(y, Laid):
        y = affine(w, y, gain=alpha)
        return arithmetic.binary(w, x, y, g.Add)
    if isinstance(x, Laid):
        return affine(w, x, bias=torch.as_tensor(y) * alpha)
    return affine(w, y, gain=alpha, bias=x)


def subtract(w: Writer, a: Values) -> Laid:
    x, y, alpha = a["self"], a["other"], a.get("alpha", 1)
    if isinstance(x, Laid) and isinstance(y, Laid):
        return arithmetic.binary(w, x, affine(w, y, gain=alpha), g.Subtract)
    if isinstance(x, Laid):
        return affine(w, x, bias=-torch.as_tensor(y) * alpha)
    return affine(w, y, gain=-alpha, bias=x)


def subtracted(w: Writer, a: Values) -> Laid:
    return subtract(w, {"self": a["other"], "other": a["self"], "alpha": a.get("alpha", 1)})


def multiply(w: Writer, a: Values) -> Laid:
    x, y = a["self"], a["other"]
    if isinstance(x, Laid) and isinstance(y, Laid):
        return arithmetic.binary(w, x, y, g.Multiply)
    return affine(w, x, gain=y) if isinstance(x, Laid) else affine(w, y, gain=x)


def divide(w: Writer, a: Values) -> Laid:
    if isinstance(a["other"], Laid) or a.get("rounding_mode"):
        raise Refused("a division by what is computed", "a product, or a norm")
    return affine(w, a["self"], gain=1.0 / torch.as_tensor(a["other"]))


def cat(w: Writer, a: Values) -> Laid:
    return arithmetic.cat(w, a["tensors"], a["dim"])


def stack(w: Writer, a: Values) -> Laid:
    dim = a["dim"]
    parts = []
    for part in a["tensors"]:
        at = dim % (len(part.shape) + 1)
        laid = isinstance(part, Laid)
        parts.append(part.seen_as(part.index.unsqueeze(at)) if laid else part.unsqueeze(at))
    return arithmetic.cat(w, parts, dim % parts[0].index.ndim)


def pad(w: Writer, a: Values) -> Laid:
    x: Laid = a["self"]
    mode, value = a.get("mode", "constant"), a.get("value") or 0.0
    if mode == "constant" and value == 0.0:
        index = torch.nn.functional.pad(x.index, list(a["pad"]), value=layers.ZERO)
        return w.padded(x, index)
    if mode == "constant":
        raise Refused(f"padding with {value:g}", "padding with zeros")
    pad = list(a["pad"])
    return x.seen_as(torch.nn.functional.pad(x.index.double(), pad, mode=mode).long())


def reduction(largest: bool) -> Handler:
    def handle(w: Writer, a: Values) -> Laid:
        x: Laid = a["self"]
        dims = a.get("dim")
        chosen = range(x.index.ndim) if dims is None or dims == [] else dims
        chosen = [chosen] if isinstance(chosen, int) else list(chosen)
        return layers.reduce(w, x, chosen, largest, bool(a.get("keepdim", False)))

    return handle


def total(w: Writer, a: Values) -> Laid:
    x: Laid = a["self"]
    dims = a.get("dim") or list(range(x.index.ndim))
    dims = [dims] if isinstance(dims, int) else list(dims)
    count = 1
    for dim in dims:
        count *= x.shape[dim]
    made = layers.reduce(w, x, dims, False, bool(a.get("keepdim", False)))
    return affine(w, made, gain=float(count))


def largest(w: Writer, a: Values) -> Any:
    """torch.max over a dimension gives values and places."""
    if "dim" not in a:
        return layers.reduce(w, a["self"], range(a["self"].index.ndim), True)
    made = layers.reduce(w, a["self"], [a["dim"]], True, bool(a.get("keepdim", False)))
    return [made, None]
