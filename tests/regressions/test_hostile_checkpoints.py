"""A checkpoint that means harm, or is damaged, is refused in one line, within bounds of time and
memory, and nothing of it runs."""

from __future__ import annotations

import json
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.errors import CheckpointError
from compress.frontend import checkpoint
from compress.frontend.families import build
from tests.conftest import ROOT
from tests.regressions.small_network import SMALL, low
from tests.regressions.stored_pickles import (
    archive,
    call,
    instance,
    mapping,
    pickled,
    plain,
    tensor,
)

# Reads every file of a folder with the memory and time of a phone call, and says what came of each.
CHILD = """
import json, resource, sys
from pathlib import Path
from compress.errors import TendonError
from compress.frontend import checkpoint
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (240, 240))
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        checkpoint.load(path)
        said = "loaded"
    except TendonError as error:
        said = str(error)
    except BaseException as error:
        said = f"TRACEBACK {error!r}"
    print(json.dumps([path.name, said]), flush=True)
"""
HUGE = 10**12


def lightning(hyper: dict[str, bytes], weights: dict[str, bytes]) -> bytes:
    return mapping({"state_dict": mapping(weights), "hyper_parameters": mapping(hyper)})


def small(**changes: bytes) -> dict[str, bytes]:
    """The hyper-parameters of a network, with some as opcodes."""
    return {k: plain(v) for k, v in SMALL.items()} | changes


def opcodes(**changes: Any) -> bytes:
    return plain(low(**changes))


def doubled(times: int, first: bytes = b"]") -> bytes:
    """A list of twice a list of twice …: 2 ** times values in a few opcodes each."""
    return first + b"q\x010]h\x01ah\x01a" * times


def nested(times: int) -> bytes:
    return b"]" * times + b"a" * (times - 1)


def node(value: bytes) -> bytes:
    return instance("omegaconf.nodes", "AnyNode", mapping({"_val": value}))


def config(**entries: str) -> bytes:
    content = mapping({key: node(plain(value)) for key, value in entries.items()})
    return instance("omegaconf.dictconfig", "DictConfig", mapping({"_content": content}))


def interpolations(times: int) -> dict[str, str]:
    """${a}${a} of ${b}${b} …"""
    chain = {f"k{i}": f"${{k{i + 1}}}${{k{i + 1}}}" for i in range(times)}
    return chain | {f"k{times}": "0123456789"}


def itself(opening: bytes, closing: bytes) -> bytes:
    """A container that holds itself."""
    return opening + b"q\x01" + closing


def expanded() -> bytes:
    """A network of 10 ** 12 values, all of them one number."""
    wide = {**SMALL, "model_LF": {}}
    wide["model_LF"] = SMALL["model_LF"] | {"d_model": 500_000}
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in build(wide).state_dict().items()}
    weights = {k: tensor(shape, (0,) * len(shape)) for k, shape in shapes.items()}
    return lightning({k: plain(v) for k, v in wide.items()}, weights)


def old_file(count: int) -> bytes:
    """One of the old serialization whose storage claims to have so many elements."""
    system = {"protocol_version": 1001, "little_endian": True}
    parts = [0x1950A86A20F9469CFC6C, 1001, system]
    start = b"".join(pickle.dumps(part, 2) for part in parts)
    body = pickled(lightning(small(), {"model.6.bias": tensor((99,), (1,), elements=99)}))
    return start + body + pickle.dumps(["0"], 2) + struct.pack("<q", count) + bytes(16)


def claimed(path: Path, size: int) -> None:
    """An archive whose directory claims that an entry has so many bytes."""
    archive(path, lightning(small(), {}))
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x01\x02", 0, content.rfind(b"archive/data/0"))
    struct.pack_into("<LL", content, place + 20, size, size)
    path.write_bytes(content)


def overlapping(path: Path) -> None:
    """An archive with two entries of the same bytes."""
    archive(path, lightning(small(), {}))
    content = bytearray(path.read_bytes())
    first = content.find(b"PK\x01\x02")
    last = content.rfind(b"PK\x01\x02")
    content[last + 42 : last + 46] = content[first + 42 : first + 46]
    path.write_bytes(content)


def deflated(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickled(lightning(small(), {})))
        file.writestr("archive/data/0", bytes(1 << 26))


def safe(path: Path, **said: Any) -> None:
    """A file of safetensors that says so of a tensor."""
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | said
    header = json.dumps({"a": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


bias = {"model.6.bias": tensor((99,), (0,))}
ARCHIVES: dict[str, Callable[[], bytes]] = {
    "beyond its storage": lambda: lightning(small(), {"x": tensor((HUGE,), (1,))}),
    "offset beyond": lambda: lightning(small(), {"x": tensor((1,), (1,), offset=HUGE)}),
    "negative stride": lambda: lightning(small(), {"x": tensor((2,), (-1,))}),
    "negative size": lambda: lightning(small(), {"x": tensor((-2,), (1,))}),
    "storage larger than its entry": lambda: lightning(
        small(), {"x": tensor((HUGE,), (1,), elements=HUGE)}
    ),
    "expanded": lambda: lightning(small(), {"model.6.bias": tensor((HUGE, HUGE), (0, 0))}),
    "expanded network": expanded,
    "many sizes": lambda: lightning(small(), {"x": tensor((1,) * 100_000, (0,) * 100_000)}),
    "doubled beside": lambda: lightning(small(x=doubled(60)), bias),
    "doubled inside": lambda: lightning(small(offsets=doubled(60)), bias),
    "doubled weights": lambda: lightning(small(), {"model.6.bias": doubled(60)}),
    "doubled key": lambda: lightning(small(x=b"}" + b")" + b"q\1h\1\x86" * 60 + b"Ns"), bias),
    "deep beside": lambda: lightning(small(x=nested(100_000)), bias),
    "deep inside": lambda: lightning(small(model_LF=nested(100_000)), bias),
    "deep weights": lambda: lightning(small(), {"model.6.bias": nested(100_000)}),
    "deep whole": lambda: nested(100_000),
    "deep key": lambda: lightning(small(x=b"})" + b"\x85" * 100_000 + b"Ns"), bias),
    "list in itself": lambda: lightning(small(x=itself(b"]", b"h\1a")), bias),
    "dict in itself": lambda: lightning(small(model_LF=itself(b"}", b"U\1kh\1s")), bias),
    "node in itself": lambda: lightning(
        small(model_LF=b"comegaconf.nodes\nAnyNode\n)\x81q\1}U\4_valh\1sb"), bias
    ),
    "parent of itself": lambda: lightning(
        small(x=b"comegaconf.nodes\nAnyNode\n)\x81q\1}U\7_parenth\1sb"), bias
    ),
    "large number": lambda: lightning(small(x=b"\x8b\0\0\1\0" + b"\x7f" * 65536), bias),
    "number as text": lambda: lightning(small(x=b"I" + b"9" * 100_000 + b"\n"), bias),
    "large size": lambda: lightning(small(model_LF=opcodes(d_model=10**300)), bias),
    "many layers": lambda: lightning(small(model_LF=opcodes(n_layers=10**9)), bias),
    "wide": lambda: lightning(small(model_LF=opcodes(d_model=10**9)), bias),
    "doubled text": lambda: lightning(
        small(
            model_LF=opcodes(d_model="${k0}"),
            **{k: plain(v) for k, v in interpolations(60).items()},
        ),
        bias,
    ),
    "doubled nodes": lambda: lightning(small(offsets=config(**interpolations(60))), bias),
    "cycle": lambda: lightning(small(norm=plain("${pooling}"), pooling=plain("${norm}")), bias),
    "of itself": lambda: lightning(small(norm=plain("${norm}")), bias),
    "long interpolation": lambda: lightning(small(norm=plain("${a}" * 100_000)), bias),
    "long path": lambda: lightning(small(norm=plain("${" + "a." * 100_000 + "}")), bias),
    "copied text": lambda: lightning(
        small(
            x=b"]X\0\0\x10\0"
            + b"a" * (1 << 20)
            + b"q\1("
            + 9000 * call("_codecs", "encode", b"h\1")
            + b"e"
        ),
        bias,
    ),
    "copied path": lambda: lightning(
        small(x=b"U\x80" + b"a" * 128 + b"q\1" + call("pathlib", "PosixPath", b"h\1" * 10_000)),
        bias,
    ),
    "copied dict": lambda: lightning(
        small(
            x=plain([["k", 1]] * 100_000)
            + b"q\1]q\2("
            + 3000 * call("collections", "OrderedDict", b"h\1")
            + b"e0"
        ),
        bias,
    ),
    "colliding keys": lambda: lightning(
        small(x=plain({k * (2**61 - 1): None for k in range(1, 5000)})), bias
    ),
    "many opcodes": lambda: lightning(small(x=b"N0" * 6_000_000 + b"N"), bias),
    "memo": lambda: lightning(small(x=b"Nr\xff\xff\xff\xff"), bias),
    "file in itself": lambda: lightning(
        small(x=call("torch.storage", "_load_from_bytes", plain(old_file(1)))), bias
    ),
    "code": lambda: lightning(small(x=call("os", "system", plain("touch owned"))), bias),
    "code by another name": lambda: lightning(
        small(
            x=call("builtins", "getattr", b"cos\nsystem\n", plain("__call__"))
            + plain(("x",))
            + b"R"
        ),
        bias,
    ),
    "long key": lambda: lightning(small(), {"a." * 1_000_000: plain(1)}),
    "escapes": lambda: lightning(small(), {"\x1b[31mred\nline": tensor((1,), (1,))}),
    "escapes in a class": lambda: lightning(small(x=call("\x1b[2J", "\x1b]0;x\x07")), bias),
    "lone surrogate": lambda: mapping({"\ud800": plain(1)}),
}
FILES: dict[str, Callable[[Path], object]] = {
    "deflated": deflated,
    "claims terabytes": lambda path: claimed(path, 0xFFFFFFF0),
    "overlapping": overlapping,
    "old with a huge storage": lambda path: path.write_bytes(old_file(1 << 60)),
    "old with a negative storage": lambda path: path.write_bytes(old_file(-1)),
    "old with a short storage": lambda path: path.write_bytes(old_file(1)),
    "pickle": lambda path: path.write_bytes(pickled(lightning(small(x=doubled(60)), bias))),
    "safe huge": lambda path: safe(path, shape=[HUGE]),
    "safe beyond": lambda path: safe(path, data_offsets=[0, HUGE]),
    "safe backwards": lambda path: safe(path, data_offsets=[4, 0]),
    "safe text": lambda path: safe(path, shape="x"),
    "safe deep": lambda path: path.write_bytes(struct.pack("<Q", 100_000) + b"{" + b"[" * 100_000),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each file, by a process with limits."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, make in ARCHIVES.items():
        archive(folder / name, make())
    for name, write in FILES.items():
        write(folder / name)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 0, f"ended after {list(found)[-1:]}: {done.stderr[-500:]}"
    return found


@pytest.mark.parametrize("name", [*ARCHIVES, *FILES])
def test_a_hostile_file_is_refused_in_one_line_and_in_bounds(
    name: str, said: dict[str, str]
) -> None:
    found = said[name]
    assert "TRACEBACK" not in found and found != "loaded"
    assert len(found) < 1200 and "\n" not in found and found.isprintable(), found


def test_nothing_of_a_checkpoint_runs(said: dict[str, str], tmp_path: Path) -> None:
    assert "beyond the allow-list ('os.system')" in said["code"]
    assert not (ROOT / "owned").exists()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Good files of each kind."""
    folder, network = tmp_path_factory.mktemp("good"), build(SMALL)
    weights = dict(network.state_dict())
    whole = {"state_dict": weights, "hyper_parameters": SMALL}
    torch.save(whole, folder / "new")
    torch.save(whole, folder / "old", _use_new_zipfile_serialization=False)
    (folder / "pickle").write_bytes(pickle.dumps(whole))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Some bytes flipped, cut out, doubled or replaced by those from elsewhere, mostly where the
    pickle is."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        most = chance.choice((500, 30_000, len(changed)))
        at, size = chance.randrange(min(most, len(changed))), chance.choice((1, 4, 100))
        kind = chance.randrange(4)
        if kind == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del changed[at : at + size]
        else:
            start = chance.randrange(len(changed))
            place = slice(at, at + size) if kind == 2 else slice(at, at)
            changed[place] = changed[start : start + size]
    return bytes(changed)


@pytest.mark.parametrize("kind", ["new", "old", "pickle"])
def test_a_damaged_checkpoint_is_refused_in_one_line_or_loads(
    kind: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    chance, path, refused = random.Random(7), tmp_path / "damaged.ckpt", 0
    for _ in range(60):
        path.write_bytes(mutated(good[kind], chance))
        try:
            checkpoint.load(path)
        except CheckpointError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1500
    assert refused > 20
