"""The `.tflite` step: as accurate as the integers, the same in both forms, and nothing in it that a
device would not run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.tendon import main as tendon
from compress import artifacts, pipeline, tasks
from compress import graph as g
from compress.artifacts import Folder
from compress.data import datasets
from compress.errors import GraphError, TendonError
from compress.graph.samples import to_int16, to_real
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.tasks import distances
from compress.tasks.typing import scores
from compress.tasks.typing.session import Session
from compress.tasks.typing.simulated import COLLECTION as TYPING
from export.check import check
from export.tflite import interpreter, lint, make_tflite, step_bytes
from export.tflite.read import NAMES, TfliteError, code, notes, operators, parse
from host import tflite_engines
from tests.compress.test_networks import integer, network
from tests.compress.test_streaming import signal
from tests.conftest import ACCURACY, HYBRID, ROOT

OP, TYPE = schema.BuiltinOperator, schema.TensorType
SECONDS = {"TC_S4_small": 60, "TC_S4_medium": 30, "S4_large": 30}
if not ACCURACY:
    SECONDS = {"TC_S4_small": 30, "TC_S4_medium": 20, "S4_large": 10}
SHIPPED = [
    name for name in HYBRID if (ROOT / "compress" / "checkpoints" / f"{name}.ckpt").is_file()
]


def tflm(content: bytes, samples: np.ndarray, folder: Path) -> np.ndarray:
    """Words of a step file in TFLite-Micro."""
    path = folder / "step.tflite"
    path.write_bytes(content)
    return interpreter.run(path, samples)


def decibels(expected: np.ndarray, found: np.ndarray) -> float:
    return distances.sqnr_db(expected.astype(float), found.astype(float))


# --- accuracy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_tflite_micro_decodes_what_the_trained_float_network_decodes(name, simulated):
    folder = Folder(ROOT / "build", name, "w8a16")
    graph = pipeline.graphs(folder, artifacts.checkpoint_of(name, None))
    path, real, texts, frames = (
        make_tflite(graph, folder),
        g.load(folder.float_graph),
        [],
        {"float": [], "tflm": []},
    )
    for session in datasets.find(None, ROOT / "build", TYPING).heldout[: -(-SECONDS[name] // 30)]:
        x = tasks.of(graph).read(graph, session, min(SECONDS[name], 30)).samples
        with Session(session) as recorded:
            texts.append(recorded.text(0, len(x)))
        frames["float"].append(FloatInterpreter(real).run(x[None].astype(float))[0])
        frames["tflm"].append(to_real(graph, interpreter.run(path, to_int16(graph, x))))
    assert distances.agreement(frames["float"], frames["tflm"]) >= 0.99
    cer = {engine: scores.score(found, texts).cer for engine, found in frames.items()}
    assert abs(cer["tflm"] - cer["float"]) <= 0.3
    assert (
        distances.sqnr_db(
            distances.concatenate(frames["float"]), distances.concatenate(frames["tflm"])
        )
        >= 45.0
    )


@pytest.fixture(scope="module")
def untrained(quantized, tmp_path_factory) -> Callable[[str], Any]:
    """name -> (graph, int16 samples, words of the integer reference, words of LiteRT, of
    TFLite-Micro) of a published size."""
    made: dict[str, Any] = {}

    def make(name: str) -> Any:
        if name not in made:
            graph = quantized(name, "w8a16")[1]
            x = to_int16(graph, signal(30 * graph.samples_per_step))
            content = step_bytes(graph, variables=True)
            micro = tflm(content, x, tmp_path_factory.mktemp(name))
            made[name] = (
                graph,
                x,
                IntegerInterpreter(graph).run(x[None])[0],
                tflite_engines.run_litert(content, x, name),
                micro,
            )
        return made[name]

    return make


@pytest.mark.parametrize("name", HYBRID)
def test_every_published_network_is_written_and_runs_close_to_the_integers_in_both_interpreters(
    name, untrained
):
    graph, _, expected, litert, micro = untrained(name)
    assert litert.shape == micro.shape == (30, 99)
    assert (
        decibels(expected, micro) >= 60.0 and decibels(expected, litert) >= 60.0
    )  # measured 69 and more
    assert np.abs(micro - expected).max() <= 16 and graph.output.scale <= 2**-6


def test_state_as_inputs_and_outputs_computes_the_words_of_resource_variables(untrained, tmp_path):
    graph, x, _, litert, micro = untrained("TC_S4_small")
    content = step_bytes(graph, variables=False)
    assert np.array_equal(tflm(content, x, tmp_path), micro)
    assert np.array_equal(tflite_engines.run_litert(content, x, "io"), litert)
    step = parse(content, "io").subgraphs[0]
    assert len(step.inputs) == len(step.outputs) == 9
    assert not {"VAR_HANDLE", "CALL_ONCE"} & set(operators(tmp_path / "step.tflite"))


WINDOWS = {
    "rotations": {"offsets": [-1, 0, 1], "mlp_features": [6, 4]},
    "largest": {"offsets": [0, 3], "pooling": "max", "mlp_features": [6, 4]},
    "overlap": {"high": {"kernel_sizes": [7, 4], "strides": [2, 3]}, "offsets": [-1, 0, 1]},
    "last": {
        "low": {"mid_layer_pools": [2, 0], "mid_layer_pool_mode": "last", "end_layer_pools": [0, 3]}
    },
}


@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize("variables", [True, False])
def test_windows_and_pools_over_copies_run_like_the_integers_from_the_first_step_on(
    case, variables, tmp_path
):
    """The start-up too: states of the state spaces begin with the first whole window."""
    graph = integer(network(**WINDOWS[case]))
    x = to_int16(graph, signal(graph.samples_per_step * (graph.start_up + 15)))
    expected = IntegerInterpreter(graph).run(x[None])[0]
    content = step_bytes(graph, variables)
    for found in (tflm(content, x, tmp_path), tflite_engines.run_litert(content, x, case)):
        assert decibels(expected - expected.mean(), found - expected.mean()) >= 35.0


def linear_graph(rows: int = 40) -> g.Graph:
    """One dense layer whose multipliers are exact in the file's 32-bit scales, and no powers of
    two."""
    rng = np.random.default_rng(5)
    rate = Fraction(10)
    tensors = {
        "x": g.Tensor("x", 32, rate).scaled(2.0**-7),
        "y": g.Tensor("y", rows, rate).scaled(2.0**-6),
    }
    mult = rng.integers(2**23, 2**24, (1, rows)).astype(np.int32)
    weight = rng.integers(-127, 128, (1, rows, 1, 32)).astype(np.int8)
    bias = rng.integers(-(2**20), 2**20, (1, rows)).astype(np.int32)
    op = g.IntDense(("x",), "y", "dense", weight, bias, mult, 0, mult * 2.0**-31)
    return g.verify(g.Graph("dense", tensors, (op,)))


def test_the_interpreters_differ_in_where_ties_go_and_nothing_else(tmp_path):
    """Both round twice, the high half of the product and then its shift: there LiteRT sends ties
    up, TFLite-Micro from zero."""
    graph = linear_graph()
    x = np.random.default_rng(6).integers(-9000, 9000, (400, 32)).astype(np.int16)
    op, content = graph.ops[0], step_bytes(graph, variables=True)
    sums = x.astype(np.int64) @ op.weight[0, :, 0].T.astype(np.int64) + op.bias[0]
    litert, micro = tflite_engines.run_litert(content, x, "dense"), tflm(content, x, tmp_path)
    fraction, exponent = np.frexp(op.mult[0] * 2.0**-32)
    high = (
        sums * np.round(fraction * 2.0**31).astype(np.int64) + 2**30
    ) >> 31  # the first rounding; ties go up
    half, below = 1 << (-exponent - 1), high & ((1 << -exponent) - 1)
    up = (high + half) >> -exponent
    assert np.array_equal(litert, np.clip(up, -32768, 32767))
    assert np.array_equal(micro, np.clip(up - ((below == half) & (high < 0)), -32768, 32767))
    assert 0 < (litert != micro).sum() < litert.size / 100


# --- what is written ------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    width=st.integers(5, 9),
    layers=st.integers(1, 2),
    strides=st.sampled_from([[1], [2, 3], [3, 2, 1]]),
    pools=st.sampled_from([[0, 0], [2, 0], [11, 0]]),
    prenorm=st.booleans(),
    norm=st.sampled_from(["batchnorm", "layernorm", "none"]),
    activation=st.sampled_from(["gelu", "relu"]),
)
@example(
    width=7, layers=1, strides=[1], pools=[0], prenorm=False, norm="batchnorm", activation="relu"
)  # ReLU after a state space
@example(
    width=5,
    layers=1,
    strides=[3, 2, 1],
    pools=[11],
    prenorm=True,
    norm="batchnorm",
    activation="relu",
)  # terms that cancel
def test_networks_of_any_size_are_written_and_run_like_the_integers(
    tmp_path_factory, width, layers, strides, pools, prenorm, norm, activation
):
    high = {
        "strides": strides,
        "kernel_sizes": strides,
        "out_channels": [5, 6, 7][: len(strides)],
        "activation": activation,
    }
    low = {
        "d_model": width,
        "n_layers": layers,
        "prenorm": prenorm,
        "activation": activation,
        "end_layer_pools": pools[:layers],
    }
    low |= {"mid_layer_pools": [0] * layers, "end_layer_pool_mode": "mean"}
    graph = integer(network(high=high, low=low, norm=norm))
    x = to_int16(graph, signal(graph.samples_per_step * 12))
    expected = IntegerInterpreter(graph).run(x[None])[0]
    micro = tflm(step_bytes(graph, variables=True), x, tmp_path_factory.mktemp("network"))
    assert decibels(expected - expected.mean(), micro - expected.mean()) >= 35.0


def test_an_operator_without_a_form_is_named_with_its_path():
    with pytest.raises(
        GraphError, match=r"model\.2\.mlps\S*non_linearities\.0: IntStep has no TFLite form"
    ):
        step_bytes(integer(network(mlp_features=[6, 4], non_linearity="binary_10")), variables=True)


def test_eight_bit_activations_are_refused_with_what_to_do():
    with pytest.raises(GraphError, match=r"values -128…127 has no TFLite form; .* PRECISION=w8a16"):
        step_bytes(integer(network(), "w8a8"), variables=True)


def test_four_bit_weights_are_written_as_bytes(tmp_path):
    graph = integer(network(), "w4a16")
    x = to_int16(graph, signal(graph.samples_per_step * 12))
    expected = IntegerInterpreter(graph).run(x[None])[0]
    assert (
        decibels(
            expected - expected.mean(), tflm(step_bytes(graph, True), x, tmp_path) - expected.mean()
        )
        >= 40.0
    )


@pytest.fixture(scope="module")
def small() -> bytes:
    """A file of every operator that the writer uses, with small layers."""
    return step_bytes(
        integer(network(low={"end_layer_pools": [2, 0], "end_layer_pool_mode": "mean"})),
        variables=True,
    )


def test_the_same_graph_gives_the_same_bytes_and_constants_lie_on_sixteen_bytes():
    graph = integer(network())
    content = step_bytes(graph, variables=True)
    assert content == step_bytes(graph, variables=True)
    model, start = schema.Model.GetRootAs(content, 0), np.frombuffer(content, np.uint8).ctypes.data
    data = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())]
    assert all((d.ctypes.data - start) % 16 == 0 for d in data if not isinstance(d, int))


def test_the_file_says_where_it_comes_from_which_operators_it_needs_and_its_arena(small, tmp_path):
    path = tmp_path / "step.tflite"
    path.write_bytes(small)
    assert notes(path).keys() == {"model", "graph", "generator"} and len(notes(path)["graph"]) == 64
    model = parse(small, "small")
    used = {NAMES[code(model, op)] for subgraph in model.subgraphs for op in subgraph.operators}
    assert set(operators(path)) == used and len(operators(path)) == len(used)
    arena, x = (
        interpreter.smallest_arena(path),
        np.zeros((1, *model.subgraphs[0].tensors[0].shape), np.int16),
    )
    assert interpreter.run(path, x.reshape(-1, 32), arena).shape == (1, 99)
    with pytest.raises(TfliteError, match="TFLite-Micro stopped"):
        interpreter.run(path, x.reshape(-1, 32), arena // 2)


def test_the_command_writes_both_forms_and_check_takes_them(
    tmp_path, quantized, monkeypatch, capsys
):
    monkeypatch.setattr(pipeline, "graphs", lambda *_, **__: quantized("TC_S4_small", "w8a16")[1])
    assert tendon(["export", "--format", "tflite", "--build", str(tmp_path)]) == 0
    folder = tmp_path / "TC_S4_small" / "w8a16" / "tflite"
    for name in ("step.tflite", "step_io.tflite"):
        assert tendon(["check", str(folder / name)]) == 0
        assert "run on the reference and CMSIS-NN kernels" in capsys.readouterr().out


# --- the lint -------------------------------------------------------------------------------------


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Edit:
    """A hand-made bad file: the small one with a change at the first operator of a kind."""

    def __init__(self, model: schema.ModelT, kind: int, dtype: int | None = None):
        self.model, self.step = model, model.subgraphs[0]
        self.op = next(
            op
            for op in self.step.operators
            if code(model, op) == kind
            and (dtype is None or self.step.tensors[op.inputs[0]].type == dtype)
        )

    def input(self, i: int) -> Any:
        return self.step.tensors[self.op.inputs[i]]

    @property
    def source(self) -> Any:
        return self.input(0)

    @property
    def output(self) -> Any:
        return self.step.tensors[self.op.outputs[0]]

    def become(self, kind: int) -> None:
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode = kind, min(kind, 127)
        self.model.operatorCodes.append(entry)
        self.op.opcodeIndex = len(self.model.operatorCodes) - 1

    def fill(self, i: int, value: int, dtype: type) -> None:
        tensor, buffer = self.input(i), schema.BufferT()
        buffer.data = np.frombuffer(
            np.full(int(np.prod(tensor.shape)), value, dtype).tobytes(), np.uint8
        )
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1


def _as_int64_bias(e: Edit) -> None:
    e.input(2).type = TYPE.INT64
    e.fill(2, 0, np.int64)


def _overflow(e: Edit) -> None:
    e.fill(2, 2**31 - 1, np.int32)


def _short_limits(e: Edit) -> None:
    e.become(OP.MAXIMUM)
    e.input(1).shape = [1, 1, 1, 1]


def _coarse_gate(e: Edit) -> None:
    e.become(OP.LOGISTIC)
    e.source.quantization.scale = [3.0]


def _set(path: str, value: Any) -> Callable[[Edit], None]:
    """Sets e.g. `output.quantization.scale` or `op.builtinOptions.adjY` of an edit."""

    def change(e: Edit) -> None:
        *where, last = path.split(".")
        target: Any = e
        for part in where:
            target = getattr(target, part)
        setattr(target, last, value)

    return change


INT16, REAL = TYPE.INT16, TYPE.FLOAT32
BAD: dict[str, tuple[int, int | None, Callable[[Edit], None], str]] = {
    "dense layer": (
        OP.CONV_2D,
        None,
        lambda e: e.become(OP.FULLY_CONNECTED),
        "FULLY_CONNECTED -> .*not among the operators",
    ),
    "gelu": (OP.RESHAPE, INT16, lambda e: e.become(OP.GELU), "GELU -> .*not among"),
    "16-bit gather": (
        OP.GATHER,
        None,
        _set("output.type", TYPE.INT16),
        "expected float32 int32 float32, found float32 int32 int16",
    ),
    "places unknown": (OP.GATHER, None, _set("source.buffer", 0), "is not computed before"),
    "limits of another shape": (
        OP.ADD,
        INT16,
        _short_limits,
        "MAXIMUM -> .*shapes .* differ",
    ),
    "16-bit log-softmax": (
        OP.RESHAPE,
        INT16,
        lambda e: e.become(OP.LOG_SOFTMAX),
        "expected float32 float32, found int16 int16",
    ),
    "16-bit rsqrt": (
        OP.RESHAPE,
        INT16,
        lambda e: e.become(OP.RSQRT),
        "RSQRT -> .*expected float32 float32",
    ),
    "lstm": (
        OP.ADD,
        INT16,
        lambda e: e.become(OP.UNIDIRECTIONAL_SEQUENCE_LSTM),
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    ),
    "64-bit bias": (
        OP.CONV_2D,
        None,
        _as_int64_bias,
        "expected int16 int8 int32 int16, found int16 int8 int64 int16",
    ),
    "bias type": (
        OP.CONV_2D,
        None,
        _set("op.builtinOptions.quantizedBiasType", 0),
        "quantized_bias_type INT32",
    ),
    "overflow": (
        OP.CONV_2D,
        None,
        _overflow,
        r"CONV_2D -> model\.2\.mlps.*linear_layers\.0: a 32-bit sum could reach .* ≥ 2³¹",
    ),
    "relu6": (
        OP.CONV_2D,
        None,
        _set("op.builtinOptions.fusedActivationFunction", 3),
        "expected no activation or RELU",
    ),
    "gate scale": (
        OP.RESHAPE,
        INT16,
        lambda e: e.become(OP.LOGISTIC),
        "expected the output scale 2⁻¹⁵",
    ),
    "gate input": (
        OP.RESHAPE,
        INT16,
        _coarse_gate,
        "the input scale 3 is above 2.667",
    ),
    "join": (
        OP.CONCATENATION,
        None,
        _set("source.quantization.scale", [0.5]),
        "CONCATENATION -> .*expected equal scales",
    ),
    "reshape": (
        OP.RESHAPE,
        INT16,
        _set("output.quantization.scale", [0.5]),
        "RESHAPE -> .*expected equal scales",
    ),
    "zero point": (OP.ADD, INT16, _set("source.quantization.zeroPoint", [3]), "zero points of 0"),
    "channel scales": (
        OP.ADD,
        INT16,
        _set("output.quantization.scale", [0.1, 0.2]),
        "16-bit tensors have one scale, found 2",
    ),
    "transposed": (OP.BATCH_MATMUL, None, _set("op.builtinOptions.adjY", False), "adj_y = true"),
    "powers of two": (
        OP.ADD,
        INT16,
        _set("op.builtinOptions.potScaleInt16", True),
        "pot_scale_int16 = false",
    ),
    "fine sum": (
        OP.ADD,
        INT16,
        _set("output.quantization.scale", [1e-12]),
        "too fine for its inputs",
    ),
    "fine product": (
        OP.MUL,
        INT16,
        _set("output.quantization.scale", [1e-12]),
        "a 32-bit sum could reach",
    ),
    "fine dot": (
        OP.BATCH_MATMUL,
        None,
        _set("output.quantization.scale", [1e-12]),
        "a rescaled sum could reach",
    ),
    "order": (OP.RSQRT, None, lambda e: e.step.operators.remove(e.op), "is not computed before"),
    "no start": (
        OP.CALL_ONCE,
        None,
        lambda e: e.step.operators.remove(e.op),
        "variables without CALL_ONCE",
    ),
    "start": (
        OP.CALL_ONCE,
        None,
        _set("op.builtinOptions.initSubgraphIndex", 7),
        "CALL_ONCE runs subgraph 7 of 2",
    ),
    "variable": (
        OP.READ_VARIABLE,
        None,
        _set("output.quantization.scale", [0.5]),
        "different shapes or scales",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_the_lint_refuses_what_a_device_would_not_run_alike(case, small):
    kind, dtype, change, message = BAD[case]
    model = parse(small, "small")
    change(Edit(model, kind, dtype))
    with pytest.raises(TfliteError, match=message):
        lint.lint(packed(model), "bad.tflite")


def test_groups_are_refused(small):
    model = parse(small, "small")
    edit = Edit(model, OP.CONV_2D)
    weight = edit.input(1)
    weight.shape = [weight.shape[0] * 2, *weight.shape[1:3], weight.shape[3] // 2]
    with pytest.raises(
        TfliteError, match=r"channels in groups of .*CMSIS-NN groups no 16-bit convolution"
    ):
        lint.lint(packed(model), "bad.tflite")


def test_the_lint_passes_the_small_file_also_when_others_pack_it(small):
    assert lint.lint(packed(parse(small, "small")), "small.tflite")


def test_a_graph_that_could_overflow_is_refused_naming_operator_and_module():
    graph = linear_graph()
    op = dataclasses.replace(graph.ops[0], bias=np.full_like(graph.ops[0].bias, 2**31 - 1))
    with pytest.raises(TendonError, match=r"CONV_2D -> y: a 32-bit sum could reach \d+ ≥ 2³¹"):
        step_bytes(dataclasses.replace(graph, ops=(op,)), variables=True)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_cut_damaged_or_foreign_file_is_one_clear_error_or_a_model(data, small, tmp_path):
    content = bytearray(small)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 4))):
        at, change = data.draw(st.integers(0, len(content))), data.draw(st.binary(max_size=8))
        content[at : at + len(change)] = change
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    try:
        assert "model.tflite" in check(path)
    except TendonError as error:
        assert "model.tflite" in str(error) or "refused" in str(error)


def test_what_is_no_model_is_refused(tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x89PNG and so on")
    assert tendon(["check", str(path)]) == 1
    assert "expected a TFLite model (TFL3 at byte 4), found another file" in capsys.readouterr().err
