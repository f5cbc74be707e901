"""A board beside the integer reference, operator by operator: the first frame, layer and element
that differ, and what points at why.

Every operator's output is compared by its CRC-32 in every step. Where the first one differs, the
signal is replayed and its tensor fetched.
"""

from __future__ import annotations

import functools
import logging
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compress import graph as g
from compress.errors import TendonError
from compress.files import write_json
from compress.graph.samples import Initial, Signal, to_int16
from compress.interpreter.base import Tap
from compress.interpreter.integer import IntegerInterpreter
from compress.reading.words import counted
from compress.report.progress import Bar
from export import build
from export.c import names
from host import board_facts, tap
from host.board_facts import Place
from host.boards import Board, Reconnect, open_board
from host.engines import Artifacts, beginning
from host.resume import from_the_beginning

log = logging.getLogger(__name__)

Words = npt.NDArray[np.int16]
Crcs = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Difference:
    """Where a board first parts from the reference. Frame and second are of the stream, `expected`
    and `found` of the element."""

    step: int
    operator: int
    module: str
    type: str
    call: str  # in the C of the network
    shape: tuple[int, int]  # frames and features of one step
    frame: int
    second: float
    element: int
    expected: int
    found: int
    differing: int  # values of this step's tensor
    repeated: bool  # it came back when the signal was replayed
    facts: tuple[str, ...]


def run(made: Artifacts, board: str, port: str | None, signal: Signal) -> dict[str, Any]:
    """Build the image, stream whole steps of a signal, compare. Errors: those of building and of
    the link."""
    graph = made.integer
    if not len(signal.samples):
        raise TendonError(
            "the input is shorter than one step of " + counted(graph.samples_per_step, "sample")
        )
    image = build.make_tap_image(graph, made.folder, board)
    source = pass_of(image.parent / "project", graph)
    samples = to_int16(graph, np.asarray(signal.samples))

    def open_at(where: str | None) -> Board:
        return open_board(board, image, graph.hash(), port=where)

    @functools.cache
    def expected() -> Crcs:
        return reference_crcs(graph, samples, signal.initial)

    report = from_the_beginning(
        Reconnect(open_at, port, say=log.warning),
        lambda connected: compare(graph, connected, samples, source, signal.initial, expected),
        log.warning,
    )
    return {"model": graph.name, "precision": made.folder.precision, "board": board} | report


def compare(
    graph: g.Graph,
    board: Board,
    samples: Words,
    source: Path,
    initial: Initial | None = None,
    expected: Callable[[], Crcs] | None = None,
) -> dict[str, Any]:
    """int16 samples (whole steps, inputs) through a board with a tap, from the values `initial` if
    any. `source`: the C of its image; `expected`: gives `reference_crcs` of them."""
    hello = board.link.handshake()
    log.info("computing what every operator must put out")
    must = reference_crcs(graph, samples, initial) if expected is None else expected()
    place, steps = _first_wrong(board, samples, must, beginning(graph, initial))
    report: dict[str, Any] = {
        "graph": graph.hash(),
        "compiler": hello.compiler,
        "operators": len(graph.ops),
        "steps": steps,
        "seconds": steps * graph.chunk / float(graph.output.rate),
        "values": (
            steps
            * sum(
                graph.frames_per_step(op.output) * graph.tensors[op.output].features
                for op in graph.ops
            )
        ),
        "equal": place is None,
        "first_difference": None,
    }
    if place is not None:
        log.info("replaying the signal up to the first difference, to fetch that tensor")
        report["first_difference"] = asdict(_look(graph, board, samples, place, source, initial))
    return report


# --- where ----------------------------------------------------------------------------------------


def reference_crcs(graph: g.Graph, samples: Words, initial: Initial | None = None) -> Crcs:
    """(steps, operators): CRC-32 of what each operator must put out in each step, as it lies in
    memory."""
    columns: dict[str, list[int]] = {op.output: [] for op in graph.ops}

    def collect(op: g.Op, y: g.Array) -> None:
        steps = y[0].astype("<i2").reshape(-1, graph.frames_per_step(op.output) * y.shape[2])
        columns[op.output] += [zlib.crc32(step.tobytes()) for step in steps]

    _reference(graph, samples, initial, collect)
    return np.array([columns[op.output] for op in graph.ops], np.uint32).T


def _reference(graph: g.Graph, samples: Words, initial: Initial | None, see: Tap) -> None:
    machine = IntegerInterpreter(graph)
    machine.begin_with([Signal(samples, initial)])
    machine.run(samples[None], see)


def _first_wrong(
    board: Board, samples: Words, expected: npt.NDArray[np.uint32], begin: bytes | None
) -> tuple[Place | None, int]:
    """The first step with a difference, and how many steps were compared."""
    with Bar(total=len(expected), unit="step", desc="comparing", leave=False) as bar:
        for index, step in enumerate(tap.walk(board.link, samples, begin=begin)):
            bar.update()
            wrong = np.flatnonzero(step.crcs != expected[index])
            if len(wrong):
                return Place(index, wrong.tolist(), int(step.crcs[wrong[0]])), index + 1
    return None, len(expected)


def reference_tensors(
    graph: g.Graph, samples: Words, operator: int, initial: Initial | None = None
) -> tuple[Words, Words]:
    """(frames, features) of one operator in the last step of these samples, and in the step before
    (zero before the first)."""
    name = graph.ops[operator].output
    frames: list[g.Array] = []
    _reference(
        graph, samples, initial, lambda op, y: frames.append(y[0]) if op.output == name else None
    )
    whole = np.concatenate(frames).astype(np.int16)
    count = graph.frames_per_step(name)
    before = whole[-2 * count : -count] if len(whole) > count else np.zeros_like(whole[:count])
    return whole[-count:], before


# --- what -----------------------------------------------------------------------------------------


def _look(
    graph: g.Graph,
    board: Board,
    samples: Words,
    place: Place,
    source: Path,
    initial: Initial | None,
) -> Difference:
    """Fetch the first tensor that differs and compare it value by value."""
    index = place.operators[0]
    op, name = graph.ops[index], graph.ops[index].output
    until = samples[: (place.step + 1) * graph.samples_per_step]
    expected, before = reference_tensors(graph, until, index, initial)
    flat = tap.tensor(board.link, until, index, beginning(graph, initial))
    found = flat.reshape(expected.shape)
    repeated = zlib.crc32(flat.astype("<i2").tobytes()) == place.crc
    wrong = np.argwhere(found != expected)
    frame, element = (int(v) for v in wrong[0]) if len(wrong) else (0, 0)
    absolute = place.step * graph.frames_per_step(name) + frame
    return Difference(
        step=place.step,
        operator=index,
        module=op.module,
        type=type(op).__name__,
        call=call_of(source, index),
        shape=(expected.shape[0], expected.shape[1]),
        frame=absolute,
        second=absolute / float(graph.tensors[name].rate),
        element=element,
        expected=int(expected[frame, element]),
        found=int(found[frame, element]),
        differing=len(wrong),
        repeated=repeated,
        facts=(
            *board_facts.of_replay(place, repeated, len(wrong)),
            *board_facts.pattern(expected, found, before),
            *board_facts.of_place(graph, place),
            *board_facts.of_board(board),
        ),
    )


def call_of(source: Path, operator: int) -> str:
    """The kernel call of an operator in the C of a network, without what follows it; "" where
    there is none to be found."""
    try:
        found = re.search(
            rf"^ *(\w+\([^;]*\);)\s+TAP\({operator}, ",
            source.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    except OSError:
        return ""
    return re.sub(r"\s+", " ", found[1]) if found else ""


def pass_of(project: Path, graph: g.Graph) -> Path:
    """The file of a project in which the kernel calls of a network are."""
    return project / "model" / f"{names.identifier(graph.name)}.c"


# --- the report -----------------------------------------------------------------------------------


def text(report: dict[str, Any]) -> str:
    """The verdict, and of a difference everything that was found."""
    operators, steps = counted(report["operators"], "operator"), counted(report["steps"], "step")
    what = f"{operators} over {steps} ({report['seconds']:.3f} s)"
    head = (
        f"{report['model']} {report['precision']} on {report['board']}: {what},"
        f" {counted(report['values'], 'value')}"
    )
    d = report["first_difference"]
    if d is None:
        return f"{head}: all equal to the integer reference (by CRC-32)"
    rows = {
        "layer": (
            f"{d['module']} ({d['type']}, operator {d['operator']}, {d['shape'][0]} ×"
            f" {d['shape'][1]} values a step)"
        ),
        "frame": f"{d['frame']} ({d['second']:.3f} s), step {d['step']}",
        "element": (
            f"{d['element']}: expected {d['expected']}, found {d['found']}"
            if d["differing"]
            else ""
        ),
        "differing": (
            f"{d['differing']} of {d['shape'][0] * d['shape'][1]} values of this step"
            if d["differing"]
            else ""
        ),
        "call": d["call"],
        "replay": (
            "the same again"
            if d["repeated"]
            else "wrong in another way"
            if d["differing"]
            else "right"
        ),
        "built": report["compiler"],
    }
    lines = [
        f"{head} until the first difference",
        *(f"  {name:10} {content}" for name, content in rows.items() if content),
    ]
    return "\n".join([*lines, *(f"  - {fact}" for fact in d["facts"])])


def write(report: dict[str, Any], made: Artifacts) -> None:
    """build/<MODEL>/<PRECISION>/c/<BOARD>/diagnose.json"""
    path = made.folder.target(report["board"]) / "diagnose.json"
    write_json(path, report)
    print(f"wrote {path}")
