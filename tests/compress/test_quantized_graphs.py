"""Small graphs that once went wrong on their way to integers, and what verify() refuses."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize

RATE = Fraction(10)
PRECISIONS = ("w8a16", "w8a8", "w4a16")


def matrix(b: Builder, path: str, rows: int, seed: int = 0, gain: float = 1.0) -> None:
    rng = np.random.default_rng(seed)
    weight = gain * rng.standard_normal((1, rows, 1, b.features)) / np.sqrt(b.features)
    b.add(g.Dense, path, weight=weight, bias=rng.uniform(-0.3, 0.3, (1, rows)))


def finished(b: Builder) -> g.Graph:
    made = {op.output: b.tensors[op.output].features for op in b.ops for _ in op.initial_names}
    initial = {
        name: g.Tensor(name, made[op.output], Fraction(0))
        for op in b.ops
        for name in op.initial_names
    }
    return g.verify(g.Graph("small", b.tensors, tuple(b.ops), initial=initial))


def relative_error(real: g.Graph, precision: str) -> float:
    """RMS of the integers' error over that of the floats."""
    x = np.random.default_rng(5).standard_normal((300, real.input.features))
    graph = quantize(real, observe(real, [x]), precision)
    expected = FloatInterpreter(real).run(x[None])[0]
    found = graph.output.real(IntegerInterpreter(graph).run(graph.input.integers(x)[None])[0])
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


@pytest.mark.parametrize("what", ["glu", "lstm", "integrate", "gru"])
def test_a_relu_before_an_operator_with_scales_of_its_own_is_not_lost(what: str) -> None:
    b = Builder(4, RATE)
    if what == "lstm":
        b.add(g.DelayedConcat, "join", previous=("lstm",), widths=(2,))
    matrix(b, "dense", 8, gain=0.1 if what == "integrate" else 1.0)
    b.add(g.Activation, "relu", kind="relu")
    if what == "glu":
        b.add(g.Glu, "glu")
    elif what == "lstm":
        b.add(g.LstmCell, "lstm")
    elif what == "integrate":
        b.add(g.Integrate, "sum")
    else:
        gates, shares = b.here, []
        for name in ("input", "state"):
            b.here = "samples"
            matrix(b, name, 4)
            shares.append(b.here)
        b.here = gates
        b.add(g.GruCell, "gru", *shares)
    assert relative_error(finished(b), "w8a16") < 0.02


def test_a_relu_stays_apart_from_a_tensor_that_is_read_a_frame_later() -> None:
    b = Builder(4, RATE)
    source = b.here
    b.add(g.DelayedConcat, "join", previous=("dense",), widths=(4,))
    matrix(b, "dense", 4, gain=0.5)
    b.add(g.Activation, "relu", kind="relu")
    b.add(g.Add, "sum", source)
    assert relative_error(finished(b), "w8a16") < 0.02


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_relus_in_a_row_are_one_clamp(precision: str) -> None:
    b = Builder(4, RATE)
    matrix(b, "dense", 6)
    b.add(g.Activation, "first", kind="relu")
    b.add(g.Activation, "second", kind="relu")
    matrix(b, "out", 3)
    assert relative_error(finished(b), precision) < 0.2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inputs_that_never_move_and_rows_without_weights_are_quantized(precision: str) -> None:
    b = Builder(4, RATE)
    b.add(g.Dense, "still", weight=np.zeros((1, 6, 1, 4)), bias=np.full((1, 6), 3.3))
    matrix(b, "out", 2)
    assert relative_error(finished(b), precision) < 0.1
    b = Builder(2, RATE)
    b.add(g.Activation, "tanh", kind="tanh")
    weight = np.array([[0.0, 0.0], [1.0, 0.0]])[None, :, None]
    b.add(g.Dense, "out", weight=weight, bias=np.array([[0.3, 0.0]]))
    assert relative_error(finished(b), precision) < 0.1


# --- what verify() refuses ------------------------------------------------------------------------


def small() -> g.Graph:
    b = Builder(4, RATE)
    matrix(b, "dense", 6)
    b.add(g.LayerNorm, "norm", gain=np.ones((1, 6)), bias=np.zeros((1, 6)), epsilon=1e-5)
    b.add(g.StateSpace, "states", a=np.full((6, 2), 0.5 + 0.1j), c=np.ones((6, 2), complex),
          d=np.ones(6))  # fmt: skip
    real = finished(b)
    return quantize(
        real, observe(real, [np.random.default_rng(0).standard_normal((99, 4))]), "w8a16"
    )


CHANGED: dict[str, tuple[str, Any]] = {
    "mult as integers": ("dense", {"mult": lambda v: v.reshape(-1)}),
    "bias as integers": ("dense", {"bias": lambda v: v.astype(np.float64)}),
    "gain as integers": ("norm", {"gain": lambda v: v.astype(np.float64)}),
    "a as integers": ("states", {"a": lambda v: v[..., :1]}),
    "d as integers": ("states", {"d": lambda v: v[:-1]}),
    "variance_epsilon holds NaN": ("norm", {"variance_epsilon": lambda _: float("nan")}),
    "fields that do not fit": ("dense", {"frames_per_output": lambda _: 0}),
}


@pytest.mark.parametrize("message", CHANGED)
def test_a_field_of_another_shape_or_kind_is_refused(message: str) -> None:
    graph, (module, changes) = small(), CHANGED[message]
    ops = tuple(
        dataclasses.replace(op, **{k: change(getattr(op, k)) for k, change in changes.items()})
        if op.module == module
        else op
        for op in graph.ops
    )
    with pytest.raises(GraphError, match=rf"{module}: Int\w+: .*{message}"):
        g.verify(g.Graph(graph.name, graph.tensors, ops, chunk=graph.chunk))


def test_an_input_that_samples_do_not_fit_and_names_of_nothing_are_refused() -> None:
    graph = small()
    narrow = graph.input.scaled(graph.input.scale, *g.INT8)
    with pytest.raises(GraphError, match="expected the range of int16"):
        g.verify(dataclasses.replace(graph, tensors=graph.tensors | {"samples": narrow}))
    other = g.Tensor("other", 3, RATE)
    with pytest.raises(GraphError, match="'other': a tensor that no operator makes"):
        g.verify(dataclasses.replace(graph, tensors=graph.tensors | {"other": other}))
    with pytest.raises(GraphError, match="'other': an extra input that no operator uses"):
        g.verify(dataclasses.replace(graph, initial={"other": other}))
