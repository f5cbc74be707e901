"""The graph file (SPEC.md part 2) and the hash of a graph."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import GraphError
from compress.files import replace_atomically
from compress.graph.graph import Graph
from compress.graph.verify import verify
from compress.ops import OPERATORS, Array, Op, Segment, Tensor

FORMAT_VERSION = 4


def save(graph: Graph, path: Path) -> None:
    """Write the graph file atomically; the same graph gives the same bytes."""
    header, arrays = _describe(graph)
    header["hash"] = graph.hash()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            zipfile.ZipInfo("graph.json"), json.dumps(header, indent=1, sort_keys=True)
        )
        for key in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[key]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), buffer.getvalue())
    replace_atomically(path, content.getvalue())


def load(path: Path) -> Graph:
    """Read a graph file and verify it; GraphError when it is damaged, of another version or does
    not match its own hash."""
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("graph.json"))
            if header.get("version") != FORMAT_VERSION:
                raise GraphError(
                    f"{path}: expected graph version {FORMAT_VERSION}, found"
                    f" {header.get('version')}; quantize again"
                )
            graph = _rebuild(header, archive)
            recorded, found = str(header["hash"]), graph.hash()
    except FileNotFoundError as error:
        raise GraphError(f"{path}: no such graph; run `make quantize` first") from error
    except GraphError:
        raise
    except Exception as error:  # whatever zip, JSON and array readers meet in a damaged file
        raise GraphError(
            f"{path}: damaged graph file ({type(error).__name__}: {error}); quantize again"
        ) from error
    if found != recorded:
        raise GraphError(
            f"{path}: content hash {found[:12]} differs from the recorded {recorded[:12]}; quantize"
            " again"
        )
    return verify(graph)


def provenance(path: Path) -> dict[str, Any]:
    """What a graph file says it was made from, without reading or verifying the graph; nothing of a
    file that is not there, is damaged or of another version."""
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("graph.json"))
        return dict(header["provenance"]) if header["version"] == FORMAT_VERSION else {}
    except Exception:  # whatever zip and JSON readers meet in a damaged file
        return {}


def digest(graph: Graph) -> str:
    """SHA-256 over all that decides what a graph computes and what its integers mean.

    Tensors count by their place and operators by their `code`: names, module paths, provenance, the
    name of the network and of classes do not.
    """
    order = [graph.input.name, *(op.output for op in graph.ops)]
    begins = list(dict.fromkeys(name for op in graph.ops for name in op.initial_names))
    place = {name: index for index, name in enumerate(order)}
    place |= {name: -1 - index for index, name in enumerate(begins)}
    sha = hashlib.sha256()
    header: list[Any] = [
        _of_tensor(tensor)
        for tensor in (
            *(graph.tensors[name] for name in order),
            *(graph.initial[name] for name in begins),
        )
    ]
    arrays: dict[str, Array] = {}
    for index, op in enumerate(graph.ops):
        entry, tables = _of_operator(op)
        del entry["module"]
        for key in op.name_fields:
            names = entry[key]
            entry[key] = place[names] if isinstance(names, str) else [place[n] for n in names]
        header.append(entry)
        arrays |= {f"{index}.{key}": value for key, value in tables.items()}
    sha.update(json.dumps(header, sort_keys=True).encode())
    for key, value in arrays.items():
        value = np.ascontiguousarray(value)
        sha.update(f"{key}{value.dtype.str}{value.shape}".encode())
        sha.update(value.tobytes())
    return sha.hexdigest()


def _of_operator(op: Op) -> tuple[dict[str, Any], dict[str, Array]]:
    """Its fields as JSON, in the order of their names, and those that are arrays; without those
    that came later and say nothing (`ops.base.later`)."""
    entry: dict[str, Any] = {"op": op.code}
    arrays: dict[str, Array] = {}
    for f in sorted(fields(op), key=lambda f: f.name):
        value = getattr(op, f.name)
        if f.metadata.get("later") and value == f.default:
            continue
        if isinstance(value, np.ndarray):
            arrays[f.name] = value
        else:
            entry[f.name] = value
    return entry, arrays


def _of_tensor(tensor: Tensor) -> dict[str, Any]:
    segments = [[s.features, s.scale, s.lo, s.hi] for s in tensor.segments]
    return {"features": tensor.features, "rate": str(tensor.rate), "segments": segments}


def _describe(graph: Graph) -> tuple[dict[str, Any], dict[str, Array]]:
    ops: list[dict[str, Any]] = []
    arrays: dict[str, Array] = {}
    for index, op in enumerate(graph.ops):
        entry, tables = _of_operator(op)
        ops.append(entry)
        arrays |= {f"{index}.{key}": value for key, value in tables.items()}
    header = {
        "version": FORMAT_VERSION,
        "name": graph.name,
        "tensors": [{"name": t.name} | _of_tensor(t) for t in graph.tensors.values()],
        "initial": [{"name": n} | _of_tensor(t) for n, t in graph.initial.items()],
        "ops": ops,
        "provenance": graph.provenance,
    }
    return header, arrays


def _rebuild(header: dict[str, Any], archive: zipfile.ZipFile) -> Graph:
    tensors = {t["name"]: _tensor(t) for t in header["tensors"]}
    initial = {t["name"]: _tensor(t) for t in header["initial"]}
    ops = []
    for index, entry in enumerate(header["ops"]):
        kind = OPERATORS[entry.pop("op")]
        entry |= {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        for f in fields(kind):
            if f.name not in entry and not f.metadata.get("later"):
                with archive.open(f"{index}.{f.name}.npy") as file:
                    entry[f.name] = np.lib.format.read_array(
                        io.BytesIO(file.read()), allow_pickle=False
                    )
        ops.append(kind(**entry))
    return Graph(header["name"], tensors, tuple(ops), header["provenance"], initial=initial)


def _tensor(entry: dict[str, Any]) -> Tensor:
    segments = tuple(Segment(*s) for s in entry["segments"])
    return Tensor(entry["name"], entry["features"], Fraction(entry["rate"]), segments)
