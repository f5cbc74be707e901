"""Any graph as `.tflite`: several loops with stages of other rates between them, extra inputs by
name, tensors with several scales, and an answer for every operator."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from compress import ops as operators
from compress.artifacts import Folder
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.graph.samples import to_int16
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.tasks import distances
from export.tflite import interpreter, lowering, ops, step_bytes, step_file
from export.tflite.contents import subgraphs
from export.tflite.model import File
from export.tflite.read import TfliteError, notes, parse
from export.tflm import build as tflm_build
from export.tflm import ops as tflm_ops
from export.tflm.operators import METHODS, NAMES, additions
from host import tflite_engines
from tests.compress import test_networks, test_neuropose
from tests.export import alone, loops, own
from tests.export.loops import RATE, finished, integer, matrix, signal_of, words_of

MOST_WORDS = 8  # behind several layers and loops: each may round another way, by one
LEAST_DB = 55.0  # measured 58 and more

both_forms = pytest.mark.parametrize("variables", [True, False])


def litert(graph: g.Graph, steps: int, variables: bool) -> tuple[np.ndarray, np.ndarray]:
    """Words of the integers and of LiteRT."""
    signal = signal_of(graph, steps)
    x, begin = to_int16(graph, signal.samples), tflite_engines.initial_words(graph, signal.initial)
    found = tflite_engines.run_litert(step_bytes(graph, variables), x, graph.name, begin)
    return words_of(graph, signal), found


def tflm(content: bytes, graph: g.Graph, steps: int, folder: Path) -> np.ndarray:
    path, signal = folder / "step.tflite", signal_of(graph, steps)
    path.write_bytes(content)
    begin = tflite_engines.initial_words(graph, signal.initial)
    return interpreter.run(path, to_int16(graph, signal.samples), initial=begin)


# --- loops ----------------------------------------------------------------------------------------


@both_forms
def test_an_lstm_behind_a_convolution_behind_an_lstm_begins_with_its_own_step(variables):
    """A state that began a step too early or too late would be 90 words away and more."""
    for seed in range(3):
        graph = integer(loops.lstm_convolution_lstm(seed))
        assert len(graph.loops) == 2 and graph.begins["first"] == 0 and graph.begins["second"] == 1
        expected, found = litert(graph, 200, variables)
        assert np.abs(found - expected).max() <= MOST_WORDS
        assert distances.sqnr_db(expected.astype(float), found.astype(float)) > LEAST_DB


@both_forms
@pytest.mark.parametrize("make", [loops.two_loops, loops.state_spaces])
def test_loops_run_like_the_integers_in_both_interpreters(make, variables, tmp_path):
    """Around a loop what goes in is used again; a state space lies in one, and one behind it."""
    graph = integer(make())
    expected, found = litert(graph, 60, variables)
    micro = tflm(step_bytes(graph, variables), graph, 60, tmp_path)
    for words in (found, micro):
        assert distances.sqnr_db(expected.astype(float), words.astype(float)) > LEAST_DB


@both_forms
def test_integrals_begin_with_extra_inputs_of_their_own(variables, tmp_path):
    graph = integer(loops.two_integrals())
    expected, found = litert(graph, 60, variables)
    path, content = tmp_path / "step.tflite", step_bytes(graph, variables)
    assert np.abs(found - expected).max() <= 1
    assert np.abs(tflm(content, graph, 60, tmp_path) - expected).max() <= 1
    inputs = {name: int(notes(path)[f"initial_{name}"]) for name in ("origin", "heading")}
    step = parse(content, "step").subgraphs[0]
    shapes = {name: list(step.tensors[step.inputs[i]].shape) for name, i in inputs.items()}
    assert shapes == {"origin": [1, 1, 1, 3], "heading": [1, 1, 1, 2]}
    with pytest.raises(TfliteError, match="begins with no pose"):
        interpreter.run(path, np.zeros((2, 4), np.int16), initial={"pose": np.zeros(3, np.int16)})
    with pytest.raises(GraphError, match="begins with no 'pose'"):
        tflite_engines.initial_words(graph, {"pose": np.zeros(3)})


# --- scales ---------------------------------------------------------------------------------------


def test_rows_of_one_scale_are_one_tensor_with_the_scale_of_the_graph():
    """The gates of an LSTM: input, forget and output in one convolution, the value in another."""
    graph = integer(loops.lstm_convolution_lstm())
    step = next(subgraphs(parse(step_bytes(graph, True), "loops"), "loops"))
    made = [op for op in step.operators if op.outputs and "second.gates" in op.outputs[0].name]
    assert [op.name for op in made] == ["CONV_2D", "CONV_2D"]
    assert [op.outputs[0].shape for op in made] == [(1, 1, 1, 12), (1, 1, 1, 4)]
    layer = next(op for op in graph.ops if op.output == "second.gates")
    scales, weights = graph.target(layer).scales(), layer.weight_scale.reshape(-1)
    rows = [[*range(8), *range(12, 16)], [*range(8, 12)]]
    for op, index in zip(made, rows, strict=True):
        assert op.outputs[0].scale == np.float32(scales[index[0]])
        assert np.array_equal(op.inputs[1].scales, weights[index].astype(np.float32))


def test_halves_of_one_scale_are_cut_from_one_tensor(tmp_path):
    """A gate beside values that happen to have its scale; some features of a frame."""
    b = dense()
    b.add(g.Slice, "some", begin=1, end=5)
    expected, found = litert(integer(finished(b)), 60, True)
    assert np.abs(found - expected).max() <= 1
    source = g.Tensor("samples", 8, RATE).scaled(12.0 / 32768)
    tensors = {"samples": source, "y": g.Tensor("y", 4, RATE).scaled(12.0 / 32768)}
    glu = g.IntGlu(("samples",), "y", "gate", operators.tables.sigmoid_table())
    gated = g.verify(g.Graph("gated", tensors, (glu,)))
    expected, found = litert(gated, 60, True)
    assert np.abs(found - expected).max() <= MOST_WORDS


def test_an_operator_that_reads_several_scales_as_one_is_named():
    graph = integer(loops.two_loops())
    gates = next(op for op in graph.ops if op.output == "out")
    tensors = graph.tensors | {"pooled": g.Tensor("pooled", 8, RATE / 4).scaled(0.01)}
    pool = g.IntMaxPool(("out",), "pooled", "model.pool", 2)
    made = g.Graph("bad", tensors, (*graph.ops[: graph.ops.index(gates) + 1], pool), chunk=1)
    with pytest.raises(GraphError, match=r"model\.pool: no TFLite form for 'out' as a whole"):
        step_file(made, True)


# --- the tables -----------------------------------------------------------------------------------


def test_no_project_runs_what_no_file_says():
    for kind, answer in ops.TABLE.items():
        assert not isinstance(answer, str) or isinstance(tflm_ops.TABLE[kind], str), kind.__name__


class Recorder(lowering.Lowering):
    """Notes which TFLite operators each operator of a graph appends."""

    def __init__(self, graph: g.Graph) -> None:
        super().__init__(graph, File("recorded", variables=False), ops.TABLE)
        self.seen: dict[type[g.Op], set[str]] = defaultdict(set)

    def _emit(self, op: g.Op) -> None:
        before = len(self.step.content.operators)
        super()._emit(op)
        codes = [c.builtinCode for c in self.file.model.operatorCodes]
        made = self.step.content.operators[before:]
        self.seen[type(op)] |= {NAMES[codes[o.opcodeIndex]] for o in made}


def dense() -> Builder:
    b = Builder(4, RATE)
    matrix(b, "out", 6, np.random.default_rng(0))
    return b


def functions() -> g.Graph:
    b, rng = Builder(4, RATE), np.random.default_rng(0)
    for kind in ("relu", "leaky_relu", "gelu", "sigmoid", "tanh"):
        matrix(b, f"before.{kind}", 4, rng)
        b.add(g.Activation, kind, kind=kind)
    b.add(g.Interpolate, "finer", factor=4)
    b.add(g.Slice, "some", begin=1, end=3)
    b.add(g.MaxPool, "coarser", factor=4)
    return finished(b)


def graphs() -> list[g.Graph]:
    streams = (loops.two_loops, loops.gru_convolution_gru, loops.two_integrals, loops.state_spaces)
    streams += (*own.STREAMS, *own.WINDOWS)
    made = (*(make() for make in streams), functions())
    options: list[dict[str, Any]] = [
        {"offsets": [-1, 0, 1]},
        {"offsets": [0, 3], "pooling": "max", "norm": "layernorm"},
    ]
    typing = [test_networks.integer(test_networks.network(**changes)) for changes in options]
    pictures = test_neuropose.lowered(test_neuropose.network(), 64)
    ranges = observe(pictures, [test_neuropose.signal(640)])
    return [*map(integer, made), *typing, quantize(pictures, ranges, "w8a16")]


def test_whatever_an_operator_is_written_as_a_project_can_link():
    """And every operator of the table is written here, so that none is left out."""
    seen: dict[type[g.Op], set[str]] = defaultdict(set)
    for graph in graphs():
        recorder = Recorder(graph)
        recorder.run()
        for kind, names in recorder.seen.items():
            seen[kind] |= names
    assert set(seen) == {k for k, answer in ops.TABLE.items() if not isinstance(answer, str)}
    known = {NAMES[code] for code in METHODS}
    assert not {kind.__name__: names - known for kind, names in seen.items() if names - known}


def test_each_function_of_a_table_is_its_own_operator_and_runs_like_the_integers():
    graph = integer(functions())
    expected, found = litert(graph, 60, True)
    assert distances.sqnr_db(expected.astype(float), found.astype(float)) > LEAST_DB


# --- networks of one's own ------------------------------------------------------------------------


def interpreted(graph: g.Graph, steps: int, folder: Path, variables: bool) -> list[np.ndarray]:
    """Words by which LiteRT and TFLite-Micro are away from the integers."""
    expected, found = litert(graph, steps, variables)
    micro = tflm(step_bytes(graph, variables), graph, steps, folder)
    return [found.astype(int) - expected, micro.astype(int) - expected]


@both_forms
@pytest.mark.parametrize("make", [own.tcn_gru, own.encoder])
def test_the_two_examples_are_within_a_step_of_the_integers(make, variables, tmp_path):
    for seed in range(2):
        for away in interpreted(integer(make(seed)), 40, tmp_path, variables):
            assert np.abs(away).max() <= 1


@pytest.mark.parametrize("name", alone.IN_WINDOWS)
def test_an_operator_by_itself_is_within_a_step_of_the_integers(name, tmp_path):
    """Behind windows that overlap; recurrent states, which are several operators, within two."""
    for away in interpreted(integer(alone.in_windows(name)), 20, tmp_path, False):
        assert np.abs(away).max() <= (2 if name == "states" else 1)


@pytest.mark.parametrize("kind", [k for k in own.KINDS if "relu" not in k])
def test_a_table_gives_the_words_of_the_integers(kind, tmp_path):
    for away in interpreted(integer(alone.in_windows(kind)), 20, tmp_path, False):
        assert not away.any()


@pytest.mark.parametrize("hop", [6, 9])
def test_windows_end_to_end_and_apart_begin_anew(hop, tmp_path):
    for away in interpreted(integer(alone.in_windows("states", hop)), 20, tmp_path, True):
        assert np.abs(away).max() <= 2


@pytest.mark.parametrize("convolved", [True, False])
@pytest.mark.parametrize("name", alone.UNFOLDS)
def test_windows_of_a_stream_are_padded_and_dilated_as_the_integers_are(name, convolved, tmp_path):
    for away in interpreted(integer(alone.unfolded(name, convolved)), 20, tmp_path, True):
        assert np.abs(away).max() <= (1 if convolved else 0)


def test_several_frames_a_step_have_keys_of_their_own(tmp_path):
    graph = integer(own.last_frames())
    plain = dataclasses.replace(graph, chunk=4)
    for away in interpreted(plain, 15, tmp_path, False):
        assert np.abs(away).max() <= MOST_WORDS


# --- the project around TFLite-Micro --------------------------------------------------------------


def test_a_recurrent_network_runs_with_its_state_in_place(tmp_path):
    """The cell of an LSTM is float32; what stays at one place of the arena gives the same words."""
    graph = integer(loops.lstm_convolution_lstm())
    step = tflm_build.build_step(graph)
    expected = tflm(step_bytes(graph, False), graph, 60, tmp_path)
    assert np.array_equal(tflm(step.content, graph, 60, tmp_path), expected)
    content = step.file.step.content
    types = {content.tensors[index].type for index in content.inputs[1:]}
    assert types == {schema.TensorType.INT16, schema.TensorType.FLOAT32}
    assert {"AddCast()", "AddGather()"} <= set(additions(step.file))


@pytest.mark.parametrize("make", [own.tcn_gru, own.encoder])
def test_a_network_of_ones_own_is_a_project(make, tmp_path):
    """One frame a step, and a window of many in it; its state in place changes no word."""
    graph = integer(make())
    project = tflm_build.make_tflm(graph, Folder(tmp_path, "own", "w8a16"), "virtual-m7")
    expected = tflm(step_bytes(graph, False), graph, 30, tmp_path)
    written = (project / "model/model.tflite").read_bytes()
    assert np.array_equal(tflm(written, graph, 30, tmp_path), expected)


def test_a_project_is_refused_with_the_reason():
    with pytest.raises(
        GraphError,
        match=r"place: IntIntegrate has no FORMAT=tflm project yet; FORMAT=c runs it, FORMAT=tflite"
        r" writes its step: .* extra input",
    ):
        tflm_build.build_step(integer(loops.two_integrals()))
    with pytest.raises(GraphError, match=r"4 frames a step has no FORMAT=tflm project yet"):
        tflm_build.build_step(g.in_chunks(integer(finished(dense())), 4))
    stepped = test_networks.network(mlp_features=[6, 4], non_linearity="binary_10")
    with pytest.raises(GraphError, match=r"IntStep has no .* yet; FORMAT=c runs it: its kernels"):
        tflm_build.build_step(test_networks.integer(stepped))
