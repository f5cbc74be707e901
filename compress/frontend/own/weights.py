"""Weights from a checkpoint for a network of the user's: a state_dict, plain, in a Lightning
checkpoint, of safetensors or under another name, whose keys may all begin with the name that the
network has inside of another module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from compress.errors import CheckpointError, printable
from compress.frontend import checkpoint
from compress.frontend.fit import is_averaged
from compress.frontend.own.named import KEY
from compress.frontend.stored import arrays, plain
from compress.frontend.stored.values import Instance, StoredTensor
from compress.frontend.stored.words import name as in_words
from compress.frontend.stored.words import names, shown
from compress.report.said import noted

_WRITE = "torch.save(network.state_dict(), path)"
_DESCRIBING = ("tendon", KEY)


def stored(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The entries of a checkpoint's state_dict, and its hyper-parameters (none of a plain one). The
    name under which it lay is said, unless it is Lightning's. CheckpointError for a file without,
    or with several."""
    raw = checkpoint.read(path)
    if isinstance(raw, dict) and isinstance(raw.get("state_dict"), dict):
        for words in checkpoint.averages(raw):
            noted(printable(f"{path}: {words}"))
        return raw["state_dict"], _hyper_parameters(raw, path)
    if _is_state(raw):
        return raw, {}
    states = [key for key, value in raw.items() if _is_state(value)] if type(raw) is dict else []
    trained = [key for key in states if not is_averaged(str(key))] or states
    if len(trained) == 1:
        averaged = (
            " and no others, averaged ones (SWA or EMA)" if is_averaged(str(trained[0])) else ""
        )
        left = [key for key in states if key not in trained]
        also = f"; left out averaged ones (SWA or EMA): {names(left)}" if left else ""
        noted(printable(f"{path}: weights of {in_words(trained[0])!r}{averaged}{also}"))
        return raw[trained[0]], {}
    if states:
        raise CheckpointError(
            f"{path}: expected one state_dict, found several: {names(states)}; write the one"
            f" that is meant with {_WRITE}"
        )
    found = names(raw) if isinstance(raw, dict) else shown(raw)
    if isinstance(raw, Instance):
        found = f"{found}, pickled as a whole"
    raise CheckpointError(
        f"{path}: expected a state_dict, plain or under 'state_dict', found {found}; write one with"
        f" {_WRITE}"
    )


def _hyper_parameters(raw: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Those that say what the network is, plain; none where there are no such."""
    found = raw.get("hyper_parameters")
    try:
        known = plain.is_dict(found) and plain.hyper_parameters(found, _DESCRIBING, alone=True)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return plain.texts(known or {})


def _is_state(value: Any) -> bool:
    """Whether this is a dict of tensors or NumPy's arrays alone, of one or more."""
    found = value if isinstance(value, dict) else {}
    return bool(found) and all(
        isinstance(entry, StoredTensor) or arrays.is_one(entry) for entry in found.values()
    )


def load(model: nn.Module, path: Path, entries: Mapping[str, Any], title: str) -> list[str]:
    """Put the entries into the network, strictly; returns what was done to their keys, in words.
    CheckpointError names what does not fit."""
    return checkpoint.load_strictly(model, entries, path, f"the network of {title}")
