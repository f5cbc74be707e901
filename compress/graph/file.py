"""The graph file (docs/spec/graph-file.md) and the hash of a graph."""

from __future__ import annotations

import hashlib
import io
import json
import re
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
from compress.reading import text
from compress.reading.arrays import check_member, read_member
from compress.reading.text import UnreadableError
from compress.reading.words import one_line

FORMAT_VERSION = 4
_HEADER = "graph.json"
_LARGEST = 1 << 30  # bytes of all that a graph file holds, unpacked
_WIDEST = 1 << 24  # features of a tensor
_LONGEST = 2000  # characters of a name
_RATE = re.compile(r"[0-9]{1,12}(/0*[1-9][0-9]{0,11})?")


def save(graph: Graph, path: Path) -> None:
    """Write the graph file atomically; the same graph gives the same bytes."""
    header, arrays = _describe(graph)
    header["hash"] = graph.hash()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER), json.dumps(header, indent=1, sort_keys=True))
        for key in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[key]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), buffer.getvalue())
    replace_atomically(path, content.getvalue())


def load(path: Path) -> Graph:
    """Read a graph file and verify it; GraphError in one line when it is damaged, of another
    version or does not match its own hash, whatever its bytes are."""
    try:
        header, archive = _opened(path)
        with archive, np.errstate(all="ignore"):
            graph = _rebuild(header, archive)
            recorded, found = str(header.get("hash")), graph.hash()
            if found != recorded:
                raise UnreadableError(
                    f"content hash {found[:12]} differs from the recorded {recorded[:12]}"
                )
            return verify(graph)
    except FileNotFoundError as error:
        raise GraphError(f"{path}: no such graph; run `make quantize` first") from error
    except Exception as error:  # what operators and their checks meet in fields that do not fit
        said = one_line(error) or type(error).__name__
        raise GraphError(f"{path}: damaged graph file ({said}); quantize again") from error


def provenance(path: Path) -> dict[str, Any]:
    """What a graph file says it was made from, without reading or verifying the graph; nothing of a
    file that is not there, is damaged or of another version."""
    try:
        header, archive = _opened(path)
        archive.close()
        return dict(header["provenance"])
    except Exception:  # whatever zip and JSON readers meet in a damaged file
        return {}


def _opened(path: Path) -> tuple[dict[str, Any], zipfile.ZipFile]:
    """The header of a graph file of this version, and the archive that its arrays lie in."""
    archive = zipfile.ZipFile(path)
    try:
        if len(set(archive.namelist())) < len(archive.infolist()):
            raise UnreadableError("two of its arrays have one name")
        if sum(member.file_size for member in archive.infolist()) > _LARGEST:
            raise UnreadableError(f"expected up to {_LARGEST} bytes, found more")
        check_member(archive.getinfo(_HEADER), text.LIMIT)
        header = text.parsed(archive.read(_HEADER).decode())
        if not isinstance(header, dict) or header.get("version") != FORMAT_VERSION:
            found = header.get("version") if isinstance(header, dict) else "no header"
            raise UnreadableError(
                f"expected graph version {FORMAT_VERSION}, found {one_line(found, 40)}"
            )
        return header, archive
    except BaseException:
        archive.close()
        raise


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


# --- from a file, whatever it says ----------------------------------------------------------------


def _rebuild(header: dict[str, Any], archive: zipfile.ZipFile) -> Graph:
    tensors, initial = (_tensors(header[key]) for key in ("tensors", "initial"))
    ops = tuple(_operator(i, entry, archive) for i, entry in enumerate(_list(header["ops"])))
    if not ops or not isinstance(header["provenance"], dict):
        raise UnreadableError("expected operators and a provenance")
    return Graph(_name(header["name"]), tensors, ops, header["provenance"], initial=initial)


def _tensors(entries: Any) -> dict[str, Tensor]:
    made = [_tensor(entry) for entry in _list(entries)]
    found = {tensor.name: tensor for tensor in made}
    if len(found) < len(made):
        raise UnreadableError("two tensors have one name")
    return found


def _tensor(entry: Any) -> Tensor:
    features, rate = _fits(entry["features"], "int"), _fits(entry["rate"], "str")
    if not 0 < features <= _WIDEST or not _RATE.fullmatch(rate):
        raise UnreadableError(f"a tensor of {features} features at {one_line(rate, 40)}")
    segments = tuple(
        Segment(*(_fits(v, of) for v, of in zip(s, ("int", "float", "int", "int"), strict=True)))
        for s in _list(entry["segments"])
    )
    return Tensor(_name(entry["name"]), features, Fraction(rate), segments)


def _operator(index: int, entry: Any, archive: zipfile.ZipFile) -> Op:
    """Its fields, each of the type that its operator says; arrays lie in the archive."""
    kind = OPERATORS[_fits(entry["op"], "str")]
    found: dict[str, Any] = {}
    for f in fields(kind):
        if f.name in entry:
            value = entry[f.name]
        elif f.metadata.get("later"):
            continue
        else:
            value = read_member(archive, archive.getinfo(f"{index}.{f.name}.npy"))
        try:
            found[f.name] = _fits(value, str(f.type))
        except UnreadableError as error:
            raise UnreadableError(f"operator {index}, {f.name}: {error}") from error
    unknown = sorted(set(entry) - set(found) - {"op"})
    if unknown:
        raise UnreadableError(f"operator {index}: unknown field {one_line(unknown[0], 40)}")
    return kind(**found)


def _fits(value: Any, of: str) -> Any:
    """A value of the type that stands in the annotation of its field."""
    if of.startswith("tuple["):
        inner = of.removeprefix("tuple[").removesuffix(", ...]")
        return tuple(_fits(part, inner) for part in _list(value))
    found = type(value)
    fits = {
        "int": found is int and abs(value) < 1 << 63,
        "float": found is float or (found is int and abs(value) < 1 << 63),
        "bool": found is bool,
        "str": found is str and value == one_line(value, _LONGEST),
        "Array": found is np.ndarray and value.dtype.kind in "biufc" and np.isfinite(value).all(),
    }
    if not fits.get(of, False):
        raise UnreadableError(f"expected {of}, found {one_line(repr(value), 60)}")
    return value


def _name(value: Any) -> str:
    return str(_fits(value, "str"))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableError(f"expected a list, found {one_line(repr(value), 60)}")
    return value
