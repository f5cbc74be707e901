"""The traced graph beside PyTorch: a trace that would compute something else is refused."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.trace.exported import Exported, Form
from compress.interpreter.float import FloatInterpreter

ALLOWED = 1e-3  # of the output's rms
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
    length, form = exported.length, exported.form
    lengths = [length] if window is not None else [length, length + length // 2 + 7]
    for samples in lengths:
        beyond = 0 if window is not None else samples // 2  # which no frame of the stream may see
        noise = np.random.default_rng(SEED).normal(size=(electrodes, samples + beyond))
        expected = _forward(model, noise.astype(np.float32), length, form)
        found = frames_of(graph, noise[:, :samples], window)
        if expected.ndim == 1:
            expected = expected[:, None]
        n = min(expected.shape[1], found.shape[1])
        error = np.abs(expected[:, :n] - found[:, :n])
        rms = float(np.sqrt((expected[:, :n] ** 2).mean()))
        if not n or not np.isfinite(rms) or error.max() > ALLOWED * max(rms, 1e-9):
            raise GraphError(_differs(samples, length, error, rms))


def _forward(model: nn.Module, signal: g.Array, length: int, form: Form) -> g.Array:
    try:
        with torch.no_grad():
            given = form.given(torch.from_numpy(signal).t())
            found: g.Array = form.taken(model.eval()(given))[0].double().numpy()
    except Exception as error:
        raise GraphError(
            f"forward takes {length} samples and not {signal.shape[1]}: {type(error).__name__}:"
            f" {error}; expected a stream of any length, or WINDOW and STRIDE"
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
