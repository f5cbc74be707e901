"""Windows, attention, depthwise filters and joins in C: the words of the interpreter, from the
first step on; state that begins anew with each window, and padding that begins with the first valid
frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.handlers import window
from compress.graph.samples import to_int16
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from export.boards import FAMILIES
from export.c import emit, memory
from export.c.pieces import stretches
from tests.export import alone
from tests.export.loops import RATE, finished, gru, integer, matrix, signal_of
from tests.export.test_loops import on_this_machine, step_by_step

STEPS = 40


def filters(b: Builder, path: str, kernel: int, rng: np.random.Generator, **taps: int) -> None:
    """A filter of `kernel` taps for each feature."""
    b.add(g.Unfold1d, f"{path}.taps", frames=kernel, frames_per_output=1, lag=0, **taps)
    channels = b.features // kernel
    weight, bias = rng.standard_normal((channels, kernel)), rng.uniform(-0.2, 0.2, channels)
    b.add(g.Depthwise, path, weight=weight, bias=bias)


def dilated(seed: int) -> g.Graph:
    """Filters with and without a dilation, of one band and of several, no start-up."""
    rng, b = np.random.default_rng(seed), Builder(6, RATE)
    filters(b, "near", 3, rng, padding=2)
    filters(b, "far", 4, rng, dilation=3, padding=9)
    b.add(g.Unfold1d, "bands", frames=3, frames_per_output=1, lag=0, bands=2, dilation=2, padding=4)
    matrix(b, "out", 5, rng)
    return finished(b)


def late_padding(seed: int) -> g.Graph:
    """Zeros before a frame that is not the stream's first: a window of three frames comes before
    it."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    window(b, "first.window", 3, 1)
    matrix(b, "first", 6, rng)
    filters(b, "second", 3, rng, dilation=2, padding=4)
    return finished(b)


def joins(seed: int) -> g.Graph:
    """Products, differences, features in another order, limits, a join of two scales, an RMSNorm,
    constants and a softmax."""
    rng, b = np.random.default_rng(seed), Builder(6, RATE)
    matrix(b, "wide", 8, rng)
    wide = b.here
    filters(b, "filters", 4, rng, padding=3)
    b.add(g.Multiply, "product", wide)
    b.add(g.Subtract, "difference", wide)
    difference = b.here
    b.add(g.Gather, "order", index=np.array([3, 1, 1, 7, 0, 2, 5], np.int32))
    b.add(g.Clamp, "limits", lo=0.3, hi=1.0)
    b.add(g.Concat, "join", difference, sizes=(7, 8))
    gain, bias = rng.standard_normal((2, 3, 5))
    b.add(g.RmsNorm, "norm", gain=gain, bias=bias, epsilon=1e-5)
    norm = b.here
    b.add(g.Constant, "constant", values=rng.standard_normal((1, 15)))
    b.add(g.Add, "sum", norm)
    b.add(g.Softmax, "shares", groups=3)
    return finished(b)


def attending(b: Builder, frames: int, shared: bool, rng: np.random.Generator) -> None:
    """Two heads of four values; what is attended to are the frames of the window, or the last
    frames of the stream."""
    source, places = b.here, []
    for name in ("query", "key", "value"):
        b.here = source
        matrix(b, name, 8, rng)
        if not shared and name != "query":
            b.add(
                g.Unfold1d,
                f"{name}.last",
                frames=frames,
                frames_per_output=1,
                lag=0,
                padding=frames - 1,
            )
        places.append(b.here)
    b.here, sizes = places[0], {"frames": frames, "heads": 2, "depth": 4, "shared": shared}
    b.add(g.AttentionScores, "scores", places[1], **sizes, factor=0.5)
    b.add(g.Softmax, "weights", groups=2)
    b.add(g.AttentionContext, "context", places[2], **sizes)


def attention_in_a_stream(seed: int) -> g.Graph:
    rng, b = np.random.default_rng(seed), Builder(5, RATE)
    attending(b, 7, False, rng)
    return finished(b)


def windows(seed: int, frames: int = 10, hop: int = 4) -> g.Graph:
    """A padded convolution, places, attention, a GRU whose state is the window's, and all its
    frames together."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    b.add(g.SlidingWindow, "windows", frames=frames, hop=hop)
    sizes = {"frames": frames, "outputs": frames, "kernel": 3, "before": 2 - seed % 2}
    b.add(g.WindowUnfold, "seen", **sizes, dilation=1 + seed % 3, edge=bool(seed % 2))
    matrix(b, "embedding", 8, rng)
    embedding = b.here
    b.add(g.Constant, "places", values=rng.standard_normal((frames, 8)))
    b.add(g.Add, "placed", embedding)
    placed = b.here
    attending(b, frames, True, rng)
    b.add(g.Add, "residual", placed)
    gru(b, "gru", 5, rng)
    b.add(g.Reframe, "flat", frames=frames, outputs=1)
    matrix(b, "out", 3, rng)
    return finished(b)


def sparse_windows(seed: int) -> g.Graph:
    """Windows shorter than their hop."""
    return windows(seed, frames=3, hop=7)


def wide_windows(seed: int) -> g.Graph:
    """A convolution that sees more of its window than may lie in memory at once: 240 frames of 15 ×
    24 values, at every second of them 15 × 12 after that."""
    rng, b = np.random.default_rng(seed), Builder(24, RATE)
    b.add(g.SlidingWindow, "windows", frames=240, hop=200)
    b.add(g.WindowUnfold, "seen", frames=240, outputs=240, kernel=15, before=7)
    matrix(b, "conv", 12, rng)
    b.add(g.Activation, "tanh", kind="tanh")
    b.add(g.WindowUnfold, "seen.again", frames=240, outputs=120, kernel=15, step=2, before=7)
    b.add(g.Depthwise, "filters", weight=rng.standard_normal((12, 15)), bias=np.zeros(12))
    b.add(g.MeanPool, "mean", factor=120)
    return finished(b)


def words(graph: g.Graph, seed: int = 0) -> np.ndarray:
    """int16 samples, the later half at the ends of the range."""
    x = to_int16(graph, signal_of(graph, STEPS, seed).samples)
    half = x[len(x) // 2 :].shape
    x[len(x) // 2 :] = np.random.default_rng(seed).choice([-32768, 32767], half)
    return x


NETWORKS: dict[str, Callable[[int], g.Graph]] = {
    f.__name__: f
    for f in (dilated, late_padding, joins, attention_in_a_stream, windows, sparse_windows)
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", NETWORKS)
def test_c_says_the_words_of_the_interpreter_from_the_first_step_on(name: str, seed: int) -> None:
    graph = integer(NETWORKS[name](seed))
    x = words(graph, seed)
    expected = IntegerInterpreter(graph).run(x[None])[0]
    assert len(np.unique(expected)) > STEPS
    for family in FAMILIES:
        np.testing.assert_array_equal(on_this_machine(graph, family).run(x), expected, family)


@pytest.mark.parametrize("chunk", [2, 3, 8])
@pytest.mark.parametrize("name", ["dilated", "joins", "attention_in_a_stream"])
def test_however_many_frames_a_step_computes_the_words_are_the_same(name: str, chunk: int) -> None:
    alone = integer(NETWORKS[name](0))
    x = words(alone)[: STEPS // chunk * chunk]
    expected = IntegerInterpreter(alone).run(x[None])[0]
    np.testing.assert_array_equal(on_this_machine(g.in_chunks(alone, chunk)).run(x), expected)


def test_padding_before_a_later_frame_is_zeros_and_nothing_of_the_start_up() -> None:
    """Streamed, the valid frames are those of a convolution that pads them with zeros."""
    real = late_padding(0)
    assert real.begins == {"second.taps": 2} and real.start_up == 2
    x = signal_of(real, STEPS).samples.astype(np.float64)
    seen: dict[str, list[np.ndarray]] = {op.output: [] for op in real.ops}
    FloatInterpreter(real).run(x[None], lambda op, y: seen[op.output].append(y[0]))
    first, found = (np.concatenate(seen[name])[2:] for name in ("first", "second"))
    weight, bias = real.ops[-1].weight, real.ops[-1].bias
    padded = np.concatenate([np.zeros((4, 6)), first])
    taps = [padded[2 * i : 2 * i + len(first)] * weight[:, i] for i in range(3)]
    np.testing.assert_allclose(found, sum(taps) + bias, atol=1e-12)
    graph = integer(real)
    samples = words(graph)
    expected = IntegerInterpreter(graph).run(samples[None])[0]
    np.testing.assert_array_equal(step_by_step(IntegerInterpreter(graph), samples), expected)
    np.testing.assert_array_equal(on_this_machine(graph).run(samples), expected)


@pytest.mark.parametrize("name", ["windows", "sparse_windows"])
def test_a_window_tells_of_its_own_samples_alone(name: str) -> None:
    """Whatever came before it: recurrent state of the window before is cleared in C."""
    graph = integer(NETWORKS[name](0))
    frames = graph.ops[0].frames
    x = words(graph)
    other = x.copy()
    other[:-frames] = x[:-frames][::-1]
    model = on_this_machine(graph)
    last = model.run(x)[-1]
    model.reset()
    np.testing.assert_array_equal(model.run(other)[-1], last)
    calls = [call.kernel for call in emit.build(graph).calls]
    assert calls.count(emit.CLEAR) == 1 and calls[0] == emit.CLEAR
    assert emit.CLEAR in emit.kernels(graph)


def whatever_keeps_frames(b: Builder, rng: np.random.Generator) -> None:
    """Taps of the frames before, with and without padding, points between frames, a state space
    and a cell."""
    b.add(g.Unfold1d, "before", frames=2, frames_per_output=1, lag=1)
    matrix(b, "seen", 4, rng)
    b.add(g.Unfold1d, "padded", frames=3, frames_per_output=1, lag=0, padding=2)
    matrix(b, "seen.again", 3, rng)
    pole, c = np.full((3, 2), 0.8 + 0.3j), rng.standard_normal((3, 2)) + 0.5j
    b.add(g.StateSpace, "space", a=pole, c=c, d=np.ones(3))
    b.add(g.Interpolate, "finer", factor=2)
    gru(b, "gru", 4, rng)


def delays(b: Builder, rng: np.random.Generator) -> None:
    """No recurrent state."""
    b.add(g.Unfold1d, "late", frames=1, frames_per_output=1, lag=2)


KEEPING = {
    "whatever": whatever_keeps_frames,
    "delays": delays,
    "points between": alone.plain(g.Interpolate, factor=4),
}


@pytest.mark.parametrize("hop", [2, 7])
@pytest.mark.parametrize("name", KEEPING)
def test_all_that_is_kept_begins_anew_with_each_window(name: str, hop: int) -> None:
    says_the_words(integer(alone.over_windows(KEEPING[name], hop)))


@pytest.mark.parametrize("name", alone.IN_WINDOWS)
def test_every_operator_in_windows_says_the_words_of_the_interpreter(name: str) -> None:
    says_the_words(integer(alone.in_windows(name)))


def says_the_words(graph: g.Graph) -> None:
    x = words(graph)
    expected = IntegerInterpreter(graph).run(x[None])[0]
    np.testing.assert_array_equal(on_this_machine(graph).run(x), expected)


def test_a_stream_clears_no_state() -> None:
    graph = integer(attention_in_a_stream(0))
    assert emit.CLEAR not in {call.kernel for call in emit.build(graph).calls}
    assert emit.CLEAR not in emit.kernels(graph)


def test_a_convolution_over_a_long_window_is_computed_in_pieces() -> None:
    graph = integer(wide_windows(0))
    found = {s.graph.ops[s.ops.start].output: (len(s.ops), s.pieces) for s in stretches(graph)}
    assert found == {"seen": (3, 3)}
    assert memory.plan(graph).arena_bytes < 240 * 15 * 24 * 2
    x = words(graph)[: 6 * graph.samples_per_step]
    expected = IntegerInterpreter(graph).run(x[None])[0]
    np.testing.assert_array_equal(on_this_machine(graph).run(x), expected)


def test_frames_taken_together_stay_where_they_lie() -> None:
    graph = integer(windows(0))
    offsets = emit.build(graph).plan.offsets
    assert offsets["flat"] == offsets["gru"]


def test_weights_of_attention_that_no_softmax_makes_are_refused() -> None:
    """A sum over values keeps to 32 bits because they add up to one."""
    real = attention_in_a_stream(0)
    kept = [op for op in real.ops if not isinstance(op, g.Softmax)]
    kept[-1] = dataclasses.replace(kept[-1], inputs=("scores", kept[-1].inputs[1]))
    tensors = {name: t for name, t in real.tensors.items() if name != "weights"}
    with pytest.raises(GraphError, match="expected weights that a softmax over 2 groups makes"):
        g.verify(g.Graph("bare", tensors, tuple(kept)))
