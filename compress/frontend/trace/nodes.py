"""The one table of the front end: PyTorch function -> what it means for a laid-out tensor.

Functions are ATen's, as torch.export gives them before any decomposition, so that a module, its
functional form and its method are one name. A function that only moves values runs on the index.
"""

from __future__ import annotations

from compress import graph as g
from compress.frontend.trace import arithmetic, of_layers, of_values
from compress.frontend.trace.handler import Handler

# functions that move values and compute none
MOVES = """
    alias clone contiguous detach lift_fresh_copy view reshape _unsafe_view view_as reshape_as
    transpose permute t numpy_T mT movedim moveaxis swapaxes swapdims squeeze unsqueeze flatten
    unflatten expand expand_as slice select narrow index_select index chunk split split_with_sizes
    tensor_split unbind unfold flip roll repeat repeat_interleave tile unsafe_chunk unsafe_split
    unsafe_split_with_sizes diagonal broadcast_to getitem channel_shuffle ravel
"""
# those among them whose result is a tensor of its own
COPIES = """
    clone contiguous lift_fresh_copy index_select index flip roll repeat repeat_interleave tile
    channel_shuffle
"""
# functions that change nothing in evaluation
NOTHING = """
    dropout feature_dropout alpha_dropout feature_alpha_dropout to _to_copy type_as float
"""
ADVICE: dict[str, tuple[str, str]] = {  # what is refused with a reason of its own
    "fft": ("a Fourier transform inside of forward", "a convolution, or features made before"),
    "stft": ("a Fourier transform inside of forward", "a convolution, or features made before"),
    "sqrt": (
        "a root",
        "nn.LayerNorm or nn.RMSNorm for a norm written out; else features made before",
    ),
    "log": ("a logarithm", "features made before, or an activation of the vocabulary"),
    "exp": ("an exponential", "softmax, sigmoid, or another activation of the vocabulary"),
    "reciprocal": ("a division by what is computed", "a product, or a norm"),
    "cumsum": ("a sum from the beginning of time", "a recurrent layer or a pool"),
    "sort": ("sorting", "a maximum or a mean"),
    "topk": ("sorting", "a maximum or a mean"),
    "argmax": ("a decision inside of forward", "scores as output; the decision is made after"),
    "std": ("a deviation over a dimension", "a norm, or a mean of squares"),
    "var": ("a deviation over a dimension", "a norm, or a mean of squares"),
    "masked_fill": ("a mask", "no mask: attention here sees the whole window"),
    "baddbmm": ("attention with a mask", "attention over the whole window"),
    "where": ("a choice by value", "an activation"),
    "embedding": ("a table of embeddings", "a linear layer"),
    "copy": ("values written into a part of a tensor", "torch.cat of the parts"),
    "index_put": ("values written into a part of a tensor", "torch.cat of the parts"),
    "convtranspose": ("a transposed convolution", "outputs at the lower rate"),
}


def moves(name: str) -> bool:
    """Whether a function only moves values."""
    return name in MOVES.split()


def views(name: str) -> bool:
    """Whether what is written into a function's result is written into its argument."""
    return moves(name) and name not in COPIES.split()


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
        "the vocabulary of docs/own-network.md",
    )


TABLE: dict[str, Handler] = {
    **{
        name: of_values.of_kind(name)
        for name in ("relu", "tanh", "sigmoid", "silu", "hardswish", "hardsigmoid", "mish", "abs")
    },
    "absolute": of_values.of_kind("abs"),
    "elu": of_values.elu,
    "selu": of_values.selu,
    "softplus": of_values.softplus,
    "gelu": of_values.gelu,
    "leaky_relu": of_values.leaky,
    "prelu": lambda w, a: arithmetic.prelu(w, a["self"], a["weight"]),
    "relu6": lambda w, a: arithmetic.clamp(w, a["self"], 0.0, 6.0),
    "hardtanh": lambda w, a: arithmetic.clamp(w, a["self"], a["min_val"], a["max_val"]),
    "clamp": lambda w, a: arithmetic.clamp(w, a["self"], a["min"], a["max"]),
    "clip": lambda w, a: arithmetic.clamp(w, a["self"], a["min"], a["max"]),
    "clamp_min": lambda w, a: arithmetic.clamp(w, a["self"], a["min"], None),
    "clamp_max": lambda w, a: arithmetic.clamp(w, a["self"], None, a["max"]),
    "ge": of_values.at_least,
    **{name: of_values.comparison for name in ("gt", "le", "lt", "eq", "ne")},
    "neg": lambda w, a: of_values.affine(w, a["self"], gain=-1.0),
    "negative": lambda w, a: of_values.affine(w, a["self"], gain=-1.0),
    "square": lambda w, a: of_values.power(w, {"self": a["self"], "exponent": 2}),
    "pow": of_values.power,
    "glu": of_values.glu,
    "add": of_values.add,
    "sub": of_values.subtract,
    "subtract": of_values.subtract,
    "rsub": of_values.subtracted,
    "mul": of_values.multiply,
    "multiply": of_values.multiply,
    "div": of_values.divide,
    "divide": of_values.divide,
    "true_divide": of_values.divide,
    "cat": of_values.cat,
    "concat": of_values.cat,
    "concatenate": of_values.cat,
    "stack": of_values.stack,
    "pad": of_values.pad,
    "constant_pad_nd": of_values.pad,
    "mean": of_values.reduction(False),
    "sum": of_values.total,
    "amax": of_values.reduction(True),
    "max": of_values.largest,
    "linear": of_layers.linear,
    "matmul": of_layers.product,
    "bmm": of_layers.product,
    "mm": of_layers.product,
    "conv1d": of_layers.convolution,
    "conv2d": of_layers.convolution,
    "max_pool1d": of_layers.pool(True, 1),
    "max_pool2d": of_layers.pool(True, 2),
    "avg_pool1d": of_layers.pool(False, 1),
    "avg_pool2d": of_layers.pool(False, 2),
    "adaptive_avg_pool1d": of_layers.adaptive(False),
    "adaptive_avg_pool2d": of_layers.adaptive(False),
    "adaptive_max_pool1d": of_layers.adaptive(True),
    "batch_norm": of_layers.batch_norm,
    "layer_norm": of_layers.layer_norm(g.LayerNorm),
    "rms_norm": of_layers.layer_norm(g.RmsNorm),
    "group_norm": of_layers.group_norm,
    "instance_norm": of_layers.instance_norm,
    "softmax": of_layers.softmax(False),
    "_softmax": of_layers.softmax(False),
    "log_softmax": of_layers.softmax(True),
    "lstm": of_layers.recurrent("lstm"),
    "gru": of_layers.recurrent("gru"),
    "rnn_tanh": of_layers.recurrent("rnn_tanh"),
    "rnn_relu": of_layers.recurrent("rnn_relu"),
    "scaled_dot_product_attention": of_layers.attention,
}
