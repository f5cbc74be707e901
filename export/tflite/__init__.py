"""The integer graph as `.tflite` files for LiteRT and TFLite-Micro: 16-bit activations, 8-bit
weights (docs/spec/tflite.md)."""

from __future__ import annotations

from pathlib import Path

from compress import graph as g
from compress.artifacts import Folder
from compress.errors import GraphError
from compress.files import replace_atomically
from export.tflite import lint
from export.tflite.lowering import Lowering
from export.tflite.model import File
from export.tflite.ops import TABLE
from export.version import GENERATOR

FORMS = {"step.tflite": True, "step_io.tflite": False}  # file -> state in resource variables


def make_tflite(graph: g.Graph, folder: Folder) -> Path:
    """Write both forms of the step, each proven by the lint; returns the one with resource
    variables."""
    out = folder.path / "tflite"
    contents = {name: step_bytes(graph, variables) for name, variables in FORMS.items()}
    for name, content in contents.items():
        replace_atomically(out / name, content)
    return out / "step.tflite"


def step_bytes(graph: g.Graph, variables: bool) -> bytes:
    """One step of the network as a `.tflite` that passes the lint; GraphError names what cannot be
    written."""
    content = step_file(graph, variables).finish()
    lint.lint(content, graph.name)
    return content


def step_file(graph: g.Graph, variables: bool) -> File:
    """The same before it becomes bytes; they are for the lint, whoever asks for them."""
    _refuse_narrow(graph)
    file = File(f"{graph.name}: one step, written by Tendon {GENERATOR}", variables)
    Lowering(graph, file, TABLE).run()
    for name, text in (("model", graph.name), ("graph", graph.hash()), ("generator", GENERATOR)):
        file.note(f"tendon.{name}", text)
    return file


def _refuse_narrow(graph: g.Graph) -> None:
    """8-bit activations are none of a file of 16-bit tensors."""
    for op in graph.ops:
        tensor = graph.target(op)
        if any(s.lo in (0, g.INT8[0]) and s.hi == g.INT8[1] for s in tensor.segments):
            raise GraphError(
                f"{op.module}: {type(op).__name__} with values {tensor.lo}…{tensor.hi} has no"
                " TFLite form; TFLite files take 16-bit activations: PRECISION=w8a16"
            )
