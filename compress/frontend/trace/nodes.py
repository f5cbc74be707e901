"""The one table of the front end: PyTorch function -> what it means for a laid-out tensor.

Functions are ATen's, as torch.export gives them before any decomposition, so that a module, its
functional form and its method are one name. A function that only moves values runs on the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from compress import graph as g
from compress.frontend.trace import arithmetic, layers, recurrence
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.layout import Laid
from compress.frontend.trace.writer import Writer

Values = dict[str, Any]  # arguments by the names of the function's schema
Handler = Callable[[Writer, Values], Any]

# functions that move values and compute none
MOVES = """
    alias clone contiguous detach lift_fresh_copy view reshape _unsafe_view view_as reshape_as
    transpose permute t numpy_T mT movedim moveaxis swapaxes swapdims squeeze unsqueeze flatten
    unflatten expand expand_as slice select narrow index_select index chunk split split_with_sizes
    tensor_split unbind unfold flip roll repeat repeat_interleave tile unsafe_chunk unsafe_split
    unsafe_split_with_sizes diagonal broadcast_to getitem channel_shuffle ravel
"""
# functions that change nothing in evaluation
NOTHING = """
    dropout feature_dropout alpha_dropout feature_alpha_dropout to _to_copy type_as float
"""
ADVICE: dict[str, tuple[str, str]] = {  # what is refused with a reason of its own
    "fft": ("a Fourier transform inside of forward", "a convolution, or features made before"),
    "stft": ("a Fourier transform inside of forward", "a convolution, or features made before"),
    "instance_norm": (
        "a norm over time",
        "nn.LayerNorm over the features of a frame, or batch norm",
    ),
    "cumsum": ("a sum from the beginning of time", "a recurrent layer or a pool"),
    "sort": ("sorting", "a maximum or a mean"),
    "topk": ("sorting", "a maximum or a mean"),
    "argmax": ("a decision inside of forward", "scores as output; the decision is made after"),
    "std": ("a deviation over a dimension", "a norm, or a mean of squares"),
    "var": ("a deviation over a dimension", "a norm, or a mean of squares"),
    "masked_fill": ("a mask", "no mask: attention here sees the whole window"),
    "where": ("a choice by value", "an activation"),
    "embedding": ("a table of embeddings", "a linear layer"),
    "copy": ("values written into a part of a tensor", "torch.cat of the parts"),
    "index_put": ("values written into a part of a tensor", "torch.cat of the parts"),
    "convtranspose": ("a transposed convolution", "repeat_interleave and a convolution"),
}


def moves(name: str) -> bool:
    """Whether a function only moves values."""
    return name in MOVES.split()


def does_nothing(name: str) -> bool:
    """Whether a function changes nothing in evaluation."""
    return name.removesuffix("_") in NOTHING.split()


def handler_of(name: str) -> Handler | None:
    """What a function means; None where it means nothing here."""
    return TABLE.get(name) or TABLE.get(name.removesuffix("_"))


def advice_of(name: str) -> tuple[str, str]:
    """What is found and what would work, for a function that has no handler."""
    found = next((v for k, v in ADVICE.items() if k in name.replace("_", "") or k in name), None)
    return found or (
        f"{name}, which has no operator in the stream graph",
        "the vocabulary of docs/networks.md",
    )


# --- functions of one value -----------------------------------------------------------------------


def _function(kind: str) -> Handler:
    return lambda w, a: arithmetic.activation(w, _first(a), kind)


def _first(a: Values) -> Any:
    return a.get("self", a.get("input"))


def _elu(w: Writer, a: Values) -> Laid:
    if a["input_scale"] != 1:
        raise Refused("an ELU of a scaled input (CELU)", "ELU")
    made = arithmetic.activation(w, a["self"], g.named("elu", a["alpha"]))
    return _affine(w, made, gain=a["scale"])


def _softplus(w: Writer, a: Values) -> Laid:
    kind = g.named("softplus", a["beta"], a["threshold"])
    return arithmetic.activation(w, a["self"], kind)


def _gelu(w: Writer, a: Values) -> Laid:
    kind = "gelu" if a["approximate"] == "none" else "gelu_tanh"
    return arithmetic.activation(w, a["self"], kind)


def _leaky(w: Writer, a: Values) -> Laid:
    slope = float(a["negative_slope"])
    kind = "leaky_relu" if slope == 0.01 else g.named("leaky_relu", slope)
    return arithmetic.activation(w, a["self"], kind)


def _selu(w: Writer, a: Values) -> Laid:
    made = arithmetic.activation(w, a["self"], g.named("elu", 1.6732632423543772))
    return _affine(w, made, gain=1.0507009873554805)


def _at_least(w: Writer, a: Values) -> Laid:
    if a["other"] != 0:
        return _comparison(w, a)
    return arithmetic.activation(w, a["self"], "step")


def _comparison(w: Writer, a: Values) -> Laid:
    raise Refused("a choice by value", "an activation, or x >= 0 as a step from 0 to 1")


def _power(w: Writer, a: Values) -> Laid:
    if a["exponent"] != 2:
        raise Refused(f"a power of {a['exponent']}", "a square, or products")
    return arithmetic.binary(w, a["self"], a["self"], g.Multiply)


def _glu(w: Writer, a: Values) -> Laid:
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


def _affine(w: Writer, x: Laid, gain: Any = None, bias: Any = None) -> Laid:
    return arithmetic.affine(w, x, *(_tensor(v) for v in (gain, bias)))


def _tensor(value: Any) -> torch.Tensor | None:
    return None if value is None else torch.as_tensor(value)


def _add(w: Writer, a: Values) -> Laid:
    x, y, alpha = a["self"], a["other"], a.get("alpha", 1)
    if isinstance(x, Laid) and isinstance(y, Laid):
        y = _affine(w, y, gain=alpha)
        return arithmetic.binary(w, x, y, g.Add)
    if isinstance(x, Laid):
        return _affine(w, x, bias=torch.as_tensor(y) * alpha)
    return _affine(w, y, gain=alpha, bias=x)


def _subtract(w: Writer, a: Values) -> Laid:
    x, y, alpha = a["self"], a["other"], a.get("alpha", 1)
    if isinstance(x, Laid) and isinstance(y, Laid):
        return arithmetic.binary(w, x, _affine(w, y, gain=alpha), g.Subtract)
    if isinstance(x, Laid):
        return _affine(w, x, bias=-torch.as_tensor(y) * alpha)
    return _affine(w, y, gain=-alpha, bias=x)


def _subtracted(w: Writer, a: Values) -> Laid:
    return _subtract(w, {"self": a["other"], "other": a["self"], "alpha": a.get("alpha", 1)})


def _multiply(w: Writer, a: Values) -> Laid:
    x, y = a["self"], a["other"]
    if isinstance(x, Laid) and isinstance(y, Laid):
        return arithmetic.binary(w, x, y, g.Multiply)
    return _affine(w, x, gain=y) if isinstance(x, Laid) else _affine(w, y, gain=x)


def _divide(w: Writer, a: Values) -> Laid:
    if isinstance(a["other"], Laid) or a.get("rounding_mode"):
        raise Refused("a division by what is computed", "a product, or a norm")
    return _affine(w, a["self"], gain=1.0 / torch.as_tensor(a["other"]))


def _cat(w: Writer, a: Values) -> Laid:
    return arithmetic.cat(w, a["tensors"], a["dim"])


def _stack(w: Writer, a: Values) -> Laid:
    dim = a["dim"]
    parts = []
    for part in a["tensors"]:
        at = dim % (len(part.shape) + 1)
        laid = isinstance(part, Laid)
        parts.append(part.seen_as(part.index.unsqueeze(at)) if laid else part.unsqueeze(at))
    return arithmetic.cat(w, parts, dim % parts[0].index.ndim)


def _pad(w: Writer, a: Values) -> Laid:
    x: Laid = a["self"]
    mode, value = a.get("mode", "constant"), a.get("value") or 0.0
    if mode == "constant" and value == 0.0:
        index = torch.nn.functional.pad(x.index, list(a["pad"]), value=layers.ZERO)
    elif mode == "constant":
        raise Refused(f"padding with {value:g}", "padding with zeros")
    else:
        pad = list(a["pad"])
        index = torch.nn.functional.pad(x.index.double(), pad, mode=mode).long()
    return x.seen_as(index)


def _reduction(largest: bool) -> Handler:
    def handle(w: Writer, a: Values) -> Laid:
        x: Laid = a["self"]
        dims = a.get("dim")
        chosen = range(x.index.ndim) if dims is None or dims == [] else dims
        chosen = [chosen] if isinstance(chosen, int) else list(chosen)
        return layers.reduce(w, x, chosen, largest, bool(a.get("keepdim", False)))

    return handle


def _sum(w: Writer, a: Values) -> Laid:
    x: Laid = a["self"]
    dims = a.get("dim") or list(range(x.index.ndim))
    dims = [dims] if isinstance(dims, int) else list(dims)
    count = 1
    for dim in dims:
        count *= x.shape[dim]
    made = layers.reduce(w, x, dims, False, bool(a.get("keepdim", False)))
    return _affine(w, made, gain=float(count))


def _largest(w: Writer, a: Values) -> Any:
    """torch.max over a dimension gives values and places."""
    if "dim" not in a:
        return layers.reduce(w, a["self"], range(a["self"].index.ndim), True)
    made = layers.reduce(w, a["self"], [a["dim"]], True, bool(a.get("keepdim", False)))
    return [made, None]


# --- layers --------------------------------------------------------------------------------------


def _linear(w: Writer, a: Values) -> Laid:
    return layers.linear(w, a["input"], a["weight"], a["bias"])


def _convolution(w: Writer, a: Values) -> Laid:
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


def _pool(largest: bool, n: int) -> Handler:
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


def _adaptive(largest: bool) -> Handler:
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


def _batch_norm(w: Writer, a: Values) -> Laid:
    if a["training"] or a["running_mean"] is None:
        raise Refused("a batch norm over the batch", "running statistics (the default)")
    x: Laid = a["input"]
    n = a["running_mean"].numel()
    mean, var = (layers.numbers(a[k], n) for k in ("running_mean", "running_var"))
    gain = layers.numbers(a["weight"], n, 1.0) / np.sqrt(var + a["eps"])
    bias = layers.numbers(a["bias"], n) - mean * gain
    shape = [1, n, *[1] * (x.index.ndim - 2)]
    wide = (torch.from_numpy(values.reshape(shape)) for values in (gain, bias))
    return arithmetic.affine(w, x, *wide)


def _layer_norm(kind: type[g.Op]) -> Handler:
    def handle(w: Writer, a: Values) -> Laid:
        x: Laid = a["input"]
        columns = list(range(x.index.ndim - len(a["normalized_shape"]), x.index.ndim))
        eps = a["eps"]
        eps = torch.finfo(torch.float32).eps if eps is None else eps
        return layers.norm(w, x, columns, a["weight"], a.get("bias"), float(eps), kind)

    return handle


def _group_norm(w: Writer, a: Values) -> Laid:
    x: Laid = a["input"]
    shape, groups = x.shape, a["num_groups"]
    apart = x.seen_as(x.index.reshape(shape[0], groups, shape[1] // groups, *shape[2:]))
    wide = [1, groups, shape[1] // groups, *[1] * (len(shape) - 2)]
    gain, bias = (None if a[k] is None else a[k].reshape(wide) for k in ("weight", "bias"))
    columns = list(range(2, apart.index.ndim))
    made = layers.norm(w, apart, columns, gain, bias, float(a["eps"]))
    return made.seen_as(made.index.reshape(shape))


def _instance_norm(w: Writer, a: Values) -> Laid:
    """A group of its own for each channel."""
    if not a["use_input_stats"]:
        names = {"training": False, "eps": a["eps"]}
        return _batch_norm(w, a | names)
    return _group_norm(w, a | {"num_groups": a["input"].shape[1]})


def _softmax(log: bool) -> Handler:
    return lambda w, a: layers.softmax(w, a["self"], a["dim"], log)


def _recurrent(kind: str) -> Handler:
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
        return _stack(w, {"tensors": self.parts, "dim": 0})


def _attention(w: Writer, a: Values) -> Laid:
    if a.get("attn_mask") is not None or a.get("is_causal") or a.get("enable_gqa"):
        raise Refused("attention with a mask", "attention over the whole window")
    return recurrence.attention(w, a["query"], a["key"], a["value"], a.get("scale"))


def _product(w: Writer, a: Values) -> Laid:
    x, y = a["self"], a["other"] if "other" in a else a["mat2"]
    if isinstance(x, Laid) and isinstance(y, Laid):
        return recurrence.product(w, x, y)
    if isinstance(x, Laid) and y.ndim == 2:
        return layers.linear(w, x, y.t(), None)
    if isinstance(y, Laid) and x.ndim == 2:
        made = layers.linear(w, y.seen_as(y.index.transpose(-1, -2)), x, None)
        return made.seen_as(made.index.transpose(-1, -2))
    raise Refused("a product with a constant of more than two dimensions", "a linear layer")


TABLE: dict[str, Handler] = {
    **{
        name: _function(name)
        for name in ("relu", "tanh", "sigmoid", "silu", "hardswish", "hardsigmoid", "mish", "abs")
    },
    "absolute": _function("abs"),
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "gelu": _gelu,
    "leaky_relu": _leaky,
    "prelu": lambda w, a: arithmetic.prelu(w, a["self"], a["weight"]),
    "relu6": lambda w, a: arithmetic.clamp(w, a["self"], 0.0, 6.0),
    "hardtanh": lambda w, a: arithmetic.clamp(w, a["self"], a["min_val"], a["max_val"]),
    "clamp": lambda w, a: arithmetic.clamp(w, a["self"], a["min"], a["max"]),
    "clip": lambda w, a: arithmetic.clamp(w, a["self"], a["min"], a["max"]),
    "clamp_min": lambda w, a: arithmetic.clamp(w, a["self"], a["min"], None),
    "clamp_max": lambda w, a: arithmetic.clamp(w, a["self"], None, a["max"]),
    "ge": _at_least,
    **{name: _comparison for name in ("gt", "le", "lt", "eq", "ne")},
    "neg": lambda w, a: _affine(w, a["self"], gain=-1.0),
    "negative": lambda w, a: _affine(w, a["self"], gain=-1.0),
    "square": lambda w, a: _power(w, {"self": a["self"], "exponent": 2}),
    "pow": _power,
    "glu": _glu,
    "add": _add,
    "sub": _subtract,
    "subtract": _subtract,
    "rsub": _subtracted,
    "mul": _multiply,
    "multiply": _multiply,
    "div": _divide,
    "divide": _divide,
    "true_divide": _divide,
    "cat": _cat,
    "concat": _cat,
    "concatenate": _cat,
    "stack": _stack,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "mean": _reduction(False),
    "sum": _sum,
    "amax": _reduction(True),
    "max": _largest,
    "linear": _linear,
    "matmul": _product,
    "bmm": _product,
    "mm": _product,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "max_pool1d": _pool(True, 1),
    "max_pool2d": _pool(True, 2),
    "avg_pool1d": _pool(False, 1),
    "avg_pool2d": _pool(False, 2),
    "adaptive_avg_pool1d": _adaptive(False),
    "adaptive_avg_pool2d": _adaptive(False),
    "adaptive_max_pool1d": _adaptive(True),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm(g.LayerNorm),
    "rms_norm": _layer_norm(g.RmsNorm),
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "softmax": _softmax(False),
    "_softmax": _softmax(False),
    "log_softmax": _softmax(True),
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "rnn_tanh": _recurrent("rnn_tanh"),
    "rnn_relu": _recurrent("rnn_relu"),
    "scaled_dot_product_attention": _attention,
}
