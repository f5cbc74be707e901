"""Scales are data, and a graph proves that they are its own.

In the integer graph of every shipped network each scale in turn, three times and half as large, is
refused with operator and reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import artifacts
from compress import graph as g
from compress.errors import GraphError
from compress.frontend import checkpoint
from compress.frontend.lower import lower
from compress.graph.samples import Signal
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.precisions import PRECISIONS
from compress.quantization.quantize import quantize

SHIPPED = sorted(artifacts.SHIPPED.glob("*.ckpt"))
FACTORS = (3.0, 0.5)
SCALES = ("weight_scale", "state_scale", "sum_scale", "gain_scale", "bias_scale")  # of fields


def signal_of(real: g.Graph, seconds: float = 2.0) -> Signal:
    rng = np.random.default_rng(7)
    samples = rng.standard_normal((int(seconds * real.input.rate), real.input.features))
    initial = {name: rng.uniform(-0.5, 0.5, t.features) for name, t in real.initial.items()}
    return Signal(samples.astype(np.float32), initial or None)


def rescaled(tensor: g.Tensor, index: int, factor: float) -> g.Tensor:
    """One segment of a tensor with another scale."""
    segments = list(tensor.segments)
    segments[index] = dataclasses.replace(segments[index], scale=segments[index].scale * factor)
    return dataclasses.replace(tensor, segments=tuple(segments))


def mutants(graph: g.Graph) -> Iterator[tuple[str, g.Graph]]:
    """Every scale of a graph in turn with another value: of each segment of each tensor, of each
    extra input, and of what operators store (one channel of it)."""
    for factor in FACTORS:
        for kind in ("tensors", "initial"):
            for name, tensor in getattr(graph, kind).items():
                for index in range(len(tensor.segments)):
                    changed = getattr(graph, kind) | {name: rescaled(tensor, index, factor)}
                    what = f"{name}[{index}] × {factor}"
                    yield what, dataclasses.replace(graph, **{kind: changed})
        for place, op in enumerate(graph.ops):
            for field in SCALES:
                if not hasattr(op, field):
                    continue
                value: Any = np.array(getattr(op, field), np.float64)
                value.flat[value.size // 2] *= factor
                value = value if value.ndim else float(value)
                ops = list(graph.ops)
                ops[place] = dataclasses.replace(op, **{field: value})
                what = f"{op.module}: {field} × {factor}"
                yield what, dataclasses.replace(graph, ops=tuple(ops))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
@pytest.mark.parametrize("precision", ["w8a16", "w8a8"])
def test_every_scale_that_is_changed_is_refused_with_operator_and_reason(
    path: Path, precision: str
) -> None:
    real = lower(checkpoint.load(path))
    graph = quantize(real, observe(real, [signal_of(real)], products=False), precision)
    modules = {op.module for op in graph.ops}
    tried = 0
    for what, mutant in mutants(graph):
        with pytest.raises(GraphError) as refused:
            g.verify(mutant)
        module, kind, reason = str(refused.value).split(": ", 2)
        assert module in modules and kind.startswith("Int") and len(reason) > 10, (what, refused)
        tried += 1
    assert tried >= 2 * (len(graph.ops) + 1)


def test_a_fused_clamp_that_its_operator_does_not_have_is_refused() -> None:
    rate = Fraction(10)
    tensors = {n: g.Tensor(n, 4, rate).scaled(0.1) for n in ("a", "y")}
    tensors["y"] = tensors["y"].scaled(0.1, 0, 32767)
    graph = g.Graph("sum", tensors, (g.IntAdd(("a", "a"), "y", "sum"),))
    with pytest.raises(GraphError, match=r"sum: IntAdd: does not clamp.*0…32767"):
        g.verify(graph)


def test_an_add_whose_input_has_another_scale_is_refused() -> None:
    rate = Fraction(10)
    tensors = {n: g.Tensor(n, 4, rate).scaled(s) for n, s in (("a", 0.1), ("b", 0.3), ("y", 0.1))}
    step = g.IntStep(("a",), "b", "step", 3)
    graph = g.Graph("sum", tensors, (step, g.IntAdd(("a", "b"), "y", "sum")))
    with pytest.raises(GraphError, match=r"sum: IntAdd: expected 'b' in the output's scale"):
        g.verify(graph)


def test_segments_of_equal_scale_are_one_and_unequal_ones_say_their_own() -> None:
    gates = g.Tensor("gates", 8, Fraction(1), tuple(g.Segment(2, s) for s in (1.0, 1.0, 2.0, 1.0)))
    assert [s.features for s in gates.segments] == [4, 2, 2]
    assert gates.scales().tolist() == [1, 1, 1, 1, 2, 2, 1, 1]
    assert gates.parts() == [slice(0, 4), slice(4, 6), slice(6, 8)]
    assert gates.real(np.ones(8)).tolist() == gates.scales().tolist()
    assert gates.integers(gates.real(np.arange(8))).tolist() == list(range(8))
    with pytest.raises(GraphError, match="gates: expected one scale, found 3"):
        _ = gates.scale


@pytest.mark.parametrize("precision", sorted(set(PRECISIONS) - {"compressed"}))
def test_a_graph_that_is_saved_and_loaded_keeps_every_scale(precision: str, tmp_path: Path) -> None:
    real = lower(checkpoint.load(SHIPPED[-1].with_name("TC_S4_small.ckpt")))
    graph = quantize(real, observe(real, [signal_of(real)], precision == "w4a16"), precision)
    g.save(graph, tmp_path / "graph.npz")
    again = g.load(tmp_path / "graph.npz")
    assert again.tensors == graph.tensors and again.initial == graph.initial
    assert again.hash() == graph.hash()


@pytest.mark.parametrize("precision", ["w8a16", "w8a8"])
def test_a_glu_that_is_not_summed_has_the_scale_of_its_value(precision: str) -> None:
    rng = np.random.default_rng(3)

    def dense(source: str, name: str, rows: int, columns: int) -> g.Dense:
        weight = rng.standard_normal((1, rows, 1, columns)) / np.sqrt(columns)
        return g.Dense((source,), name, name, weight, np.zeros((1, rows)))

    ops = (dense("x", "a", 16, 8), g.Glu(("a",), "b", "glu"), dense("b", "y", 4, 8))
    tensors = {
        n: g.Tensor(n, f, Fraction(10)) for n, f in (("x", 8), ("a", 16), ("b", 8), ("y", 4))
    }
    real = g.verify(g.Graph("glu", tensors, ops))
    x = rng.standard_normal((400, 8))
    graph = quantize(real, observe(real, [x]), precision)
    assert graph.tensors["b"].scale == graph.tensors["a"].segments[0].scale
    expected = FloatInterpreter(real).run(x[None])[0]
    found = graph.output.real(IntegerInterpreter(graph).run(graph.input.integers(x)[None])[0])
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
