"""The traced graph beside PyTorch: a trace that would compute something else is refused."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.trace.exported import Exported
from compress.interpreter.float import FloatInterpreter

ALLOWED = 1e-3  # of the output's rms
SECONDS, LEAST_BEYOND, MOST_BEYOND = 5.0, 2000, 20000  # samples of a signal as recordings are long
SEED = 1


def compare(
    b: Builder,
    exported: Exported,
    model: nn.Module,
    electrodes: int,
    window: int | None,
) -> None:
    """Run both on noise, on the traced length and, of a stream, on a longer one; GraphError where
    they differ."""
    graph = g.verify(g.Graph("traced", b.tensors, tuple(b.ops)))
    length = exported.length
    for samples, beyond in _lengths(graph, length, window):
        noise = np.random.default_rng(SEED).normal(size=(electrodes, samples + beyond))
        expected = _forward(model, noise.astype(np.float32), exported)
        found = frames_of(graph, noise[:, :samples], window)
        if expected.ndim == 1:
            expected = expected[:, None]
        n = found.shape[1]
        if expected.shape[1] < n:
            raise GraphError(
                f"forward gives {expected.shape[1]} frames for {samples + beyond} samples, of which"
                f" a stream gives {n} for the first {samples}: expected frames as long as there are"
                " samples"
            )
        error = np.abs(expected[:, :n] - found)
        rms = float(np.sqrt((expected[:, :n] ** 2).mean())) if n else np.nan
        if not np.isfinite(rms) or error.max() > ALLOWED * max(rms, 1e-9):
            raise GraphError(_differs(samples, length, error, rms))


def _lengths(graph: g.Graph, length: int, window: int | None) -> list[tuple[int, int]]:
    """Samples that the graph is given, and how many more the forward is, which no frame of a stream
    may see: as traced, and a longer signal beside one of seconds. Whole steps each."""
    if window is not None:
        return [(length, 0)]
    step = graph.samples_per_step
    longer = (length + length // 2) // step * step + step
    seconds = min(max(LEAST_BEYOND, round(SECONDS * float(graph.input.rate))), MOST_BEYOND)
    return [(length, length // 2 // step * step), (longer, seconds // step * step)]


def _forward(model: nn.Module, signal: g.Array, exported: Exported) -> g.Array:
    form = exported.form
    try:
        with torch.no_grad():
            given = form.given(torch.from_numpy(signal).t())
            found: g.Array = form.taken(model.eval()(given))[0].double().numpy()
    except Exception as error:
        raise GraphError(
            f"forward takes {exported.length} samples and not {signal.shape[1]}:"
            f" {type(error).__name__}: {error}; expected a stream of any length, or"
            f" {exported.written.window}"
        ) from error
    return found


def frames_of(graph: g.Graph, signal: g.Array, window: int | None) -> g.Array:
    """(outputs, frames) that the float graph gives for a signal (electrodes, samples), those that a
    whole-sequence forward has; of a window network the answer for the one window."""
    samples = signal.T[None].astype(np.float64)
    step = graph.samples_per_step
    if window is not None:  # so that the first whole window is the signal
        before = -window % step
        samples = np.pad(samples, [(0, 0), (before, 0), (0, 0)])
        return FloatInterpreter(graph).run(samples)[0, -1:].T
    whole = samples[:, : samples.shape[1] // step * step]
    return FloatInterpreter(graph).run(whole)[0, graph.start_up :].T


def _differs(samples: int, length: int, error: g.Array, rms: float) -> str:
    if not np.isfinite(rms) or not error.size:
        return f"forward gives values that are not finite, or none, for {samples} samples of noise"
    what = "another length" if samples != length else "noise"
    return (
        f"forward and its graph differ on {what} ({samples} samples) by {error.max():.3g} at an rms"
        f" of {rms:.3g}: expected a forward whose frames depend on the samples before (and a fixed"
        " number after) alone, and not on the length of the signal or on values written in place"
    )
