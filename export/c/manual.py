"""The manual of a network, with which its header begins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from compress import graph as g
from compress import tasks
from compress.graph import macs
from export.c.step import Model, begins_anew
from export.c.step_stack import debug_stack_bytes, stack_bytes
from export.version import GENERATOR

STATEMENT = "     "  # of a usage in the manual


def manual(model: Model) -> Iterator[str]:
    """Its lines, as text.manual() takes them: each may be too long."""
    name, upper, graph = model.identifier, model.identifier.upper(), model.graph
    yield f"{graph.name} {graph.provenance.get('precision', '')}: one step of the network, in C."
    yield f"Written by Tendon {GENERATOR}. Files {name}.*, kernels in nn/ (nn.h is their manual)."
    yield ""
    yield "Five lines:"
    yield f"{STATEMENT}{upper}_DEFINE(net);"
    yield f"{STATEMENT}static int16_t samples[{upper}_STEP_SAMPLES];"
    yield f"{STATEMENT}static int16_t out[{upper}_STEP_OUTPUTS];"
    yield f"{STATEMENT}read_the_next(samples, {upper}_STEP_SAMPLES); // yours"
    yield f"{STATEMENT}{name}_step(&net, samples, out); // and so on, from step to step"
    yield ""
    yield from _signal(graph)
    yield ""
    yield from _memory(model)


def _signal(graph: g.Graph) -> Iterator[str]:
    """What goes in, what comes out, and when."""
    wiring = tasks.of(graph).wiring(graph)
    rate, per_step = float(graph.input.rate), graph.samples_per_step
    yield (
        f"Samples     {rate:g} a second of {graph.input.features} values, {wiring.samples}. As"
        f" int16: the real value / {graph.input.scale:.9g}, rounded, held to"
        f" {graph.input.lo}..{graph.input.hi}."
    )
    yield f"Electrodes  {wiring.electrodes}."
    yield (
        f"Outputs     {graph.output.features} values a frame, {float(graph.output.rate):.6g} frames"
        f" a second: {wiring.outputs}. Real value = int16 * {graph.output.scale:.9g}."
    )
    yield (
        f"Latency     a step eats {_count(per_step, 'sample')}, {1000 * per_step / rate:.6g} ms,"
        f" and gives {_count(graph.chunk, 'frame')} with the last of them{_context(graph)}."
    )
    work = macs.per_step(graph)
    yield (
        f"Work        {work} multiply-accumulates a step, {work * rate / per_step / 1e6:.4g}"
        " million a second: one for each weight and frame, six for a complex state."
    )
    if graph.start_up:
        yield (
            f"Start-up    the first {_count(graph.start_up, 'frame')} of a stream mean nothing:"
            " they are made of samples that were not there."
        )


def _context(graph: g.Graph) -> str:
    """What a frame is made of besides, in words."""
    ahead = graph.provenance.get("lookahead") or 0
    # what only moves values forgets them again, even where its state begins with zeros
    remembers = any(op.recurrent and not op.copies_values for op in graph.ops)
    past = " and what the state remembers" if remembers else ""
    last = ", the last" if graph.chunk > 1 else ","
    said = f"{last} made of the newest {_count(samples_seen(graph), 'sample')}{past}"
    said *= not graph.windowed
    return said + (
        f"; its label is {ahead} samples back, for the network looks ahead" * bool(ahead)
    )


def samples_seen(graph: g.Graph) -> int:
    """Samples from the oldest to the newest that an output frame of a stream is made of, what is
    fed back aside."""
    back, period = {graph.input.name: Fraction(0)}, {graph.input.name: Fraction(1)}
    for op in graph.ops:
        oldest = max(back[name] for name in op.inputs)
        every = period[op.inputs[0]]
        back[op.output] = oldest + op.reach * every
        period[op.output] = every * op.stride
    return math.ceil(back[graph.output.name]) + 1


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def _memory(model: Model) -> Iterator[str]:
    """Where things lie, and who may call what when."""
    name, upper, plan = model.identifier, model.identifier.upper(), model.plan
    yield (
        f"Memory      {plan.state_bytes} bytes of state a stream, {plan.arena_bytes} of arena,"
        f" {model.table_bytes} of tables, which are const. No heap, no floating point."
    )
    yield (
        f"            {upper}_IN_STATE and _IN_ARENA below, and _IN_TABLES in {name}_tables.c"
        " choose the region of each."
    )
    yield "Alignment   state and arena 8 bytes (IN_STATE and IN_ARENA say so), samples and out 2,"
    yield "            better 4: kernels are faster where rows lie on words."
    yield (
        "Threads     no function keeps anything outside of what it is given. Streams with a state"
        " each may run interleaved, and share an arena if no two of them step at the same time; a"
        " stream is stepped by one thread at a time, interrupts included."
    )
    yield (
        f"Stack       {stack_bytes(model)} bytes for a step or the self-test on any Cortex-M, as"
        " gcc and clang build them with -Os and kernels with -O3 (nn.h says it kernel by kernel)."
        f" All at -O0: up to {debug_stack_bytes(model)}. Interrupts come on top: for each, 32 bytes"
        " and what its handler takes; 104 instead of 32 where floating-point registers are stacked"
        " too."
    )
    yield (
        f"Snapshot    {upper}_STATE_BYTES from self->state are all that a stream knows; copy them"
        " between two steps to go on later. They may go on in any build of the same"
        f" {upper}_VERSION and _GENERATOR: other boards, cores and compilers keep the same bytes,"
        " as long as the byte order is the same."
    )
    yield (
        f"Integrity   {name}_selftest() says whether tables and kernels compute what they must: the"
        f" CRC of the tables, then the words of three steps{_carried(model)}. What came before is"
        " zeros, so samples further back than three steps are not covered. It is one call, of the"
        " time of three steps and of about 45 instructions for each byte of the tables. Where a"
        f" watchdog is shorter, check {name}_tables[] in parts, in your own code:"
        f" {upper}_TABLES_CRC is the CRC of all in order."
    )


def _carried(model: Model) -> str:
    """What the self-test does with recurrent state, in words."""
    if not any(op.recurrent for op in model.graph.ops) or begins_anew(model.graph):
        return ""
    if any(group.counter is not None for group in model.plan.groups):
        return (
            ", of which the first stands for the last before recurrent state begins and the others"
            " carry that state"
        )
    return ", which carry recurrent state"
