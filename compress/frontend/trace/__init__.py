"""From any PyTorch module to operators: torch.export says which functions forward calls, the table
in `nodes.py` what each is in the stream graph, and a comparison with PyTorch ends it.

The module is exported on a short signal, with leaf modules (those that are operators of their own)
kept whole. Nothing of torch is left in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.trace import fold
from compress.frontend.trace.check import compare
from compress.frontend.trace.exported import Exported, Form, Written, export
from compress.frontend.trace.layout import Laid
from compress.frontend.trace.walk import walk
from compress.frontend.trace.writer import Writer

# samples that a stream is exported with: the first that do; they are many numbers' multiples, for a
# forward that takes samples in groups
LENGTHS = (240, 1200, 7200, 25200)
LEAST_FRAMES = 12  # of the output of a stream


def trace(
    b: Builder,
    model: nn.Module,
    electrodes: int,
    sample_rate: int,
    window: int | None = None,
    stride: int | None = None,
    written: Written = Written(),  # noqa: B008  immutable
    form: Form | None = None,
    checked: bool = True,
) -> dict[str, Any]:
    """Append the operators of a module that takes (batch, electrodes, samples) and gives (batch,
    outputs, frames), or (batch, outputs) for a window of `window` samples every `stride`; in
    another `form` where its forward has one. `checked`: the graph is compared with the module.

    Returns what provenance says of it: "lookahead" (samples). GraphError with the module, the line
    of the user's file, what was found and what would work.
    """
    form = form or Form()
    for exported, last in _traces(model, electrodes, window, form, written):
        first = Builder(electrodes, Fraction(sample_rate))
        writer = Writer(first, window, None, longest=last)
        try:
            output = _write(writer, exported, stride)
        except GraphError:
            if last or not writer.short:
                raise
            continue
        if last or not writer.short:
            break
    if writer.waits:  # for a step, whose length only the whole network tells
        writer = Writer(b, window, _period(first))
        output = _write(writer, exported, stride)
    else:
        b.take(first)
    fold.affine_into_layers(b)
    if checked:
        compare(b, exported, model, electrodes, window)
    return {"lookahead": int(writer.lookahead[output])}


def _traces(
    model: nn.Module, electrodes: int, window: int | None, form: Form, written: Written
) -> Iterator[tuple[Exported, bool]]:
    """The trace on a window; of a stream on signals that give a few frames, longer and longer,
    since a short one may end before what its layers reach back to. And whether it is the last."""
    if window is not None:
        yield export(model, electrodes, window, form, written), True
        return
    for length in LENGTHS:
        last = length == LENGTHS[-1]
        try:
            frames = _frames(model, electrodes, length, form)
        except Exception:
            frames = 0
            if last:  # the export fails too, and says where
                yield export(model, electrodes, length, form, written), True
        if frames >= LEAST_FRAMES:
            yield export(model, electrodes, length, form, written), last
        elif last:
            exported = export(model, electrodes, length, form, written)
            _write(Writer(Builder(electrodes, Fraction(1)), None, None), exported, None)  # as above
            raise GraphError(
                f"forward gives {frames} frames for {length} samples: expected (batch, outputs,"
                f" frames) with {LEAST_FRAMES} frames or more, or {written.window} for one answer a"
                " window"
            )


def _frames(model: nn.Module, electrodes: int, length: int, form: Form) -> int:
    """Frames that forward gives for a signal of so many samples; 0 for what has no frames."""
    with torch.no_grad():
        found = model.eval()(form.given(torch.zeros(length, electrodes)))
    if not isinstance(found, torch.Tensor) or found.ndim != 3:
        return 0
    return int(form.taken(found).shape[2])


def _write(writer: Writer, exported: Exported, stride: int | None) -> str:
    """The operators of the trace; the tensor that is its output."""
    b, window, length = writer.b, writer.window, exported.length
    name = b.here
    if window is not None:
        name = writer.op(g.SlidingWindow, name, part="window", frames=window, hop=stride or window)
    index = exported.form.given(torch.arange(length * b.features).reshape(length, b.features))
    output = walk(writer, exported, Laid(name, length, b.features, index))
    _keep_only(b, output)
    return output


def _keep_only(b: Builder, output: str) -> None:
    """Leave out what the output is not made of."""
    needed = {output}
    for op in reversed(b.ops):
        if op.output in needed:
            needed |= {*op.inputs, *op.previous_names}
    b.ops = [op for op in b.ops if op.output in needed]
    b.tensors = {n: t for n, t in b.tensors.items() if n in needed or n == "samples"}
    b.here = output


def _period(b: Builder) -> Fraction:
    """Samples that one step of the stream takes: whole frames of every tensor."""
    out = b.tensors[b.here].rate
    ratios = [tensor.rate / out for tensor in b.tensors.values()]
    frames = math.lcm(*(ratio.denominator for ratio in ratios))
    return frames * b.tensors["samples"].rate / out
