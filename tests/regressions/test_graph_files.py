"""A damaged graph file is refused in one line, whatever it says; in a build folder it is made
again."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.lower import lower
from compress.graph import file
from tests.compress.test_graph import network


@pytest.fixture(scope="module")
def real() -> g.Graph:
    return lower(network())


@pytest.fixture(scope="module")
def content(real: g.Graph, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The members of a sound graph file."""
    path = tmp_path_factory.mktemp("graph") / "graph.npz"
    g.save(real, path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            archive.writestr(name, value)
    return path


def saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def put(*path: str | int, value: Any) -> Callable[[str], str]:
    """Another value at a place of the header."""

    def change(text: str) -> str:
        header = json.loads(text)
        at = header
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value
        return json.dumps(header)

    return change


HEADERS: dict[str, tuple[Callable[[str], str], str]] = {
    "a bad token": (lambda text: text.replace('"ops"', '"ops'), "expected JSON"),
    "NaN": (put("provenance", value={"x": float("nan")}), "NaN is no number of JSON"),
    "a number beyond": (lambda t: t.replace('"version": 4', '"version": 4e999'), "too large"),
    "digits": (lambda t: t.replace('"version": 4', '"version": ' + "4" * 9999), "expected JSON"),
    "nesting": (lambda text: "[" * 200_000, "nested hundreds of times"),
    "nesting of keys": (lambda text: '{"a":' * 200_000, "nested hundreds of times"),
    "a key twice": (lambda t: t.replace("{", '{"version": 4,', 1), "'version' stands there twice"),
    "no object": (lambda text: "[4]", "expected graph version 4"),
    "another version": (put("version", value=3), "expected graph version 4, found 3"),
    "no tensors": (put("tensors", value={}), "expected a list"),
    "a tensor twice": (lambda t: put("tensors", value=[json.loads(t)["tensors"][0]] * 2)(t), "two"),
    "rate 1/0": (put("tensors", 0, "rate", value="1/0"), "at 1/0"),
    "rate −1": (put("tensors", 0, "rate", value="-1"), "at -1"),
    "rate 1e9": (put("tensors", 0, "rate", value="1e999999999"), "at 1e999999999"),
    "rate 2000": (put("tensors", 0, "rate", value=2000), "expected str, found 2000"),
    "a shape of 10¹²": (put("tensors", 0, "features", value=10**12), "1000000000000 features"),
    "features of text": (put("tensors", 0, "features", value="32"), "expected int, found '32'"),
    "features of truth": (put("tensors", 0, "features", value=True), "expected int, found True"),
    "a segment too short": (put("tensors", 0, "segments", value=[[1]]), "damaged graph file"),
    "a name of lines": (put("tensors", 0, "name", value="a\nb\x1b[31m"), "expected str"),
    "no operators": (put("ops", value=[]), "expected operators"),
    "an unknown operator": (put("ops", 0, "op", value="Teleport"), "Teleport"),
    "an unknown field": (put("ops", 0, "colour", value=3), "unknown field colour"),
    "a field of another type": (put("ops", 0, "output", value=[1]), "expected str, found"),
    "no provenance": (put("provenance", value=3), "a provenance"),
    "another hash": (put("hash", value="0" * 64), "differs from the recorded 000000000000"),
    "a hash of lines": (put("hash", value="\n\n"), "differs from the recorded"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_says_nonsense_is_refused_in_one_line(
    case: str, content: dict[str, bytes], tmp_path: Path
) -> None:
    change, reason = HEADERS[case]
    header = change(content["graph.json"].decode()).encode()
    path = packed(tmp_path / "graph.npz", content | {"graph.json": header})
    refuses(path, reason)


def refuses(path: Path, reason: str) -> None:
    with pytest.raises(GraphError, match=reason) as refusal:
        g.load(path)
    said = str(refusal.value)
    assert said.startswith(f"{path}: ") and said.isprintable() and len(said) < 600


MEMBERS: dict[str, tuple[Callable[[np.ndarray], bytes], str]] = {
    "objects": (lambda a: saved(np.array([{}], object)), "pickled Python objects"),
    "text": (lambda a: saved(np.array(["a"])), "expected Array"),
    "NaN": (lambda a: saved(np.full_like(a, np.nan)), "expected Array"),
    "a wrong dtype": (lambda a: saved(a.astype(np.float16)), "damaged graph file"),
    "a wrong shape": (lambda a: saved(a[..., None, None]), "damaged graph file"),
    "terabytes": (
        lambda a: saved(a).replace(str(a.shape).encode(), b"(1000000000000,)")[:200],
        "claims|does not describe|header",
    ),
    "no array": (lambda a: b"junk", "expected an array of NumPy"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_an_array_that_is_none_of_its_field_is_refused(
    case: str, content: dict[str, bytes], tmp_path: Path
) -> None:
    change, reason = MEMBERS[case]
    name = next(name for name in content if name.endswith("weight.npy"))
    changed = change(np.load(io.BytesIO(content[name])))
    refuses(packed(tmp_path / "graph.npz", content | {name: changed}), reason)


def test_a_missing_array_and_one_that_is_there_twice_are_refused(
    content: dict[str, bytes], tmp_path: Path
) -> None:
    name = next(name for name in content if name.endswith("weight.npy"))
    refuses(packed(tmp_path / "less.npz", _without(content, name)), name)
    path = packed(tmp_path / "twice.npz", content)
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(path, "a") as archive,
    ):
        archive.writestr(name, content[name])
    refuses(path, "two of its arrays have one name")


def _without(content: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {key: value for key, value in content.items() if key != name}


def test_a_bomb_is_refused_unread(
    content: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "_LARGEST", 32 << 20)
    path = packed(tmp_path / "graph.npz", content | {"more.npy": bytes(64 << 20)})
    refuses(path, "expected up to 33554432 bytes")


@pytest.mark.parametrize("junk", [b"", b"PK\x03\x04", b"junk" * 99, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_graph_file_has_no_provenance(junk: bytes, tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    path.write_bytes(junk)
    refuses(path, "damaged graph file")
    assert g.provenance(path) == {}


def test_a_graph_whose_fields_fit_and_whose_hash_is_right_is_read(
    real: g.Graph, tmp_path: Path
) -> None:
    path = tmp_path / "graph.npz"
    g.save(dataclasses.replace(real, provenance={"key": "a"}), path)
    assert g.load(path).hash() == real.hash()
    assert g.provenance(path) == {"key": "a"}
