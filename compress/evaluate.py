"""How far the integers are from the float network: per layer on the calibration recordings, per task on the held-out ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from compress import graph as g
from compress import scores
from compress.data import datasets
from compress.data.session import SAMPLE_RATE, Session
from compress.floating import FloatMachine
from compress.machine import side_by_side, trim
from compress.quantize import GATE_SCALE
from compress.reference import IntegerMachine
from compress.samples import to_int16, to_real, whole_steps

Array = g.Array
LAYER_SECONDS = 20.0


@dataclass(frozen=True)
class HeldOut:
    """Whole sessions side by side: float32 (session, time, features) padded with zeros, the steps of each and its text."""

    batch: Array
    steps: list[int]
    texts: list[str]

    def trim(self, output: Array) -> list[Array]:
        """Each session's own frames of an output (session, frames, values)."""
        return trim(output, self.steps)

    def float_frames(self, graph: g.Graph) -> list[Array]:
        """Output frames of the float graph."""
        return self.trim(FloatMachine(graph, len(self.batch)).run(self.batch.astype(np.float64), progress="float network"))

    def integer_frames(self, graph: g.Graph) -> list[Array]:
        """Output frames of the integer reference, as log-probabilities."""
        machine = IntegerMachine(graph, len(self.batch))
        return self.trim(to_real(graph, machine.run(to_int16(graph, self.batch), progress="integer reference")))


def read_heldout(graph: g.Graph, paths: list[Path]) -> HeldOut:
    """Read the sessions once, for every engine that is compared on them."""
    signals = [datasets.samples(p) for p in tqdm(paths, desc="reading held-out", unit="session", leave=False)]
    batch, steps = side_by_side(signals, graph.samples_per_step)
    texts = []
    for path, n in zip(paths, steps, strict=True):
        with Session(path) as session:
            texts.append(session.text(0.0, n * graph.samples_per_step / SAMPLE_RATE))
    return HeldOut(batch, steps, texts)


def layers(real: g.Graph, integer: g.Graph, signal: Array) -> list[dict[str, Any]]:
    """Per tensor of the integer graph: scale, range, clipped share and SQNR against the float graph on one signal."""
    signal = whole_steps(integer, signal[: round(LAYER_SECONDS * SAMPLE_RATE)])
    expected: dict[str, list[Array]] = {}
    found: dict[str, list[Array]] = {}
    FloatMachine(real).run(signal[None].astype(np.float64), lambda op, y: expected.setdefault(op.output, []).append(y[0]))
    IntegerMachine(integer).run(to_int16(integer, signal)[None], lambda op, y: found.setdefault(op.output, []).append(y[0]))
    return [_layer(integer, op, np.concatenate(expected[op.output]), np.concatenate(found[op.output])) for op in integer.ops]


def _layer(graph: g.Graph, op: g.Op, expected: Array, found: Array) -> dict[str, Any]:
    tensor = graph.tensors[op.output]
    clipped = (found >= tensor.hi).mean() + ((found <= tensor.lo).mean() if tensor.lo < 0 else 0.0)
    return {
        "module": op.module,
        "op": type(op).__name__,
        "bits": 8 if tensor.hi == g.INT8[1] else 16,
        "scale": tensor.scale,
        "clipped": float(clipped),
        "sqnr_db": scores.sqnr_db(expected, dequantize(graph, op.output, found)),
    }


def dequantize(graph: g.Graph, name: str, values: Array) -> Array:
    """Real values of a tensor; the second half of a GLU's input has the gate's scale."""
    real = values * float(graph.tensors[name].scale or 1.0)
    if any(isinstance(op, g.IntGlu) and op.inputs[0] == name for op in graph.ops):
        half = values.shape[-1] // 2
        real[..., half:] = values[..., half:] * GATE_SCALE
    return np.asarray(real)
