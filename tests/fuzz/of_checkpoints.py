"""Checkpoints of every serialization, of a published network and of one's own."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import nn

from compress.errors import CheckpointError
from compress.frontend import checkpoint
from compress.frontend.families import build
from compress.frontend.own import weights
from compress.report import logs
from tests.fuzz.reader import Reader
from tests.regressions.small_network import SMALL

TOKENS = (
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"cos\nsystem\n", b"cbuiltins\neval\n", b"R", b"b"),
    *(b"h\x00", b"q\x00", b"(", b"t", b"]", b"}", b"\x85", b"\x81", b"Q", b"\x8a\xff", b"."),
    *(b"\x8b\xff\xff\xff\x7f", b"X\xff\xff\xff\x7f", b"r\xff\xff\xff\xff", b"J\xff\xff\xff\x7f"),
    *(b"${model_LF.d_model}", b"${oc.env:HOME}", b"n_layers", b"d_model", b"mlp_features"),
    *(b"p0\n", b"g0\n", b"cnumpy\ndtype\n", b"Vf4\n", b"I-1\n", b"I999999999999\n", b"L9L\n"),
    *(b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04", b"\x1b[2J", b"nan", b'"F32"', b"1" * 5000),
)


@functools.cache
def published() -> dict[str, Any]:
    """The content of a published network's checkpoint."""
    hyper_parameters = OmegaConf.create(SMALL | {"again": "${mlp_features}"})
    return {
        "state_dict": dict(build(SMALL).state_dict()),
        "hyper_parameters": dict(hyper_parameters.items()),
        "callbacks": {"best": torch.tensor(3.0), "where": Path("/data")},
    }


def new(path: Path) -> None:
    """As torch writes it."""
    torch.save(published(), path)


def old(path: Path) -> None:
    """The old serialization."""
    torch.save(published(), path, _use_new_zipfile_serialization=False)


def plain(path: Path) -> None:
    """A pickle by itself, with arrays inside of bytes."""
    path.write_bytes(pickle.dumps(published(), 4))


def first_protocol(path: Path) -> None:
    """The old serialization with a pickle of protocol 1."""
    torch.save(published(), path, pickle_protocol=1, _use_new_zipfile_serialization=False)


def text(path: Path) -> None:
    """NumPy's arrays in a pickle of protocol 0, which is text."""
    state = {key: value.numpy() for key, value in nn.Linear(3, 2).state_dict().items()}
    path.write_bytes(pickle.dumps({"state_dict": state}, 0))


def arrays(path: Path) -> None:
    """Arrays as torch writes them, of other types and orders too."""
    rows = nn.Linear(3, 2).state_dict()["weight"].numpy()
    state = {"weight": np.asfortranarray(rows, ">f8"), "bias": np.zeros(2, np.float16)}
    torch.save(state, path)


def safe(path: Path) -> None:
    """A network of one's own in safetensors."""
    header: dict[str, Any] = {}
    data = b""
    for key, value in nn.Linear(3, 2).state_dict().items():
        raw = value.numpy().tobytes()
        place = [len(data), len(data) + len(raw)]
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def load(path: Path) -> object:
    """What is said of the keys is one line each, and nothing that a terminal obeys."""
    logs.listen(logging.INFO)
    with contextlib.redirect_stderr(io.StringIO()) as said:
        found = checkpoint.load(path)
    assert all(line.isprintable() and len(line) < 2000 for line in said.getvalue().splitlines())
    return found


def own(path: Path) -> object:
    """The weights of a network of one's own."""
    return weights.load(nn.Linear(3, 2), path, weights.stored(path)[0], "net.py")


def _reader(kind: str, file: str, make: Any, read: Any = load) -> Reader:
    return Reader(f"checkpoint, {kind}", file, make, read, (CheckpointError,), TOKENS, 20.0)


READERS = (
    _reader("zip", "a.ckpt", new),
    _reader("old serialization", "a.ckpt", old),
    _reader("pickle", "a.ckpt", plain),
    _reader("old serialization of protocol 1", "a.ckpt", first_protocol),
    _reader("pickle of protocol 0", "a.pkl", text, own),
    _reader("arrays", "a.pt", arrays, own),
    _reader("safetensors", "a.safetensors", safe, own),
)
