"""Checks of a whole graph: shapes, rates, loops, begins of state, and every scale relation."""

from __future__ import annotations

from collections.abc import Iterable

from compress.errors import GraphError
from compress.graph.graph import Graph, first_valid_frames
from compress.ops import INT16, IntOp, Op
from compress.ops.tensor import check_segments, in_float32


def verify(graph: Graph) -> Graph:
    """Check shapes, rates, ranges and the scales of the whole graph; returns it so that passes can
    end with it. GraphError names the operator and what does not fit."""
    if not graph.ops or not graph.tensors:
        raise GraphError(f"{graph.name}: expected at least one operator, found none")
    _verify_names(graph)
    seen = {graph.input.name}
    _raise(graph.input.name, check_segments(graph.input))
    for end in (graph.input, graph.output):
        _raise(f"{graph.name}: {end.name}", in_float32(end))
    if graph.input.quantized and (graph.input.lo, graph.input.hi) != INT16:
        raise GraphError(f"{graph.input.name}: expected the range of int16, which samples have")
    for op in graph.ops:
        try:
            _verify_place(graph, op, seen)
            sources = [graph.tensors[name] for name in op.inputs]
            _raise(_where(graph, op), op.check(sources, graph.target(op)))
            _raise(_where(graph, op), op.made_by([_maker(graph, name) for name in op.inputs]))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise GraphError(f"{_where(graph, op)}: fields that do not fit: {error}") from error
        seen.add(op.output)
    if (graph.input.rate / graph.output.rate).denominator != 1:
        raise GraphError(
            f"{graph.name}: the output rate {graph.output.rate} does not divide the input rate"
            f" {graph.input.rate}"
        )
    _verify_loops(graph)
    _verify_start(graph)
    for op in graph.ops:
        if isinstance(op, IntOp):
            _verify_scales(graph, op)
    return graph


def _maker(graph: Graph, name: str) -> Op | None:
    """The operator that makes a tensor."""
    return graph.ops[graph.maker[name]] if name in graph.maker else None


def _verify_names(graph: Graph) -> None:
    """Every tensor is made, every extra input is used, and no name means two things."""
    made = {graph.input.name, *(op.output for op in graph.ops)}
    used = {name for op in graph.ops for name in op.initial_names}
    for names, known, what in (
        (graph.tensors, made, "a tensor that no operator makes"),
        (graph.initial, used, "an extra input that no operator uses"),
    ):
        for name in names:
            if name not in known:
                raise GraphError(f"{graph.name}: {name!r}: {what}")
    both = sorted(set(graph.initial) & set(graph.tensors))
    if both:
        raise GraphError(f"{graph.name}: {both[0]!r} names a tensor and an extra input")


def _where(graph: Graph, op: Op) -> str:
    return f"{op.module or graph.name}: {type(op).__name__}"


def _raise(where: str, problems: Iterable[str]) -> None:
    for problem in problems:
        raise GraphError(f"{where}: {problem}")


def _verify_place(graph: Graph, op: Op, seen: set[str]) -> None:
    """Inputs are computed before, of one rate and width; the output is new and has the rate and
    width that the operator says."""
    where = _where(graph, op)
    unknown = [name for name in op.inputs if name not in seen]
    if not op.inputs or unknown or op.output in seen or op.output not in graph.tensors:
        raise GraphError(
            f"{where}: expected inputs computed before and a new output, found"
            f" {op.inputs} -> {op.output}"
        )
    sources, target = [graph.tensors[name] for name in op.inputs], graph.target(op)
    rate, features = sources[0].rate / op.stride, op.out_features(sources[0].features)
    if any(s.rate != sources[0].rate for s in sources):
        raise GraphError(f"{where}: inputs differ in rate: {[str(s.rate) for s in sources]}")
    if target.rate != rate:
        raise GraphError(f"{where}: expected rate {rate}, found {target.rate}")
    if target.features != features:
        raise GraphError(f"{where}: expected {features} features, found {target.features}")
    _raise(where, check_segments(target))
    for name in op.initial_names:
        if name not in graph.initial or graph.initial[name].features != target.features:
            raise GraphError(
                f"{where}: expected an extra input {name!r} of {target.features} values"
            )


def _verify_loops(graph: Graph) -> None:
    """What a delayed operator names is made later, has the width it says, and nothing between needs
    more than one frame at a time."""
    for index, op in enumerate(graph.ops):
        for name, width in zip(op.previous_names, getattr(op, "widths", ()), strict=True):
            late = graph.maker.get(name, -1) >= index
            if not late or graph.tensors[name].features != width:
                raise GraphError(
                    f"{_where(graph, op)}: expected {name!r} of {width} features to be made later"
                    " in the graph"
                )
    for op in (graph.ops[index] for loop in graph.loops for index in loop):
        if op.across_frames or op.stride != 1:
            raise GraphError(
                f"{_where(graph, op)}: cannot be computed frame by frame between a DelayedConcat"
                " and what it names"
            )
    for op in graph.ops:
        frames = getattr(op, "frames", 0)
        if op.whole_window and graph.frames_per_step(op.inputs[0]) != frames:
            raise GraphError(
                f"{_where(graph, op)}: a window of {frames} frames in a step of"
                f" {graph.frames_per_step(op.inputs[0])}"
            )


def _verify_start(graph: Graph) -> None:
    """Whatever groups frames begins with the first valid frame; recurrent state begins with a
    step. Over windows all begins with each window, which the first operator makes."""
    first = first_valid_frames(graph)
    for op in graph.ops[1:]:
        if op.makes_windows:
            raise GraphError(f"{_where(graph, op)}: expected as the first operator of a graph")
    if graph.ops[0].makes_windows and graph.initial:
        raise GraphError(
            f"{graph.name}: begins with {', '.join(graph.initial)}: expected none over windows, of"
            " which each begins anew"
        )
    for op in () if graph.windowed else graph.ops:
        begin = max(first[name] for name in op.inputs)
        step = graph.frames_per_step(op.inputs[0])
        if op.groups_frames and begin % op.stride:
            raise GraphError(
                f"{_where(graph, op)}: groups of {op.stride} frames cannot begin with frame"
                f" {begin}; expected an Unfold1d before it"
            )
        if op.recurrent and begin % step:
            raise GraphError(
                f"{_where(graph, op)}: expected its first valid frame at the begin of a step of"
                f" {step} frames, found {begin}; expected an Unfold1d that delays it"
            )


def _verify_scales(graph: Graph, op: IntOp) -> None:
    """The integers of an operator are those that the scales around it ask for."""
    where, target = _where(graph, op), graph.target(op)
    names = (*op.inputs, *op.previous_names)
    around = [graph.tensors[n] for n in names] + [graph.initial[n] for n in op.initial_names]
    bare = [t.name for t in (*around, target) if not t.quantized]
    if bare:
        raise GraphError(f"{where}: expected a scale for {', '.join(bare)}")
    try:
        problems = list(op.relations(around, target))
    except (GraphError, ArithmeticError, TypeError, ValueError) as error:
        problems = [str(error)]  # a tensor with several scales where the operator knows one, …
    _raise(where, problems)
