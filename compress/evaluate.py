"""How far the integers are from the float network: per layer on the calibration recordings, per
task on the held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from compress import graph as g
from compress import tasks
from compress.graph.samples import Signal, to_int16, to_real, whole_steps
from compress.interpreter.base import side_by_side, trim
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.tasks import distances
from compress.tasks.task import Recorded, Task
from compress.tasks.unscored import Unscored

Array = g.Array
LAYER_SECONDS = 20.0


@dataclass(frozen=True)
class HeldOut:
    """Sessions side by side, each stretch without a gap a stream: float32 (stretch, time, features)
    padded with zeros, the steps of each, and what they are."""

    batch: Array
    steps: list[int]
    recorded: list[Recorded]

    def trim(self, graph: g.Graph, output: Array) -> list[Array]:
        """Each stretch's own frames of an output (stretch, frames, values)."""
        return trim(output, self.steps, graph.chunk)

    @property
    def signals(self) -> list[Signal]:
        return [r.signal for r in self.recorded]

    def float_frames(self, graph: g.Graph) -> list[Array]:
        """Output frames of the float graph."""
        machine = FloatInterpreter(graph, len(self.batch))
        machine.begin_with(self.signals)
        return self.trim(
            graph, machine.run(self.batch.astype(np.float64), progress="float network")
        )

    def integer_frames(self, graph: g.Graph) -> list[Array]:
        """Output frames of the integer reference, as real values."""
        machine = IntegerInterpreter(graph, len(self.batch))
        machine.begin_with(self.signals)
        return self.trim(
            graph,
            to_real(graph, machine.run(to_int16(graph, self.batch), progress="integer reference")),
        )


def read_heldout(graph: g.Graph, paths: Sequence[Path], scored: bool = True) -> HeldOut:
    """Read the sessions once, for every engine that is compared on them; the error is taken on
    them where they are `scored`."""
    recorded = [
        part
        for path in tqdm(paths, desc="reading held-out", unit="session", leave=False)
        for part in read(graph, path, scored=scored)
    ]
    batch, steps = side_by_side([r.samples for r in recorded], graph.samples_per_step)
    return HeldOut(batch, steps, recorded)


def read(
    graph: g.Graph, path: Path, seconds: float | None = None, scored: bool = True
) -> list[Recorded]:
    """The stretches of a recording of the network's task, each a stream; one that is not scored may
    be a `.npy` as well."""
    task = tasks.of(graph)
    if scored:
        return task.parts(graph, path, seconds)
    return [replace(part, scored=False) for part in task.inputs(graph, path, seconds)]


def judge(graph: g.Graph, recorded: Sequence[Recorded]) -> Task:
    """The network's task, for these recordings: without an error where none is scored."""
    task = tasks.of(graph)
    return Unscored(task) if not any(r.scored for r in recorded) else task


def layers(real: g.Graph, integer: g.Graph, signal: Signal) -> list[dict[str, Any]]:
    """Per tensor of the integer graph: scale, range, clipped share and SQNR against the float graph
    on one signal."""
    samples = whole_steps(
        integer, signal.samples[: round(LAYER_SECONDS * float(integer.input.rate))]
    )
    expected: dict[str, list[Array]] = {}
    found: dict[str, list[Array]] = {}
    machines = FloatInterpreter(real), IntegerInterpreter(integer)
    for machine in machines:
        machine.begin_with([signal])
    machines[0].run(
        samples[None].astype(np.float64),
        lambda op, y: expected.setdefault(op.output, []).append(y[0]),
    )
    machines[1].run(
        to_int16(integer, samples)[None], lambda op, y: found.setdefault(op.output, []).append(y[0])
    )
    return [
        _layer(integer, op, np.concatenate(expected[op.output]), np.concatenate(found[op.output]))
        for op in integer.ops
    ]


def _layer(graph: g.Graph, op: g.Op, expected: Array, found: Array) -> dict[str, Any]:
    tensor = graph.tensors[op.output]
    clipped = (found >= tensor.hi).mean() + ((found <= tensor.lo).mean() if tensor.lo < 0 else 0.0)
    return {
        "module": op.module,
        "op": type(op).__name__,
        "bits": tensor.bits,
        "scale": tensor.segments[0].scale,
        "segments": [[s.features, s.scale] for s in tensor.segments],
        "clipped": float(clipped),
        "sqnr_db": distances.sqnr_db(expected, tensor.real(found)),
    }
