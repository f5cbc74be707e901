"""What is known of every layer before it runs, from graph and emitted C: name, type, shape, rate,
MACs, memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.profile import floors
from bench.speed.rows import Floor
from compress import graph as g
from export.c import emit, memory


@dataclass(frozen=True)
class Layer:
    """One operator of the graph. Counts and bytes are those of one step; a frame is (features,)
    int16 values.

    `c_id`: its place in the C code; `m_id`: the module of the PyTorch network it came from, in the
    order of execution. `units`: what its instructions are told per, `unit` their name:
    multiply-accumulates where it has any. `floor`: the fewest instructions of its inner loop in a
    step (floors.py), None where none is derived. `weights`: bytes of the tables that it is the
    first to need; `activations`: arena that it reads or writes; `live`: arena in use while it runs.
    """

    c_id: int
    m_id: int
    name: str
    type: str
    kernel: str
    calls: int
    source: tuple[int, int]
    target: tuple[int, int]
    rate_hz: float
    macc: int
    units: int
    unit: str
    floor: Floor | None
    weights: int
    activations: int
    live: int
    state: int

    @property
    def shape(self) -> str:
        """Frames × features of one step."""
        return f"{self.source[0]}×{self.source[1]} → {self.target[0]}×{self.target[1]}"


def layers(model: emit.Model, core: str) -> list[Layer]:
    """Every operator in the order of execution. `core`: whose floors."""
    graph, modules = model.graph, list(dict.fromkeys(op.module for op in model.graph.ops))
    alive = live_tensors(graph)
    return [
        _layer(model, index, op, modules.index(op.module), alive[index], core)
        for index, op in enumerate(graph.ops)
    ]


def _layer(model: emit.Model, index: int, op: g.Op, m_id: int, alive: set[str], core: str) -> Layer:
    graph, calls = model.graph, model.calls_of(index)
    kernel = calls[0].kernel
    features = graph.source(op).features
    source, target = (
        (graph.frames_per_step(n), graph.tensors[n].features) for n in (op.inputs[0], op.output)
    )
    macc = op.macs(features) * target[0]
    worked_on = source if model.entry(op).sampled else target
    values = worked_on[0] * worked_on[1]
    return Layer(
        c_id=index,
        m_id=m_id,
        name=op.module,
        type=op.title,
        kernel=kernel,
        calls=len(calls),
        source=source,
        target=target,
        rate_hz=float(graph.target(op).rate),
        macc=macc,
        units=macc or values,
        unit="MAC" if macc else "value",
        floor=floors.of(op, kernel, len(calls), target[0], values, core),
        weights=sum(model.tables[name].nbytes for name in model.first_tables[index]),
        activations=_arena(model, {*op.inputs, op.output}),
        live=_arena(model, alive),
        state=sum(
            (2 * values + 3) // 4 * 4
            for values in (op.kept_values(features), op.state_values(features))
        ),
    )


def live_tensors(graph: g.Graph) -> list[set[str]]:
    """For each operator the tensors that exist while it runs: what it reads and writes, and what a
    later one still needs."""
    alive = memory.lifetimes(graph)
    return [
        {n for n, (first, last) in alive.items() if first <= i <= last}
        for i in range(len(graph.ops))
    ]


def _arena(model: emit.Model, tensors: Iterable[str]) -> int:
    """Bytes of the arena that these tensors cover; one place counts once, the caller's samples and
    results not at all."""
    spans = sorted(
        (
            model.plan.offsets[name],
            model.plan.offsets[name] + memory.tensor_bytes(model.graph, name),
        )
        for name in tensors
        if name in model.plan.offsets
    )
    covered = end = 0
    for first, last in spans:
        covered += max(0, last - max(first, end))
        end = max(end, last)
    return covered
