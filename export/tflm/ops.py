"""The one table of this format: integer operator -> how a TFLite file says it, which TFLite-Micro
then runs, or a reason why no project is written: the kernel that is missing there.

A file says itself which TFLite operators it uses; the resolver is written from it (operators.py),
which knows every kernel that TFLite-Micro has for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compress import graph as g
from compress.errors import GraphError
from export.tflite.ops import TABLE as TFLITE

OWN: Mapping[type[g.Op], str] = {  # what a TFLite file says, and this runtime does not run
    g.IntIntegrate: (
        "every kernel is there, but it begins with an extra input of the graph, and nothing around"
        " the interpreter sets one"
    ),
    g.IntStep: "its kernels GREATER_EQUAL and LESS take no 16-bit values",
}
TABLE: Mapping[type[g.Op], Any] = {**TFLITE, **OWN}


def refuse(graph: g.Graph) -> None:
    """GraphError for a network that the project cannot run, with what can.

    The runtime around the interpreter hands out one frame a step, and sets no extra input.
    """
    for op in graph.ops:
        answer = TABLE.get(type(op), "it is not an operator of integer graphs that it knows")
        if isinstance(answer, str):
            written = not isinstance(TFLITE.get(type(op), ""), str)
            raise _refused(graph, f"{op.module}: {type(op).__name__}", written, f": {answer}")
    if graph.chunk > 1:
        raise _refused(graph, f"{graph.chunk} frames a step", True)


def _refused(graph: g.Graph, what: str, written: bool, why: str = "") -> GraphError:
    advice = "FORMAT=c runs it" + (", FORMAT=tflite writes its step" if written else "")
    return GraphError(f"{graph.name}: {what} has no FORMAT=tflm project yet; {advice}{why}")
