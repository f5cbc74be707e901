"""Reading and writing checkpoints in the format their authors publish (PyTorch Lightning `.ckpt`).

A checkpoint is data from somewhere else: it is read as data (see `stored`), its checksums are
verified first, and its tensors must fit the network exactly.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from compress.errors import CheckpointError, printable
from compress.files import replace_atomically, sha256
from compress.frontend import families
from compress.frontend.alone import alone
from compress.frontend.families import build, family_of, name_of
from compress.frontend.families.record import Family
from compress.frontend.fit import Fit, fill, fit, is_averaged
from compress.frontend.stored import plain, reading
from compress.frontend.stored.values import Instance
from compress.frontend.stored.words import names, shown
from compress.report.said import noted

if TYPE_CHECKING:
    from compress.graph import Graph

MOST_VALUES = 100_000_000  # of a network: 400 MB in float32
_OWN = "its own hyper-parameters"
_HYPER_PARAMETERS = ("hyper_parameters", "hparams", "module_arguments")  # by Lightning's versions


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


@alone
def load(path: Path) -> Checkpoint:
    """Read a Lightning checkpoint strictly; CheckpointError says what was expected and found. What
    was taken off keys or left out is said, once."""
    raw = _contents(path)
    with _naming(path):
        described = _described(raw)
        outline = families.outline(described)
        family_of(described).check(described)
    found = None if outline is None else _fitting(outline, raw["state_dict"], path, _OWN)
    with _naming(path):
        model = build(described)
    found = found or _fitting(model, raw["state_dict"], path, _OWN)
    fill(model, found.entries, path, _OWN)
    hyper_parameters = plain.texts(described)
    for words in [*averages(raw), *found.said, *_unread(described)]:
        noted(printable(f"{path}: {words}"))
    return Checkpoint(model.eval(), name_of(hyper_parameters), hyper_parameters, sha256(path))


def task_of(path: Path) -> str:
    """The task of a checkpoint's network, by its hyper-parameters alone; CheckpointError as
    `load`."""
    raw = _contents(path)
    with _naming(path):
        return family_of(_described(raw)).task


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of hyper-parameters with the name of the file that holds them."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        said = printable(next(iter(str(error).splitlines()), ""))[:200]
        raise CheckpointError(
            f"{path}: hyper_parameters cannot be used: {type(error).__name__}: {said}"
        ) from error


def _contents(path: Path) -> dict[str, Any]:
    """The checkpoint's own entries, weights and hyper-parameters among them."""
    raw = read(path)
    found = names(raw) if isinstance(raw, dict) else shown(raw)
    if isinstance(raw, Instance):
        found = f"{found}, pickled as a whole"
    hyper_parameters = [k for k in _HYPER_PARAMETERS if isinstance(raw, dict) and k in raw]
    if not hyper_parameters or "state_dict" not in raw:
        missing = "hyper_parameters" if not hyper_parameters else "state_dict"
        raise CheckpointError(
            f"{path}: expected a Lightning checkpoint with {missing!r}, found {found}; write one"
            " with torch.save({'state_dict': …, 'hyper_parameters': …}, path)"
        )
    return raw | {"hyper_parameters": raw[hyper_parameters[0]]}


def _described(raw: Mapping[str, Any]) -> dict[str, Any]:
    return plain.hyper_parameters(raw["hyper_parameters"], families.describing())


def _fitting(model: nn.Module, tensors: Any, path: Path, whose: str) -> Fit:
    """`fit`, for a network of a size that is possible."""
    found = fit(model, tensors, path, whose)
    sizes = {key: value.numel() for key, value in model.state_dict().items()}
    if sum(sizes.values()) > MOST_VALUES:
        largest = max(sizes, key=lambda key: sizes[key])
        raise CheckpointError(
            f"{path}: expected a network of at most {MOST_VALUES:,} values, found"
            f" {sum(sizes.values()):,}, of which {largest} has {sizes[largest]:,}"
        )
    return found


def averages(raw: Mapping[str, Any]) -> list[str]:
    """Which weights are taken, where averages (SWA, EMA) lie beside state_dict."""
    if "averaging_state" in raw or "current_model_state" in raw:
        return ["state_dict holds averaged weights (SWA or EMA), which are taken"]
    states = {str(key) for key, value in raw.items() if is_averaged(str(key)) and value}
    callbacks = raw.get("callbacks")
    for state in callbacks.values() if isinstance(callbacks, dict) else ():
        found = state if isinstance(state, dict) else {}
        states |= {str(k) for k, v in found.items() if is_averaged(str(k)) and isinstance(v, dict)}
    if not states:
        return []
    return [
        "averaged weights (SWA or EMA) are left out, those of state_dict taken:"
        f" {names(sorted(states))}"
    ]


def _unread(described: dict[str, Any]) -> list[str]:
    found = list(plain.unread(described))
    return [f"hyper_parameters hold {names(found)}"] if found else []


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
    """What a checkpoint holds, as data (see `stored`); CheckpointError says why not."""
    return reading.contents(path)


def load_strictly(model: nn.Module, tensors: Any, path: Path, whose: str) -> list[str]:
    """Put the entries of a state_dict into a network; returns what was done to their keys, in
    words. CheckpointError names those that do not fit it exactly."""
    found = _fitting(model, tensors, path, whose)
    fill(model, found.entries, path, whose)
    return found.said


@alone
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
    signal = np.asarray(signal)
    if graph.windowed and loaded.family.window(loaded.model) is not None:
        windows = signal.reshape(-1, graph.samples_per_step, signal.shape[1])
        return np.concatenate([forward(loaded, window) for window in windows])
    frames = forward(loaded, signal, initial)
    outputs = frames.shape[1]
    waiting = np.full((graph.start_up, outputs), loaded.family.nothing_yet(outputs), np.float32)
    newest = len(signal) // graph.samples_per_step * graph.chunk
    found = np.concatenate([waiting, frames])
    return found[:newest] if "lookahead" in graph.provenance else found
