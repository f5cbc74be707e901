"""Networks drawn at random from the vocabulary, from PyTorch to every form of their integers.

`make networks` draws 200 of them; here are a few, other ones each time the seed below is raised.
"""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.trace import trace
from compress.frontend.trace.check import frames_of
from compress.graph.samples import to_int16
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.tasks.distances import sqnr_db
from export.onnx import float_form
from export.tflite import step_bytes
from host import native, onnx_engine, tflite_engines
from tests.compress.drawn_networks import Drawn, draw

COUNT = int(os.environ.get("NETWORKS", "6"))
FIRST = int(os.environ.get("FIRST_NETWORK", "0"))
CLOSE = 1e-4  # of the output's rms
FLOOR_DB = 52.0  # what 16-bit values and states are worth where weights cost less


def graph_of(drawn: Drawn) -> g.Graph:
    b = Builder(drawn.electrodes, Fraction(drawn.sample_rate))
    trace(b, drawn.model, drawn.electrodes, drawn.sample_rate, drawn.window, drawn.stride)
    return g.verify(g.Graph("drawn", b.tensors, tuple(b.ops)))


def signal_of(graph: g.Graph, drawn: Drawn) -> g.Array:
    """(time, electrodes), whole steps: some hundred samples, or a few windows."""
    step = graph.samples_per_step
    samples = max(480, 3 * (drawn.window or 0), 4 * step)
    return np.random.default_rng(drawn.seed).normal(size=(samples // step * step, drawn.electrodes))


def rms(x: g.Array) -> float:
    return max(float(np.sqrt((x**2).mean())), 1e-6)


def weights_alone(real: g.Graph, integer: g.Graph) -> g.Graph:
    """The float graph with its weights rounded as in the integers, and nothing else."""
    rounded = {op.module: op for op in integer.ops}
    ops: list[g.Op] = []
    for op in real.ops:
        whole = rounded.get(op.module)
        if isinstance(op, g.Dense) and isinstance(whole, g.IntDense):
            op = replace(op, weight=whole.weight * whole.weight_scale[:, :, None, None])
        elif isinstance(op, g.Depthwise) and isinstance(whole, g.IntDepthwise):
            op = replace(op, weight=whole.weight * whole.weight_scale[:, None])
        ops.append(op)
    return replace(real, ops=tuple(ops))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_a_drawn_network_is_the_same_everywhere(seed: int, tmp_path: Path) -> None:
    drawn = draw(seed)
    real = graph_of(drawn)
    same_as_pytorch(drawn, real)
    signal = signal_of(real, drawn)
    integer = quantize(real, observe(real, [signal], products=False), "w8a16")
    words = to_int16(integer, signal)
    expected = IntegerInterpreter(integer).run(words[None].astype(np.int64))[0]
    frames = FloatInterpreter(real).run(signal[None])[0]
    loses_what_its_weights_lose(real, integer, signal, frames, expected)
    assert np.array_equal(native.load(integer, tmp_path).run(words), expected)
    onnx = onnx_engine.run(float_form.write(real), signal)
    assert np.abs(onnx - frames)[real.start_up :].max(initial=0) <= CLOSE * rms(frames)
    try:
        content = step_bytes(integer, True)
    except GraphError as error:  # a format may refuse an operator, by name
        assert any(op.module in str(error) for op in integer.ops), error
        return
    found = tflite_engines.run_litert(content, words, "drawn").astype(int)
    assert np.abs(found - expected).max() <= one_step_everywhere(integer, words, expected)


class OneStepOff(IntegerInterpreter):
    """Every operator that computes rounds up to one step differently."""

    def __init__(self, graph: g.Graph, seed: int) -> None:
        self.noise = np.random.default_rng(seed)
        super().__init__(graph)

    def _run(self, op: g.Op, inputs: list[g.Array]) -> g.Array:
        y, target = super()._run(op, inputs), self.graph.target(op)
        if op.copies_values:
            return y
        return np.clip(y + self.noise.integers(-1, 2, y.shape), target.lo, target.hi)


def one_step_everywhere(integer: g.Graph, words: g.Array, expected: g.Array) -> int:
    """How far the output moves where every operator is within one step: TFLite's kernels round
    with 16-bit multipliers, and what one of them rounds the next ones multiply."""
    runs = [OneStepOff(integer, seed).run(words[None].astype(np.int64))[0] for seed in range(3)]
    return max(1, *(int(np.abs(run - expected).max()) for run in runs))


def same_as_pytorch(drawn: Drawn, real: g.Graph) -> None:
    """Frame by frame from the first one that the forward has; what comes after a frame of the
    stream changes nothing in it."""
    length = drawn.window or 600
    beyond = 0 if drawn.window else 200
    noise = np.random.default_rng(drawn.seed).normal(size=(drawn.electrodes, length + beyond))
    noise = noise.astype(np.float32)
    with torch.no_grad():
        expected = drawn.model(torch.from_numpy(noise)[None])[0].double().numpy()
    expected = expected.reshape(len(expected), -1)
    found = frames_of(real, noise[:, :length].astype(np.float64), drawn.window)
    expected = expected[:, : found.shape[1]]
    assert found.shape == expected.shape and found.size
    assert np.abs(found - expected).max() <= CLOSE * rms(expected)


def loses_what_its_weights_lose(
    real: g.Graph, integer: g.Graph, signal: g.Array, frames: g.Array, words: g.Array
) -> None:
    """The integers lose no more than 8-bit weights alone do and one dB, down to what 16-bit values
    are worth."""
    begin = real.start_up
    if rms(frames[begin:]) <= 1e-6:
        return  # a network whose output never moves
    weights = FloatInterpreter(weights_alone(real, integer)).run(signal[None])[0]
    alone = sqnr_db(frames[begin:], weights[begin:])
    assert sqnr_db(frames[begin:], integer.output.real(words)[begin:]) >= min(alone - 1, FLOOR_DB)
