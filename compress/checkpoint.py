"""Reading and writing checkpoints in the format their authors publish (PyTorch Lightning `.ckpt`).

A checkpoint is data from somewhere else: it is read with weights-only unpickling and the short list of harmless classes below,
its zip checksums are verified first, and its tensors must fit the network exactly.
"""

from __future__ import annotations

import collections
import hashlib
import os
import pickle
import typing
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode
from torch import nn

from compress.errors import CheckpointError
from compress.models import HYPER_PARAMETERS, HybridNetwork, build

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


@dataclass(frozen=True)
class Checkpoint:
    """A network in eval mode, the name of its published configuration (or "custom"), and where it came from."""

    model: HybridNetwork
    name: str
    hyper_parameters: dict[str, Any]
    sha256: str


def load(path: Path) -> Checkpoint:
    """Read a Lightning checkpoint strictly; CheckpointError says what was expected and found."""
    raw = _read(path)
    for key in ("state_dict", "hyper_parameters"):
        if not isinstance(raw, dict) or key not in raw:
            found = ", ".join(map(str, raw)) if isinstance(raw, dict) else type(raw).__name__
            raise CheckpointError(f"{path}: expected a Lightning checkpoint with {key!r}, found {found}")
    hyper_parameters = {str(k): _plain(v) for k, v in _plain(raw["hyper_parameters"]).items()}
    try:
        model = build(hyper_parameters)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path}: hyper_parameters cannot be used: {type(error).__name__}: {error}") from error
    _load_strictly(model, raw["state_dict"], path)
    return Checkpoint(model.eval(), name_of(hyper_parameters), hyper_parameters, sha256(path))


def save(path: Path, model: nn.Module, hyper_parameters: dict[str, Any]) -> None:
    """Write a checkpoint that `load` and the published code read: weights and hyper-parameters, no optimizer state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": "1.8.6",
        "state_dict": model.state_dict(),
        "hyper_parameters": hyper_parameters,
    }
    try:
        torch.save(content, aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def name_of(hyper_parameters: dict[str, Any]) -> str:
    """The published network with this structure, else "custom"."""

    def structure(h: dict[str, Any]) -> tuple[Any, ...]:
        high, low = h.get("model_HF", {}), h.get("model_LF", {})
        layers = [high.get(k) for k in ("_target_", "out_channels", "strides", "kernel_sizes")]
        states = [low.get(k) for k in ("d_model", "d_latent_space", "n_layers")]
        modes = [low.get(f"{where}_layer_pool_mode", "none") for where in ("end", "mid")]
        pools = [low.get(f"{w}_layer_pools") if mode != "none" else None for w, mode in zip(("end", "mid"), modes, strict=True)]
        inputs = [h.get(k) for k in ("mlp_features", "offsets", "input_mean_pooling")]
        return (inputs, layers, states, modes, pools, low.get("prenorm"))

    for name, published in HYPER_PARAMETERS.items():
        if structure(published) == structure(hyper_parameters):
            return name
    return "custom"


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path}: expected a PyTorch zip archive; the file is damaged, truncated or something else")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path}: checksum of {damaged} does not match its content: the file is damaged")
        with torch.serialization.safe_globals(ALLOWED):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: refused: it asks for code beyond the allow-list ({reason})") from error
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError, OSError, NotImplementedError) as error:
        raise CheckpointError(f"{path}: cannot be read: {type(error).__name__}: {error}") from error


def _plain(value: Any) -> Any:
    """OmegaConf containers as dicts and lists."""
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig | ListConfig) else value


def _load_strictly(model: nn.Module, tensors: Any, path: Path) -> None:
    expected = model.state_dict()
    if not isinstance(tensors, dict):
        raise CheckpointError(f"{path}: state_dict: expected a dict, found {type(tensors).__name__}")
    problems = [f"missing {k} {tuple(v.shape)}" for k, v in expected.items() if k not in tensors]
    problems += [f"extra {k}" for k in tensors if k not in expected]
    for key, value in expected.items():
        found = tensors.get(key)
        if isinstance(found, torch.Tensor) and found.shape != value.shape:
            problems.append(f"{key}: expected shape {tuple(value.shape)}, found {tuple(found.shape)}")
        elif isinstance(found, torch.Tensor) and not torch.isfinite(found.double()).all():
            problems.append(f"{key}: holds NaN or infinite values")
        elif found is not None and not isinstance(found, torch.Tensor):
            problems.append(f"{key}: expected a tensor, found {type(found).__name__}")
    problems += _disagreements(model, tensors)
    if problems:
        raise CheckpointError(f"{path}: does not fit its own hyper-parameters:\n  " + "\n  ".join(problems))
    model.load_state_dict(tensors, strict=True)


def _disagreements(model: nn.Module, tensors: dict[str, Any]) -> list[str]:
    """Keys that name one parameter twice (model_HF.* and model.4.*) must hold equal values."""
    first: dict[int, str] = {}
    problems = []
    for key, value in model.state_dict(keep_vars=True).items():
        twin = first.setdefault(id(value), key)
        a, b = tensors.get(key), tensors.get(twin)
        if twin != key and isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and not torch.equal(a, b):
            problems.append(f"{key} differs from {twin}, which is the same parameter")
    return problems


def forward(loaded: Checkpoint, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The published whole-sequence forward: (samples, 32) -> (frames, 99) log-probabilities."""
    with torch.no_grad():
        x = torch.from_numpy(np.ascontiguousarray(signal, dtype=np.float32)).reshape(len(signal), 1, 2, -1)
        return loaded.model(x)[:, 0].numpy()
