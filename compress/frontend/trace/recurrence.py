"""Recurrent layers over the frames of a stream or a window, and attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from compress import graph as g
from compress.frontend import handlers
from compress.frontend.trace import arithmetic
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.layout import Laid
from compress.frontend.trace.writer import Writer

Layer = Callable[[g.Op], None]
_RECENT = (
    "RecentAttention (compress.frontend.layers), which sees the last frames; or WINDOW and STRIDE"
)

# --- recurrent layers ----------------------------------------------------------------------------


def recurrent(
    w: Writer,
    kind: str,
    x: Laid,
    initial: Sequence[torch.Tensor | Laid],
    parameters: Sequence[torch.Tensor],
    has_biases: bool,
    layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Laid, list[Laid]]:
    """kind: "lstm", "gru", "rnn_tanh" or "rnn_relu" -> the output and the last hidden state of each
    layer (and direction)."""
    if bidirectional and w.window is None:
        raise Refused(
            "recurrence in both directions in a stream, which has no end",
            "bidirectional=False, or WINDOW and STRIDE",
        )
    if any(isinstance(h, Laid) or bool((h != 0).any()) for h in initial):
        raise Refused("a hidden state to begin with", "zeros, which are the default")
    time = (1 if batch_first else 0) if x.index.ndim == 3 else 0
    if x.time_dims() not in ([time], []):
        raise Refused(
            f"recurrence along dimension {time}, which is not time",
            "transpose(1, 2) in front of it, and batch_first=True",
        )
    per = 4 if has_biases else 2
    if len(parameters) != per * layers * (2 if bidirectional else 1):
        raise Refused("an LSTM with a projection", "proj_size=0, and a linear layer behind it")
    states = []
    for layer in range(layers):
        outputs = []
        for direction in range(2 if bidirectional else 1):
            begin = (layer * (2 if bidirectional else 1) + direction) * per
            own = [p.detach().double().numpy() for p in parameters[begin : begin + per]]
            source = x.seen_as(x.index.flip(time)) if direction else x
            made = _layer(w, kind, f"l{layer}{'r' if direction else ''}", source, own)
            last = made.index.select(time, made.index.shape[time] - 1)
            states.append(made.seen_as(last))
            outputs.append(made.seen_as(made.index.flip(time)) if direction else made)
        x = outputs[0] if len(outputs) == 1 else arithmetic.cat(w, outputs, -1)
    return x, states


def _layer(w: Writer, kind: str, name: str, x: Laid, own: Sequence[g.Array]) -> Laid:
    rows = w.rows(x, [-1])
    source = w.begun(arithmetic.scaled(w, w.frames(rows)))
    weights = own[:2]
    biases = own[2:] if len(own) > 2 else [np.zeros(len(m)) for m in weights]
    b, where = w.b, w.fresh(f"{w.path}.{name}" if w.path else name)
    b.here = source
    if kind == "lstm":
        handlers.lstm_layer(b, where, weights, biases)
    elif kind == "gru":
        handlers.gru_layer(b, where, weights, biases)
    else:
        handlers.rnn_layer(b, where, weights, biases, kind.removeprefix("rnn_"))
    w.note()
    return w.laid(where, rows, [weights[1].shape[1]])


# --- attention -----------------------------------------------------------------------------------


def attention(w: Writer, q: Laid, k: Laid, v: Laid, scale: float | None) -> Laid:
    """softmax(scale · q·kᵀ)·v of (…, frames, depth), over the frames of a window."""
    if w.window is None:
        raise Refused(
            "attention over a whole recording in a stream",
            _RECENT,
        )
    depth = q.shape[-1]
    factor = depth**-0.5 if scale is None else float(scale)
    scores = product(w, q, k.seen_as(k.index.transpose(-1, -2)), factor)
    rows = w.rows(scores, [-1])
    weights = w.laid(w.op(g.Softmax, w.frames(rows), part="weights", groups=rows.groups), rows)
    return product(w, weights, v)


def product(w: Writer, a: Laid, b: Laid, factor: float = 1.0) -> Laid:
    """a (…, m, k) @ b (…, k, n) in a window: queries with keys, where time passes along m and n, or
    weights with values, where it passes along m and k."""
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = a.seen_as(a.index.expand(*batch, *a.shape[-2:]))
    b = b.seen_as(b.index.expand(*batch, *b.shape[-2:]))
    ndim = a.index.ndim
    if w.window is None:
        raise Refused("attention, or a product of two tensors over time, in a stream", _RECENT)
    of_b = b.time_dims()
    keys = of_b == [ndim - 1] or (of_b == [] and a.shape[-1] != a.frames)
    if of_b not in ([ndim - 1], [ndim - 2]):
        raise Refused(
            f"a matrix product with time along dimensions {of_b}",
            "queries with keys, (…, frames, depth) @ (…, depth, frames), or weights with values",
        )
    one = a.time_dims() == []  # one query, or one row of weights, for each window
    ra = w.rows(a, [-1])
    other = b.seen_as(b.index.transpose(-1, -2)) if keys else b  # (…, frames, depth)
    rb = w.rows(other, [-1])
    name_a, name_b = w.frames(ra), w.frames(rb)
    frames, depth = other.shape[-2:]
    if one:
        name_b = w.op(g.Reframe, name_b, part="flat", frames=frames, outputs=1)
    elif a.shape[-2] != frames:
        raise Refused(
            f"{a.shape[-2]} queries over {frames} keys", "as many queries as keys, or one"
        )
    sizes = {"frames": frames, "heads": ra.groups, "depth": depth, "shared": not one}
    maker = next((op for op in w.b.ops if op.output == name_a), None)
    if not keys and not (isinstance(maker, g.Softmax) and maker.groups == ra.groups):
        raise Refused(
            "a product of weights that are no softmax with values",
            "softmax(dim=-1) right before the product, or a mean",
        )
    if keys:
        made = w.op(g.AttentionScores, name_a, name_b, part="scores", **sizes, factor=factor)
        return w.laid(made, ra, [frames])
    return w.laid(w.op(g.AttentionContext, name_a, name_b, part="context", **sizes), ra, [depth])
