"""The streaming step as ONNX, in two forms: `float.onnx` and `qdq.onnx` (docs/spec/onnx.md)."""

from __future__ import annotations

from pathlib import Path

from compress import graph as g
from compress.artifacts import Folder
from compress.files import replace_atomically
from export.onnx import float_form, qdq_form


def make_onnx(graph: g.Graph, folder: Folder) -> Path:
    """Write both forms of an integer graph and the float graph beside it; returns the folder they
    are in.

    The same graphs give the same bytes. GraphError names the operator that cannot be exported, or
    could overflow.
    """
    real = g.load(folder.float_graph)
    return [make_form(form, folder) for form in (real, graph)][-1].parent


def make_form(graph: g.Graph, folder: Folder) -> Path:
    """Write the form of a float graph, `float.onnx`, or of an integer one, `qdq.onnx`; returns the
    file."""
    integer = graph.is_integer()
    model = qdq_form.write(graph) if integer else float_form.write(graph)
    path = folder.path / "onnx" / ("qdq.onnx" if integer else "float.onnx")
    replace_atomically(path, model.SerializeToString(deterministic=True))
    return path
