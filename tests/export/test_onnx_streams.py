"""Any graph as ONNX step models: several loops with stages of other rates between them, extra
inputs by name, tensors with several scales, and an answer for every operator."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest

from compress import graph as g
from compress import ops as operators
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.handlers import window
from compress.graph.samples import Signal, to_int16, to_real
from compress.interpreter.base import Interpreter
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.tasks import distances
from export.onnx import float_form, lint, ops, qdq_form
from export.onnx.stream import Table
from host import onnx_engine

RATE = Fraction(100)
LEAST_DB = 60.0  # as of pose networks; measured 61 and more


def matrix(b: Builder, path: str, out: int, rng: np.random.Generator) -> None:
    weight = rng.standard_normal((1, out, 1, b.features)) / np.sqrt(b.features)
    b.add(g.Dense, path, weight=weight, bias=rng.uniform(-0.5, 0.5, (1, out)))


def lstm(b: Builder, path: str, width: int, rng: np.random.Generator) -> None:
    """One matrix over the input beside the hidden state, and a cell."""
    b.add(g.DelayedConcat, f"{path}.join", previous=(path,), widths=(width,))
    matrix(b, f"{path}.gates", 4 * width, rng)
    b.add(g.LstmCell, path)


def finished(b: Builder, **initial: int) -> g.Graph:
    extra = {name: g.Tensor(name, features, Fraction(0)) for name, features in initial.items()}
    return g.verify(g.Graph("loops", b.tensors, tuple(b.ops), initial=extra))


def two_loops(seed: int = 0) -> g.Graph:
    """LSTM with a residual around it -> convolution, kernel 3, stride 2 -> LSTM -> a gate, added
    to what goes into it."""
    rng, b = np.random.default_rng(seed), Builder(5, RATE)
    matrix(b, "project", 6, rng)
    b.add(g.Activation, "project.tanh", kind="tanh")
    source = b.here
    lstm(b, "first", 6, rng)
    b.add(g.Add, "residual", source)
    window(b, "conv.window", 3, 2)
    matrix(b, "conv", 7, rng)
    lstm(b, "second", 4, rng)
    source = b.here
    matrix(b, "out", 8, rng)
    b.add(g.Glu, "gate")
    b.add(g.Add, "sum", source)
    return finished(b)


def two_integrals(seed: int = 0) -> g.Graph:
    """Two sums with an extra input each: one that reads itself and begins with positions, one
    behind it at half its rate."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    b.add(g.DelayedConcat, "join", previous=("place",), widths=(3,))
    weight = rng.standard_normal((1, 6, 1, b.features)) * 0.02
    weight[0, 3:, 0, 4:] -= 0.2 * np.eye(3)  # a place draws back to where it is zero
    b.add(g.Dense, "steps", weight=weight, bias=np.zeros((1, 6)))
    b.add(g.Integrate, "place", position_steps=5, initial="origin")
    window(b, "window", 2, 2)
    weight = rng.standard_normal((1, 2, 1, b.features)) * 0.01
    b.add(g.Dense, "turns", weight=weight, bias=np.zeros((1, 2)))
    b.add(g.Integrate, "angle", initial="heading")
    return finished(b, origin=3, heading=2)


def state_spaces(seed: int = 0) -> g.Graph:
    """A state space in a loop, and one behind a convolution that begins later; two features of
    it."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)

    def states(path: str) -> None:
        shape = (b.features, 3)
        radius, turn = rng.uniform(0.5, 0.95, shape), rng.uniform(0, np.pi, shape)
        c = rng.standard_normal((*shape, 2)).view(np.complex128)[..., 0] * 0.2
        b.add(
            g.StateSpace, path, a=radius * np.exp(1j * turn), c=c, d=rng.standard_normal(shape[0])
        )

    b.add(g.DelayedConcat, "join", previous=("back",), widths=(2,))
    states("inner")
    matrix(b, "mix", 2, rng)
    b.add(g.Activation, "back", kind="tanh")
    window(b, "window", 5, 2)
    matrix(b, "conv", 3, rng)
    states("outer")
    b.add(g.Slice, "some", begin=1, end=3)
    return finished(b)


def signal_of(graph: g.Graph, steps: int = 60, seed: int = 1) -> Signal:
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((graph.samples_per_step * steps, graph.input.features))
    initial = {n: rng.uniform(-1.0, 1.0, t.features) for n, t in graph.initial.items()}
    return Signal(samples.astype(np.float32), initial)


def frames_of(machine: Interpreter, signal: Signal, samples: np.ndarray) -> np.ndarray:
    machine.begin_with([signal])
    return machine.run(samples[None])[0]


def integer(graph: g.Graph) -> g.Graph:
    return quantize(graph, observe(graph, [signal_of(graph, 200, seed=2)]), "w8a16")


makers = pytest.mark.parametrize("make", [two_loops, two_integrals, state_spaces])


@makers
def test_float_onnx_is_the_float_graph_from_the_first_step_on(make: Callable[..., g.Graph]) -> None:
    for seed in range(3):
        graph = make(seed)
        signal = signal_of(graph)
        expected = frames_of(FloatInterpreter(graph), signal, signal.samples.astype(float))
        found = onnx_engine.run(float_form.write(graph), signal.samples, initial=signal.initial)
        assert np.abs(found - expected).max() < 1e-5


@makers
def test_qdq_onnx_is_close_to_the_integers_from_the_first_step_on(
    make: Callable[..., g.Graph],
) -> None:
    for seed in range(3):
        graph = integer(make(seed))
        signal = signal_of(graph)
        words = frames_of(IntegerInterpreter(graph), signal, to_int16(graph, signal.samples))
        found = onnx_engine.run(qdq_form.write(graph), signal.samples, initial=signal.initial)
        assert distances.sqnr_db(to_real(graph, words), found) > LEAST_DB


def test_each_state_begins_with_its_own_step() -> None:
    """The first LSTM with the first step, the second with the first whole window before it."""
    graph = two_loops()
    begins = graph.begins
    assert len(graph.loops) == 2 and begins["first"] == 0 and begins["second"] > 0
    model = float_form.write(graph)
    session = onnx_engine.StepModel(model.SerializeToString())
    for step, samples in enumerate(signal_of(graph, 6).samples.reshape(6, -1, 5), 1):
        session.step(samples)
        for name in ("first", "second"):
            kept = session.state[f"{name}.cell.in"].any()
            assert kept == (step > begins[name])
    names = {n.name for n in model.graph.node}
    assert {"first.cell.out", "second.cell.out", "start_up.steps.out"} <= names


def test_extra_inputs_are_named_in_the_metadata() -> None:
    model = float_form.write(two_integrals())
    about = {p.key: p.value for p in model.metadata_props}
    states = {s["in"]: s["shape"] for s in json.loads(about["states"])}
    assert (about["initial_origin"], about["initial_heading"]) == (
        "place.initial.in",
        "angle.initial.in",
    )
    assert states["place.initial.in"] == [1, 3] and states["angle.initial.in"] == [1, 2]


def test_a_tensor_with_several_scales_is_one_pair_with_a_scale_for_each_feature() -> None:
    """And the reader of the file still bounds the product of a gate, as the halves are cut."""
    graph = integer(two_loops())
    model = qdq_form.write(graph)
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = [n for n in model.graph.node if n.name.startswith("out/QuantizeLinear")]
    assert len(nodes) == 1 and len(graph.tensors["out"].segments) == 2
    np.testing.assert_allclose(constants[nodes[0].input[1]], graph.tensors["out"].scales(), 1e-6)
    bounds = {b.node: b.largest for b in lint.bounds(model)}
    assert bounds["gate/Mul"] == pytest.approx(32768 * 32768, rel=1e-6)


def test_the_output_is_called_what_the_last_operator_or_the_task_says() -> None:
    graph = two_loops()

    def name(**provenance: Any) -> str:
        changed = dataclasses.replace(graph, provenance=provenance)
        return str(float_form.write(changed).graph.output[0].name)

    assert (name(), name(task="gestures")) == ("output", "gestures")
    b = Builder(5, RATE)
    b.add(g.LogSoftmax, "scores")
    assert float_form.write(finished(b)).graph.output[0].name == "log_probs"


@pytest.mark.parametrize(
    ("table", "registry"), [(ops.FLOAT, operators.FLOAT), (ops.INTEGER, operators.INTEGER)]
)
def test_every_operator_has_nodes_or_a_reason(table: Table, registry: tuple[type[g.Op]]) -> None:
    for kind in registry:
        answer = table.get(kind)
        assert callable(answer) or (isinstance(answer, str) and len(answer) > 20), kind
        assert (kind.recalled is not g.Op.recalled) == (kind in ops.RECALLS)


def test_a_reason_is_said() -> None:
    b = Builder(3, RATE)
    b.add(g.BatchNorm, "norm", gain=np.ones(3), bias=np.zeros(3))
    with pytest.raises(
        GraphError, match=r"norm: BatchNorm cannot be exported as float ONNX: .*fold"
    ):
        float_form.write(finished(b))
