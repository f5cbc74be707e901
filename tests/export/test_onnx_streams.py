"""Any graph as ONNX step models: several loops with stages of other rates between them, extra
inputs by name, tensors with several scales, and an answer for every operator."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from compress import graph as g
from compress import ops as operators
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.graph.samples import Signal, to_int16, to_real
from compress.interpreter.base import Interpreter
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.tasks import distances
from export.onnx import float_form, lint, ops, qdq_form
from export.onnx.stream import Table
from host import onnx_engine
from tests.export import alone, own, test_tflite_streams
from tests.export.loops import (
    RATE,
    finished,
    integer,
    signal_of,
    state_spaces,
    two_integrals,
    two_loops,
)

LEAST_DB = 60.0  # as of pose networks; measured 61 and more


def frames_of(machine: Interpreter, signal: Signal, samples: np.ndarray) -> np.ndarray:
    machine.begin_with([signal])
    return machine.run(samples[None])[0]


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


def with_own(graph: g.Graph, least_db: float) -> None:
    """A float graph as float ONNX, and its integers as QDQ ONNX."""
    signal = signal_of(graph, 20)
    expected = frames_of(FloatInterpreter(graph), signal, signal.samples.astype(float))
    found = onnx_engine.run(float_form.write(graph), signal.samples)
    assert np.abs(found - expected).max() < 1e-4 * np.sqrt((expected**2).mean())
    whole = integer(graph)
    words = frames_of(IntegerInterpreter(whole), signal, to_int16(whole, signal.samples))
    found = onnx_engine.run(qdq_form.write(whole), signal.samples)
    assert distances.sqnr_db(to_real(whole, words), found) > least_db


@pytest.mark.parametrize("make", [*own.STREAMS, *own.WINDOWS])
def test_networks_of_ones_own_are_written_in_both_forms(make: Callable[..., g.Graph]) -> None:
    for seed in range(2):
        with_own(make(seed), LEAST_DB)


@pytest.mark.parametrize("name", alone.IN_WINDOWS)
def test_an_operator_by_itself_is_written_in_both_forms(name: str) -> None:
    """What recurs in a window is several operators."""
    with_own(alone.in_windows(name), 58.0 if name == "states" else 70.0)


@pytest.mark.parametrize("hop", [6, 9])
def test_states_begin_anew_with_windows_end_to_end_and_apart(hop: int) -> None:
    with_own(alone.in_windows("states", hop), 58.0)


@pytest.mark.parametrize("name", alone.UNFOLDS)
def test_windows_of_a_stream_are_padded_and_dilated(name: str) -> None:
    """Values are moved, none is changed but by float32."""
    with_own(alone.unfolded(name, convolved=False), 120.0)


def test_a_step_and_a_threshold_are_functions_too() -> None:
    """The table of the integers has no jump: the float form alone."""
    for kind in ("step", "softplus(2.0, 1.0)"):
        graph = own.of(kind)
        signal = signal_of(graph, 20)
        expected = frames_of(FloatInterpreter(graph), signal, signal.samples.astype(float))
        found = onnx_engine.run(float_form.write(graph), signal.samples)
        assert np.abs(found - expected).max() < 1e-5


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


def test_every_operator_of_the_table_is_written_somewhere() -> None:
    """So that none is left out; the streams of TFLite's test hold all but a step."""
    made = test_tflite_streams.graphs()
    for graph in made:
        onnx.checker.check_model(qdq_form.write(graph))
    seen = {type(op) for graph in made for op in graph.ops}
    written = {kind for kind, answer in ops.INTEGER.items() if not isinstance(answer, str)}
    assert written - seen == {g.IntStep}
