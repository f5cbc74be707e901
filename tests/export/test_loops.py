"""Several recurrences in one network, with stages of any rate between them: streamed they are what
PyTorch computes of the whole signal, and the exported C says the interpreter's words from the first
step on."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.handlers import convolution, dense
from compress.graph.samples import Signal, to_int16
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export.boards import FAMILIES
from export.c import emit, memory
from host import native

INPUTS, RATE, STEPS = 4, Fraction(100), 24
QUICK = ("-std=c11", "-O0", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
Layers = Sequence[nn.Module]


def lstm(inputs: int, hidden: int) -> nn.LSTM:
    return nn.LSTM(inputs, hidden, batch_first=True)


def convolved(kernel: int, stride: int) -> Layers:
    """LSTM → convolution → LSTM: the output is a frame of the last recurrence."""
    return lstm(INPUTS, 6), nn.Conv1d(6, 7, kernel, stride), lstm(7, 5)


NETWORKS = {
    "longer kernel": lambda: convolved(3, 2),
    "kernel as long as its stride": lambda: convolved(2, 2),
    "same rate, longer kernel": lambda: convolved(4, 1),
    "two layers": lambda: (lstm(INPUTS, 8), lstm(8, 5), nn.Linear(5, 3)),
    "two begins": lambda: (
        *(nn.Conv1d(INPUTS, 5, 3, 2), lstm(5, 6), nn.Conv1d(6, 7, 3, 2), lstm(7, 5)),
        nn.Linear(5, 3),
    ),
}
BEGINS = {  # of each LSTM, in steps; the interpreter forgets what it took in before
    "longer kernel": [0, 1],
    "kernel as long as its stride": [0, 0],
    "same rate, longer kernel": [0, 3],
    "two layers": [0, 0],
    "two begins": [1, 2],
}


def lowered(layers: Layers) -> g.Graph:
    """The float graph of layers one after the other. A recurrence begins with a whole step: frames
    are delayed until then."""
    strides = [m.stride[0] if isinstance(m, nn.Conv1d) else 1 for m in layers]
    b = Builder(INPUTS, RATE)
    for i, layer in enumerate(layers):
        path = f"layers.{i}"
        if isinstance(layer, nn.LSTM):
            per_step = int(np.prod(strides[i:]))
            lag = -b.first_valid % per_step
            if lag:
                b.add(g.Unfold1d, f"{path}.align", frames=1, frames_per_output=1, lag=lag)
            _lstm(b, path, layer)
        elif isinstance(layer, nn.Conv1d):
            convolution(b, path, layer)
        else:
            dense(b, path, layer)
    return g.verify(g.Graph("layers", b.tensors, tuple(b.ops)))


def _lstm(b: Builder, path: str, layer: nn.LSTM) -> None:
    """One matrix over the input beside the layer's own hidden state, and a cell."""
    weight, bias = (
        [getattr(layer, f"{kind}_{part}_l0").detach().double().numpy() for part in ("ih", "hh")]
        for kind in ("weight", "bias")
    )
    b.add(g.DelayedConcat, f"{path}.join", previous=(path,), widths=(layer.hidden_size,))
    both = np.concatenate(weight, axis=1)[None, :, None]
    b.add(g.Dense, f"{path}.gates", weight=both, bias=sum(bias)[None])
    b.add(g.LstmCell, path)


def published(layers: Layers, x: np.ndarray) -> np.ndarray:
    """What PyTorch makes of the whole signal (time, inputs) in float64: (frames, outputs)."""
    y = torch.from_numpy(x)[None].double()
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, nn.Conv1d):
                y = layer.double()(y.transpose(1, 2)).transpose(1, 2)
            else:
                y = layer.double()(y)
                y = y[0] if isinstance(layer, nn.LSTM) else y
    return y[0].numpy()


def made(name: str, seed: int = 0) -> tuple[Layers, g.Graph]:
    torch.manual_seed(seed)
    layers = NETWORKS[name]()
    return layers, lowered(layers)


def signal(graph: g.Graph, steps: int = STEPS, seed: int = 0) -> np.ndarray:
    """(time, inputs): bursts and rest."""
    rng = np.random.default_rng(seed)
    samples = steps * graph.samples_per_step
    envelope = np.repeat(rng.uniform(0.1, 2.5, samples // 9 + 1), 9)[:samples, None]
    return rng.standard_normal((samples, graph.input.features)) * envelope


def integer(real: g.Graph, precision: str = "w8a16") -> g.Graph:
    return quantize(real, observe(real, [signal(real, 40, seed=1)]), precision)


def words(graph: g.Graph, seed: int = 0) -> np.ndarray:
    """int16 samples, half of them at the ends of the range."""
    x = to_int16(graph, signal(graph, seed=seed))
    half = x[len(x) // 2 :].shape
    x[len(x) // 2 :] = np.random.default_rng(seed).choice([-32768, 32767], half)
    return x


def step_by_step(machine: IntegerInterpreter | FloatInterpreter, x: np.ndarray) -> np.ndarray:
    size = machine.graph.samples_per_step
    parts = [machine.run(x[None, at : at + size])[0] for at in range(0, len(x), size)]
    return np.concatenate(parts)


def on_this_machine(graph: g.Graph, family: str = "dsp") -> native.NativeModel:
    """The exported C, compiled quickly and without a warning."""
    folder = Path(tempfile.mkdtemp(prefix="tendon-loops-"))
    try:
        library = native.build(graph, folder, flags=QUICK, family=family)
        return native.NativeModel(library, graph)
    finally:
        shutil.rmtree(folder)


# --- the graph ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stream_is_what_pytorch_makes_of_the_whole_signal(name: str) -> None:
    layers, graph = made(name)
    x = signal(graph)
    found = step_by_step(FloatInterpreter(graph), x)[graph.start_up :]
    expected = published(layers, x)
    assert len(found) >= STEPS - 4
    np.testing.assert_allclose(found, expected[: len(found)], atol=1e-6)
    whole = FloatInterpreter(graph).run(x[None])[0]
    np.testing.assert_allclose(whole[graph.start_up :], found, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_recurrence_is_a_loop_and_begins_with_its_first_valid_frame(name: str) -> None:
    _, graph = made(name)
    cells = [op for op in graph.ops if isinstance(op, g.LstmCell)]
    assert [len(loop) for loop in graph.loops] == [3] * len(cells)
    assert [graph.begins[cell.output] for cell in cells] == BEGINS[name]
    assert graph.stretchable == (max(BEGINS[name]) == 0)


@pytest.mark.parametrize("precision", ["w8a16", "w8a8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_integers_are_the_same_taken_together_or_step_by_step(
    name: str, precision: str
) -> None:
    graph = integer(made(name)[1], precision)
    x = words(graph)
    whole = IntegerInterpreter(graph).run(x[None])[0]
    np.testing.assert_array_equal(step_by_step(IntegerInterpreter(graph), x), whole)


# --- the C ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["w8a16", "w8a8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_exported_c_says_the_words_of_the_interpreter_from_the_first_step_on(
    name: str, precision: str
) -> None:
    graph = integer(made(name)[1], precision)
    x = words(graph)
    expected = IntegerInterpreter(graph).run(x[None])[0]
    for family in FAMILIES:
        np.testing.assert_array_equal(on_this_machine(graph, family).run(x), expected, family)


@pytest.mark.parametrize("chunk", [2, 3, 4])
@pytest.mark.parametrize("name", [name for name, begins in BEGINS.items() if not any(begins)])
def test_however_many_frames_a_step_computes_the_words_are_the_same(name: str, chunk: int) -> None:
    alone = integer(made(name)[1])
    x = words(alone)  # 24 steps
    expected = IntegerInterpreter(alone).run(x[None])[0]
    graph = g.in_chunks(alone, chunk)
    np.testing.assert_array_equal(step_by_step(IntegerInterpreter(graph), x), expected)
    np.testing.assert_array_equal(on_this_machine(graph).run(x), expected)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.tuples(*[st.integers(1, 9)] * 3),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_any_convolution_between_two_recurrences_streams(
    sizes: tuple[int, int, int], kernel: int, stride: int, seed: int
) -> None:
    torch.manual_seed(seed)
    first, middle, last = sizes
    layers = lstm(INPUTS, first), nn.Conv1d(first, middle, kernel, stride), lstm(middle, last)
    real = lowered(layers)
    x = signal(real, seed=seed)
    found = step_by_step(FloatInterpreter(real), x)[real.start_up :]
    np.testing.assert_allclose(found, published(layers, x)[: len(found)], atol=1e-6)
    graph, samples = integer(real), words(integer(real), seed)
    expected = IntegerInterpreter(graph).run(samples[None])[0]
    np.testing.assert_array_equal(step_by_step(IntegerInterpreter(graph), samples), expected)
    np.testing.assert_array_equal(on_this_machine(graph).run(samples), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_state_lies_in_groups_by_the_step_with_which_it_begins(name: str) -> None:
    graph = integer(made(name)[1])
    plan, model = memory.plan(graph), emit.build(graph)
    assert [group.begin for group in plan.groups] == sorted(set(BEGINS[name]))
    end = max((plan.kept_offsets[n] for n in plan.kept_offsets), default=0)
    for group in plan.groups:
        assert (group.counter is None) == (group.begin == 0)
        assert group.offset >= end and (group.counter is None or group.counter == group.offset - 4)
        end = group.offset + group.size
        for op in graph.ops:
            if op.recurrent and graph.begins[op.output] == group.begin:
                size = 2 * op.state_values(graph.source(op).features)
                at = plan.state_offsets[op.output]
                assert group.offset <= at and at + size <= end
    assert end == plan.state_bytes
    calls = [call.text for call in model.calls if call.operator is None]
    assert len(calls) == sum(1 for begin in set(BEGINS[name]) if begin)
    assert {call.kernel for call in model.calls} == set(emit.kernels(graph))
    assert plan.arena_minimal


@pytest.mark.parametrize("name", ["two begins", "longer kernel"])
def test_a_snapshot_taken_during_the_start_up_holds_every_count(name: str) -> None:
    graph = integer(made(name)[1])
    x, size = words(graph), graph.samples_per_step
    expected, bytes_ = IntegerInterpreter(graph).run(x[None])[0], memory.plan(graph).state_bytes
    for steps in range(4):
        model, other = on_this_machine(graph), on_this_machine(graph)
        before = model.run(x[: steps * size])
        state = ctypes.string_at(model._library.native_state(), bytes_)
        ctypes.memmove(other._library.native_state(), state, bytes_)
        found = np.concatenate([before, other.run(x[steps * size :])])
        np.testing.assert_array_equal(found, expected)


def late() -> g.Graph:
    """A recurrence whose later part has its first valid frame later: what it makes is read by
    operators in front of that and behind it."""
    rng = np.random.default_rng(4)
    b = Builder(INPUTS, RATE)

    def layer(path: str, inputs: int, out: int) -> None:
        weight = rng.standard_normal((1, out, 1, inputs)) * 0.4
        b.add(g.Dense, path, weight=weight, bias=rng.standard_normal((1, out)) * 0.2)

    delayed = b.add(g.Unfold1d, "delayed", frames=1, frames_per_output=1, lag=3)
    b.here = b.ops[0].inputs[0]
    b.add(g.DelayedConcat, "first", previous=("last",), widths=(INPUTS,))
    layer("inner", 2 * INPUTS, INPUTS)
    b.add(g.Add, "sum", delayed)
    b.add(g.DelayedConcat, "second", previous=("last",), widths=(INPUTS,))
    layer("wide", 2 * INPUTS, INPUTS)
    b.add(g.Activation, "last", kind="tanh")
    return g.verify(g.Graph("late", b.tensors, tuple(b.ops)))


def test_a_loop_begins_as_a_whole_with_the_latest_of_its_first_valid_frames() -> None:
    real = late()
    assert real.begins == {"first": 3, "second": 3}
    graph = integer(real)
    x = words(graph)
    expected = IntegerInterpreter(graph).run(x[None])[0]
    np.testing.assert_array_equal(step_by_step(IntegerInterpreter(graph), x), expected)
    np.testing.assert_array_equal(on_this_machine(graph).run(x), expected)


def test_what_a_loop_takes_in_before_it_begins_is_forgotten() -> None:
    real = late()
    x = signal(real)
    inner, wide = (op for op in real.ops if isinstance(op, g.Dense))
    last, expected = np.zeros(INPUTS), []
    for t in range(3, len(x)):
        seen = np.concatenate([x[t], last]) @ inner.weight[0, :, 0].T + inner.bias[0] + x[t - 3]
        last = np.tanh(np.concatenate([seen, last]) @ wide.weight[0, :, 0].T + wide.bias[0])
        expected.append(last)
    found = step_by_step(FloatInterpreter(real), x)
    np.testing.assert_allclose(found[3:], expected, atol=1e-12)


# --- extra inputs ---------------------------------------------------------------------------------


def integrals(left: str, right: str) -> g.Graph:
    """Two sums, the second fed back beside its increments: each begins with an extra input."""
    rng = np.random.default_rng(2)
    b = Builder(INPUTS, RATE)

    def layer(path: str, inputs: int, out: int) -> None:
        weight = rng.standard_normal((1, out, 1, inputs)) * 0.05
        b.add(g.Dense, path, weight=weight, bias=np.zeros((1, out)))

    layer("a.increments", INPUTS, 3)
    b.add(g.Integrate, "a.sum", initial=left)
    b.add(g.DelayedConcat, "b.join", previous=("b.sum",), widths=(3,))
    layer("b.increments", 6, 3)
    b.add(g.Integrate, "b.sum", initial=right)
    initial = {name: g.Tensor(name, 3, Fraction(0)) for name in (left, right)}
    return g.verify(g.Graph("sums", b.tensors, tuple(b.ops), initial=initial))


def test_a_stream_begins_with_every_extra_input_by_its_name() -> None:
    real = integrals("left-hand", "right")
    initial = {"left-hand": np.array([0.5, -0.25, 1.0]), "right": np.array([-1.0, 0.0, 0.75])}
    x = signal(real)
    graph = quantize(real, observe(real, [Signal(x, initial)]), "w8a16")
    plan, header = memory.plan(graph), emit.files(emit.build(graph))["model/sums.h"].decode()
    for name, macro in (("left-hand", "LEFT_HAND"), ("right", "RIGHT")):
        at = plan.initial_offsets[name]
        assert f"#define SUMS_INITIAL_{macro} {at}\n" in header
        found = np.frombuffer(memory.initial_state(graph, initial), "<i2", 3, at)
        np.testing.assert_array_equal(found, graph.initial[name].integers(initial[name]))
    assert len(memory.initial_state(graph, initial)) == plan.state_bytes
    for given_ in (initial, {"right": initial["right"]}, {}):
        stream, machine = Signal(x, given_), IntegerInterpreter(graph)
        machine.begin_with([stream])
        expected = machine.run(to_int16(graph, x)[None])[0]
        for family in FAMILIES:
            model = on_this_machine(graph, family)
            model.begin_with(stream)
            np.testing.assert_array_equal(model.run(to_int16(graph, x)), expected)


def test_an_extra_input_that_a_network_has_not_is_refused_by_name() -> None:
    graph = integer(integrals("left", "right"))
    with pytest.raises(GraphError, match="begins with no 'pose'; it has these extra inputs: left"):
        memory.initial_state(graph, {"pose": np.zeros(3)})
    with pytest.raises(GraphError, match="'left': expected 3 values, found"):
        memory.initial_state(graph, {"left": np.zeros(4)})
    with pytest.raises(GraphError, match="it has these extra inputs: none"):
        memory.initial_state(integer(made("two layers")[1]), {"left": np.zeros(3)})
