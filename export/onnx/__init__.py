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
    out = folder.path / "onnx"
    quantized, real = qdq_form.write(graph), float_form.write(g.load(folder.float_graph))
    replace_atomically(out / "float.onnx", real.SerializeToString(deterministic=True))
    replace_atomically(out / "qdq.onnx", quantized.SerializeToString(deterministic=True))
    return out
