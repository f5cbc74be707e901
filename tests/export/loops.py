"""Small graphs with recurrences, for the tests of every export format: several loops with stages of
other rates between them, several extra inputs, state spaces in a loop and behind it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from compress import graph as g
from compress.frontend.builder import Builder
from compress.frontend.handlers import window
from compress.graph.samples import Signal, to_int16
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize

RATE = Fraction(100)


def matrix(b: Builder, path: str, out: int, rng: np.random.Generator) -> None:
    weight = rng.standard_normal((1, out, 1, b.features)) / np.sqrt(b.features)
    b.add(g.Dense, path, weight=weight, bias=rng.uniform(-0.5, 0.5, (1, out)))


def lstm(b: Builder, path: str, width: int, rng: np.random.Generator) -> None:
    """One matrix over the input beside the hidden state, and a cell."""
    b.add(g.DelayedConcat, f"{path}.join", previous=(path,), widths=(width,))
    matrix(b, f"{path}.gates", 4 * width, rng)
    b.add(g.LstmCell, path)


def gru(b: Builder, path: str, width: int, rng: np.random.Generator) -> None:
    """Gates from input and hidden state together, the new value from each apart, and a cell."""
    source, columns = b.here, b.features
    b.add(g.DelayedConcat, f"{path}.join", previous=(path,), widths=(width,))
    joined = b.here
    matrix(b, f"{path}.gates", 2 * width, rng)
    gates, b.here = b.here, source
    matrix(b, f"{path}.input", width, rng)
    value, b.here = b.here, joined
    b.add(g.Slice, f"{path}.hidden", begin=columns, end=columns + width)
    matrix(b, f"{path}.state", width, rng)
    share, b.here = b.here, gates
    b.add(g.GruCell, path, value, share)


def finished(b: Builder, **initial: int) -> g.Graph:
    extra = {name: g.Tensor(name, features, Fraction(0)) for name, features in initial.items()}
    return g.verify(g.Graph("loops", b.tensors, tuple(b.ops), initial=extra))


def lstm_convolution_lstm(seed: int = 0) -> g.Graph:
    """The second begins later than the first: a window of three frames has to be full."""
    rng, b = np.random.default_rng(seed), Builder(5, RATE)
    lstm(b, "first", 6, rng)
    window(b, "conv.window", 3, 2)
    matrix(b, "conv", 7, rng)
    lstm(b, "second", 4, rng)
    return finished(b)


def gru_convolution_gru(seed: int = 0) -> g.Graph:
    """The second begins later than the first: a window of three frames has to be full."""
    rng, b = np.random.default_rng(seed), Builder(5, RATE)
    gru(b, "first", 6, rng)
    window(b, "conv.window", 3, 2)
    matrix(b, "conv", 7, rng)
    gru(b, "second", 4, rng)
    matrix(b, "out", 3, rng)
    return finished(b)


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
    """A state space in a loop, and one behind a convolution that begins later."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)

    def states(path: str) -> None:
        shape = (b.features, 3)
        radius, turn = rng.uniform(0.5, 0.95, shape), rng.uniform(0, np.pi, shape)
        c = rng.standard_normal((*shape, 2)).view(np.complex128)[..., 0] * 0.2
        d = rng.standard_normal(shape[0])
        b.add(g.StateSpace, path, a=radius * np.exp(1j * turn), c=c, d=d)

    b.add(g.DelayedConcat, "join", previous=("back",), widths=(2,))
    states("inner")
    matrix(b, "mix", 2, rng)
    b.add(g.Activation, "back", kind="tanh")
    window(b, "window", 5, 2)
    matrix(b, "conv", 3, rng)
    states("outer")
    return finished(b)


def signal_of(graph: g.Graph, steps: int = 60, seed: int = 1) -> Signal:
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((graph.samples_per_step * steps, graph.input.features))
    initial = {n: rng.uniform(-1.0, 1.0, t.features) for n, t in graph.initial.items()}
    return Signal(samples.astype(np.float32), initial)


def integer(graph: g.Graph) -> g.Graph:
    return quantize(graph, observe(graph, [signal_of(graph, 200, seed=2)]), "w8a16")


def words_of(graph: g.Graph, signal: Signal) -> np.ndarray:
    machine = IntegerInterpreter(graph)
    machine.begin_with([signal])
    return machine.run(to_int16(graph, signal.samples)[None])[0]
