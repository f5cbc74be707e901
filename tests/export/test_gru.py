"""A GRU in every format: floats as PyTorch has them, integers close to them, C word for word, and
ONNX and TFLite close to the integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend import handlers
from compress.frontend.builder import Builder
from compress.graph.samples import to_int16
from compress.interpreter.float import FloatInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.tasks import distances
from export.boards import FAMILIES
from export.onnx import float_form, qdq_form
from export.tflite import step_bytes
from host import native, onnx_engine, tflite_engines
from tests.export.loops import (
    RATE,
    finished,
    gru_convolution_gru,
    integer,
    signal_of,
    words_of,
)

STEPS = 120


def pytorch(graph: g.Graph, path: str, x: np.ndarray) -> np.ndarray:
    """nn.GRU with the weights of one layer of a graph, over x (frames, features)."""
    made = {op.output: op for op in graph.ops}
    gates, value, share = (made[f"{path}.{k}"] for k in ("gates", "input", "state"))
    n = value.weight.shape[1]
    columns = x.shape[1]
    module = nn.GRU(columns, n).double()
    whole, own = gates.weight[0, :, 0], value.weight[0, :, 0]
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.tensor(np.concatenate([whole[:, :columns], own])))
        hidden = np.concatenate([whole[:, columns:], share.weight[0, :, 0]])
        module.weight_hh_l0.copy_(torch.tensor(hidden))
        module.bias_ih_l0.copy_(torch.tensor(np.concatenate([gates.bias[0], value.bias[0]])))
        module.bias_hh_l0.copy_(torch.tensor(np.concatenate([np.zeros(2 * n), share.bias[0]])))
        return module(torch.tensor(x))[0].numpy()


@pytest.mark.parametrize("seed", range(3))
def test_the_float_stream_is_pytorchs_gru(seed: int) -> None:
    graph = gru_convolution_gru(seed)
    seen: dict[str, list[np.ndarray]] = {op.output: [] for op in graph.ops}
    x = signal_of(graph, STEPS).samples.astype(np.float64)
    FloatInterpreter(graph).run(x[None], lambda op, y: seen[op.output].append(y[0]))
    found = {name: np.concatenate(parts) for name, parts in seen.items()}
    np.testing.assert_allclose(found["first"], pytorch(graph, "first", x), atol=1e-9)
    begin = graph.begins["second"]
    assert begin == 1
    second = pytorch(graph, "second", found["conv"][begin:])
    np.testing.assert_allclose(found["second"][begin:], second, atol=1e-9)


@pytest.mark.parametrize(("seed", "precision"), enumerate(["w8a16", "w8a8", "w4a16"]))
def test_c_equals_the_integers_word_for_word(seed: int, precision: str, tmp_path: Path) -> None:
    real = gru_convolution_gru(seed)
    signal = signal_of(real, STEPS)
    graph = quantize(real, observe(real, [signal]), precision)
    x = to_int16(graph, signal.samples)
    x[len(x) // 2 :: 7] = np.random.default_rng(seed).choice([-32768, 32767], (1, x.shape[1]))
    expected = words_of(graph, signal)
    loud = graph.input.real(x)
    for family in FAMILIES:
        model = native.load(graph, tmp_path / family, family=family)
        assert np.array_equal(model.run(to_int16(graph, signal.samples)), expected), family
    signal = type(signal)(loud.astype(np.float32), signal.initial)
    expected = words_of(graph, signal)
    for family in FAMILIES:
        model = native.load(graph, tmp_path / family, family=family)
        assert np.array_equal(model.run(to_int16(graph, signal.samples)), expected), family


def test_the_integers_are_close_to_the_floats() -> None:
    real = gru_convolution_gru()
    graph, signal = integer(real), signal_of(real, STEPS)
    expected = FloatInterpreter(real).run(signal.samples[None].astype(np.float64))[0]
    found = graph.output.real(words_of(graph, signal))
    assert distances.sqnr_db(expected[real.start_up :], found[real.start_up :]) > 40


def test_float_onnx_is_the_float_stream_and_qdq_is_close_to_the_integers() -> None:
    real = gru_convolution_gru()
    graph, signal = integer(real), signal_of(real, STEPS)
    expected = FloatInterpreter(real).run(signal.samples[None].astype(np.float64))[0]
    found = onnx_engine.run(float_form.write(real), signal.samples)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    words = graph.output.real(words_of(graph, signal))
    quantized = onnx_engine.run(qdq_form.write(graph), signal.samples)
    assert distances.sqnr_db(words, quantized) > 55


@pytest.mark.parametrize("variables", [True, False])
def test_tflite_is_close_to_the_integers(variables: bool) -> None:
    graph = integer(gru_convolution_gru())
    signal = signal_of(graph, STEPS)
    x = to_int16(graph, signal.samples)
    begin = tflite_engines.initial_words(graph, signal.initial)
    found = tflite_engines.run_litert(step_bytes(graph, variables), x, graph.name, begin)
    expected = words_of(graph, signal)
    assert distances.sqnr_db(expected.astype(float), found.astype(float)) > 50


def test_a_gru_whose_inputs_do_not_fit_is_refused() -> None:
    real = gru_convolution_gru()
    ops = list(real.ops)
    place = next(i for i, op in enumerate(ops) if op.output == "first")
    ops[place] = g.GruCell(ops[place].inputs[::-1], "first", "first")
    with pytest.raises(GraphError, match="first: GruCell: expected"):
        g.verify(g.Graph("wrong", real.tensors, tuple(ops)))


@pytest.mark.parametrize("bias", [True, False])
def test_an_nn_gru_of_two_layers_is_lowered_to_the_stream_that_it_is(bias: bool) -> None:
    torch.manual_seed(1)
    module = nn.GRU(5, 6, num_layers=2, bias=bias, batch_first=True).double().eval()
    b = Builder(5, RATE)
    handlers.gru(b, "gru", module)
    graph = finished(b)
    assert [len(loop) for loop in graph.loops] == [6, 6]
    x = signal_of(graph, STEPS).samples.astype(np.float64)
    with torch.no_grad():
        expected = module(torch.tensor(x[None]))[0][0].numpy()
    np.testing.assert_allclose(FloatInterpreter(graph).run(x[None])[0], expected, atol=1e-9)


def test_a_gru_of_two_directions_is_refused() -> None:
    with pytest.raises(GraphError, match="net: expected one direction"):
        handlers.gru(Builder(5, RATE), "net", nn.GRU(5, 6, bidirectional=True))
