"""Reading and writing checkpoints in the format their authors publish (PyTorch Lightning `.ckpt`).

A checkpoint is data from somewhere else: it is read with weights-only unpickling and the short list
of harmless classes below, its zip checksums are verified first, and its tensors must fit the
network exactly.
"""

from __future__ import annotations

import collections
import io
import pickle
import re
import typing
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode
from torch import nn

from compress.errors import CheckpointError
from compress.files import replace_atomically, sha256
from compress.frontend.families import build, family_of, name_of
from compress.frontend.families.record import Family

if TYPE_CHECKING:
    from compress.graph import Graph

# What real checkpoints hold beside tensors: OmegaConf containers and the plain types inside them.
ALLOWED: list[Any] = [
    DictConfig,
    ListConfig,
    ContainerMetadata,
    Metadata,
    AnyNode,
    collections.defaultdict,
    collections.OrderedDict,
    typing.Any,
    dict,
    list,
    int,
    float,
    str,
    bool,
]

SHOWN = 10  # differences in a message


@dataclass(frozen=True)
class Checkpoint:
    """A network in eval mode, the name of its published configuration (or "custom"), and where it
    came from."""

    model: Any  # as its family builds it
    name: str
    hyper_parameters: dict[str, Any]
    sha256: str

    @property
    def family(self) -> Family:
        """The record of the published family that it belongs to."""
        return family_of(self.hyper_parameters)

    @property
    def task(self) -> str:
        """The task that the network is for."""
        return self.family.task


def load(path: Path) -> Checkpoint:
    """Read a Lightning checkpoint strictly; CheckpointError says what was expected and found."""
    raw = _contents(path)
    hyper_parameters = {str(k): plain(v) for k, v in plain(raw["hyper_parameters"]).items()}
    try:
        model = build(hyper_parameters)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{path}: hyper_parameters cannot be used: {type(error).__name__}: {error}"
        ) from error
    load_strictly(model, raw["state_dict"], path)
    return Checkpoint(model.eval(), name_of(hyper_parameters), hyper_parameters, sha256(path))


def task_of(path: Path) -> str:
    """The task of a checkpoint's network, by its hyper-parameters alone; CheckpointError as
    `load`."""
    return family_of(
        {str(k): plain(v) for k, v in plain(_contents(path)["hyper_parameters"]).items()}
    ).task


def _contents(path: Path) -> dict[str, Any]:
    """The checkpoint's own entries, weights and hyper-parameters among them."""
    raw = read(path)
    for key in ("state_dict", "hyper_parameters"):
        if not isinstance(raw, dict) or key not in raw:
            found = ", ".join(map(str, raw)) if isinstance(raw, dict) else type(raw).__name__
            raise CheckpointError(
                f"{path}: expected a Lightning checkpoint with {key!r}, found {found}"
            )
    return raw


def save(
    path: Path,
    model: nn.Module,
    hyper_parameters: dict[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint that `load` and the published code read: weights and hyper-parameters, no
    optimizer state.

    With `dtype` torch.float16 it has half the size; both readers cast the values back to float32.
    CheckpointError when a weight is beyond what the type holds.
    """
    try:
        replace_atomically(path, content(model, hyper_parameters, dtype))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def content(
    model: nn.Module, hyper_parameters: dict[str, Any], dtype: torch.dtype = torch.float32
) -> bytes:
    """The bytes of such a checkpoint, the same for the same weights."""
    written = io.BytesIO()
    torch.save(
        {
            "epoch": 0,
            "global_step": 0,
            "pytorch-lightning_version": "1.8.6",
            "state_dict": _stored(model, dtype),
            "hyper_parameters": hyper_parameters,
        },
        written,
    )
    return written.getvalue()


def _stored(model: nn.Module, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The state_dict with its floating tensors in `dtype`; keys that share storage go on sharing
    it."""
    casts: dict[int, torch.Tensor] = {}
    stored = {}
    for key, value in model.state_dict().items():
        if value.is_floating_point() and value.dtype != dtype:
            value = casts.setdefault(value.data_ptr(), value.to(dtype))
            if not torch.isfinite(value).all():
                raise CheckpointError(
                    f"{key}: expected values that {dtype} holds; store it in float32"
                )
        stored[key] = value
    return stored


def read(path: Path) -> Any:
    """What a checkpoint holds, weights and plain values alone; CheckpointError says why not."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path}: expected a PyTorch zip archive; the file is damaged, truncated or something"
            " else"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(
                f"{path}: checksum of {damaged} does not match its content: the file is damaged"
            )
        with torch.serialization.safe_globals(ALLOWED):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        reason = asked[1] if asked else _first_line(error)
        raise CheckpointError(
            f"{path}: refused: it asks for code beyond the allow-list ({reason}), as a whole"
            " pickled module does; write weights alone with torch.save(network.state_dict(), path)"
        ) from error
    except (
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        OSError,
        NotImplementedError,
    ) as error:
        raise CheckpointError(
            f"{path}: cannot be read: {type(error).__name__}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    """What an error says in its first line, without the codes that make letters bold."""
    return re.sub(r"\x1b\[[0-9;]*m", "", next(iter(str(error).splitlines()), "")).strip()


def plain(value: Any) -> Any:
    """OmegaConf containers as dicts and lists."""
    return (
        OmegaConf.to_container(value, resolve=True)
        if isinstance(value, DictConfig | ListConfig)
        else value
    )


def load_strictly(
    model: nn.Module, tensors: Any, path: Path, whose: str = "its own hyper-parameters"
) -> None:
    """Put the entries of a state_dict into a network; CheckpointError names every one that does not
    fit it exactly."""
    expected = model.state_dict()
    if not isinstance(tensors, dict):
        raise CheckpointError(
            f"{path}: state_dict: expected a dict, found {type(tensors).__name__}"
        )
    problems = [f"missing {k} {tuple(v.shape)}" for k, v in expected.items() if k not in tensors]
    problems += [f"extra {k}" for k in tensors if k not in expected]
    for key, value in expected.items():
        found = tensors.get(key)
        if isinstance(found, torch.Tensor) and found.shape != value.shape:
            problems.append(
                f"{key}: expected shape {tuple(value.shape)}, found {tuple(found.shape)}"
            )
        elif isinstance(found, torch.Tensor) and not _plain_numbers(found):
            problems.append(f"{key}: expected plain real numbers, found {_kind_of(found)}")
        elif isinstance(found, torch.Tensor) and not torch.isfinite(found.double()).all():
            problems.append(f"{key}: holds NaN or infinite values")
        elif found is not None and not isinstance(found, torch.Tensor):
            problems.append(f"{key}: expected a tensor, found {type(found).__name__}")
    problems += _disagreements(model, tensors)
    if problems:
        raise CheckpointError(f"{path}: does not fit {whose}:\n  " + "\n  ".join(_some(problems)))
    model.load_state_dict(tensors, strict=True)


def _some(problems: list[str]) -> list[str]:
    """The first ones, and how many more there are."""
    more = len(problems) - SHOWN
    return [*problems[:SHOWN], f"and {more} more"] if more > 0 else problems


def _plain_numbers(t: torch.Tensor) -> bool:
    """Whether a tensor holds its numbers as they are: neither sparse nor quantized, nor without
    any, nor complex."""
    whole = t.layout == torch.strided and t.device.type == "cpu"
    return whole and not t.is_quantized and not t.is_complex()


def _kind_of(t: torch.Tensor) -> str:
    return f"{t.dtype}, {t.layout}, on {t.device}".replace("torch.", "")


def _disagreements(model: nn.Module, tensors: dict[str, Any]) -> list[str]:
    """Keys that name one parameter twice (model_HF.* and model.4.*) must hold equal values."""
    first: dict[int, str] = {}
    problems = []
    for key, value in model.state_dict(keep_vars=True).items():
        twin = first.setdefault(id(value), key)
        a, b = tensors.get(key), tensors.get(twin)
        if (
            twin != key
            and isinstance(a, torch.Tensor)
            and isinstance(b, torch.Tensor)
            and not torch.equal(a, b)
        ):
            problems.append(f"{key} differs from {twin}, which is the same parameter")
    return problems


def forward(
    loaded: Checkpoint,
    signal: npt.NDArray[np.float32],
    initial: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """The published whole-sequence forward: samples (n, features), what a stream begins with if
    the network takes that -> (frames, outputs)."""
    with torch.no_grad():
        samples = torch.from_numpy(np.ascontiguousarray(signal, dtype=np.float32))
        return loaded.family.forward(loaded, samples, initial).numpy()


def stream_forward(
    loaded: Checkpoint,
    graph: Graph,
    signal: npt.NDArray[np.float32],
    initial: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """The published forward on the frames of the network's graph: window by window where it has
    windows; else the frames of the start-up, which it does not have, stand at what says nothing.
    Where the network looks ahead, the forward's last frames are those that a stream has not yet."""
    if graph.windowed and loaded.family.window(loaded.model) is not None:
        windows = signal.reshape(-1, graph.samples_per_step, signal.shape[1])
        return np.concatenate([forward(loaded, window) for window in windows])
    frames = forward(loaded, signal, initial)
    outputs = frames.shape[1]
    waiting = np.full((graph.start_up, outputs), loaded.family.nothing_yet(outputs), np.float32)
    newest = len(signal) // graph.samples_per_step * graph.chunk
    found = np.concatenate([waiting, frames])
    return found[:newest] if "lookahead" in graph.provenance else found
