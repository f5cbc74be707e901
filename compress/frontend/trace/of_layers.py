"""What layers mean: arguments of a PyTorch function -> calls of `layers` and `recurrence`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from compress import graph as g
from compress.frontend.trace import arithmetic, layers, recurrence
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.handler import Handler, Values
from compress.frontend.trace.layout import Laid
from compress.frontend.trace.of_values import stack
from compress.frontend.trace.writer import Writer

# --- layers --------------------------------------------------------------------------------------


def linear(w: Writer, a: Values) -> Laid:
    return layers.linear(w, a["input"], a["weight"], a["bias"])


def convolution(w: Writer, a: Values) -> Laid:
    return layers.convolution(
        w,
        a["input"],
        a["weight"],
        a["bias"],
        a["stride"],
        a["padding"],
        a["dilation"],
        a["groups"],
    )


def pool(largest: bool, n: int) -> Handler:
    def handle(w: Writer, a: Values) -> Any:
        kernel = layers._each(a["kernel_size"], n)
        made = layers.pool(
            w,
            a["self"],
            largest,
            kernel,
            a["stride"],
            a["padding"],
            a.get("dilation", (1,)),
            a["ceil_mode"],
            a.get("count_include_pad", True),
        )
        return made

    return handle


def adaptive(largest: bool) -> Handler:
    def handle(w: Writer, a: Values) -> Any:
        x: Laid = a["self"]
        sizes = layers._each(a["output_size"], len(a["output_size"]))
        dims = range(x.index.ndim - len(sizes), x.index.ndim)
        kernel = []
        for size, dim in zip(sizes, dims, strict=True):
            length = x.shape[dim]
            if size and length % size:
                raise Refused(
                    f"an adaptive pool of {length} to {size} places", "a size that divides"
                )
            kernel.append(length // size if size else 1)
        over = {d for k, d in zip(kernel, dims, strict=True) if k > 1}
        if w.window is None and over & set(x.time_dims()):
            raise Refused(
                "a pool over all of time in a stream", "a pool over a fixed number of frames"
            )
        made = layers.pool(w, x, largest, kernel, kernel, [0])
        return [made, None] if largest else made

    return handle


def batch_norm(w: Writer, a: Values) -> Laid:
    if a["training"] or a["running_mean"] is None:
        raise Refused("a batch norm over the batch", "running statistics (the default)")
    x: Laid = a["input"]
    n = a["running_mean"].numel()
    mean, var = (layers.numbers(a[k], n) for k in ("running_mean", "running_var"))
    gain = layers.numbers(a["weight"], n, 1.0) / np.sqrt(var + a["eps"])
    bias = layers.numbers(a["bias"], n) - mean * gain
    shape = [1, n, *[1] * (x.index.ndim - 2)]
    wide = (torch.from_numpy(values.reshape(shape)) for values in (gain, bias))
    made = arithmetic.affine(w, x, *wide)
    w.b.note_norm(made.name, layers.numbers(a["weight"], n, 1.0))
    return made


def layer_norm(kind: type[g.Op]) -> Handler:
    def handle(w: Writer, a: Values) -> Laid:
        x: Laid = a["input"]
        columns = list(range(x.index.ndim - len(a["normalized_shape"]), x.index.ndim))
        eps = a["eps"]
        eps = torch.finfo(torch.float32).eps if eps is None else eps
        return layers.norm(w, x, columns, a["weight"], a.get("bias"), float(eps), kind)

    return handle


def group_norm(w: Writer, a: Values) -> Laid:
    x: Laid = a["input"]
    shape, groups = x.shape, a["num_groups"]
    apart = x.seen_as(x.index.reshape(shape[0], groups, shape[1] // groups, *shape[2:]))
    wide = [1, groups, shape[1] // groups, *[1] * (len(shape) - 2)]
    gain, bias = (None if a[k] is None else a[k].reshape(wide) for k in ("weight", "bias"))
    columns = list(range(2, apart.index.ndim))
    made = layers.norm(w, apart, columns, gain, bias, float(a["eps"]))
    return made.seen_as(made.index.reshape(shape))


def instance_norm(w: Writer, a: Values) -> Laid:
    """A group of its own for each channel."""
    if not a["use_input_stats"]:
        names = {"training": False, "eps": a["eps"]}
        return batch_norm(w, a | names)
    return group_norm(w, a | {"num_groups": a["input"].shape[1]})


def softmax(log: bool) -> Handler:
    return lambda w, a: layers.softmax(w, a["self"], a["dim"], log)


def recurrent(kind: str) -> Handler:
    def handle(w: Writer, a: Values) -> Any:
        hidden = a["hx"]
        initial = list(hidden) if isinstance(hidden, list | tuple) else [hidden]
        made, states = recurrence.recurrent(
            w,
            kind,
            a["input"],
            initial,
            a["params"],
            a["has_biases"],
            a["num_layers"],
            a["bidirectional"],
            a["batch_first"],
        )
        last = Stacked(states)
        return [made, last, None] if kind == "lstm" else [made, last]

    return handle


class Stacked:
    """The last hidden states of all layers, one after the other along dimension 0."""

    def __init__(self, parts: Sequence[Laid]) -> None:
        self.parts = list(parts)

    def joined(self, w: Writer) -> Laid:
        """As one tensor."""
        if len(self.parts) == 1:
            return self.parts[0].seen_as(self.parts[0].index.unsqueeze(0))
        return stack(w, {"tensors": self.parts, "dim": 0})


def attention(w: Writer, a: Values) -> Laid:
    if a.get("attn_mask") is not None or a.get("is_causal") or a.get("enable_gqa"):
        raise Refused("attention with a mask", "attention over the whole window")
    return recurrence.attention(w, a["query"], a["key"], a["value"], a.get("scale"))


def product(w: Writer, a: Values) -> Laid:
    x, y = a["self"], a["other"] if "other" in a else a["mat2"]
    if isinstance(x, Laid) and isinstance(y, Laid):
        return recurrence.product(w, x, y)
    if isinstance(x, Laid) and y.ndim == 2:
        return layers.linear(w, x, y.t(), None)
    if isinstance(y, Laid) and x.ndim == 2:
        made = layers.linear(w, y.seen_as(y.index.transpose(-1, -2)), x, None)
        return made.seen_as(made.index.transpose(-1, -2))
    raise Refused("a product with a constant of more than two dimensions", "a linear layer")
