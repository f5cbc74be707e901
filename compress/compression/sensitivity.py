"""What the error of one layer does to the network's output: measured, one layer and one kind of
error at a time.

A layer's weights are replaced by their 4-bit values, or by their best approximation of a middle
rank, and the float network runs on a stretch of calibration, in closed loop where it is one. The
mean squared change of its output, divided by the layer's own relative error, is the layer's
sensitivity to that kind of error: the harm expected of another form of the layer is that times the
form's error. Errors of different layers are taken to be independent, so harms add up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from compress import graph as g
from compress.compression.candidates import Form, Layer, Probe
from compress.graph.samples import Signal, whole_steps
from compress.interpreter.float import FloatInterpreter
from compress.report.progress import Bar

SECONDS = 12.0

Sensitivity = Mapping[
    str, Mapping[str, float]
]  # module -> kind of error -> mean squared change of output for each unit


def sensitivities(
    graph: g.Graph, layers: Sequence[Layer], signal: Signal, seconds: float = SECONDS
) -> Sensitivity:
    """Of every layer that has a choice; in the unit of the output, squared."""
    expected = _outputs(graph, signal, seconds)
    found: dict[str, dict[str, float]] = {layer.module: {} for layer in layers}
    probes = [
        (layer.module, kind, probe) for layer in layers for kind, probe in layer.probes.items()
    ]
    for module, kind, probe in Bar(probes, desc="sensitivity", unit="run"):
        change = np.mean((_outputs(_with(graph, module, probe), signal, seconds) - expected) ** 2)
        found[module][kind] = float(change) / max(probe.error, 1e-12)
    return found


def harm(form: Form, known: Mapping[str, float]) -> float:
    """Mean squared change of the output that is expected of a form of a layer with these
    sensitivities."""
    return known.get("bits", 0.0) * form.rounded + known.get("rank", 0.0) * form.lost


def _with(graph: g.Graph, module: str, probe: Probe) -> g.Graph:
    """The graph with other weights in one layer."""
    ops = list(graph.ops)
    place = next(i for i, op in enumerate(ops) if op.multiplies and op.module == module)
    ops[place] = dataclasses.replace(ops[place], weight=probe.weight, bias=probe.bias)  # type: ignore[call-arg]
    return dataclasses.replace(graph, ops=tuple(ops))


def _outputs(graph: g.Graph, signal: Signal, seconds: float) -> g.Array:
    """Valid output frames (frames, features) of the first seconds after the start-up."""
    begin = graph.start_up / float(graph.output.rate)
    samples = whole_steps(
        graph, np.asarray(signal.samples[: round((begin + seconds) * float(graph.input.rate))])
    )
    machine = FloatInterpreter(graph)
    machine.begin_with([signal])
    return np.asarray(machine.run(samples[None].astype(np.float64))[0, graph.start_up :])
