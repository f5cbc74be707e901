"""Weights from a checkpoint for a network of the user's: a state_dict, plain, in a Lightning
checkpoint or under another name, whose keys may all begin with the name that the network has inside
of another module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from compress.errors import CheckpointError
from compress.frontend import checkpoint

_SHOWN = 8  # keys in a message


def stored(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The entries of a checkpoint's state_dict, and its hyper-parameters (none of a plain one). The
    name under which it lay is said, unless it is Lightning's. CheckpointError for a file without,
    or with several."""
    raw = checkpoint.read(path)
    if isinstance(raw, dict) and isinstance(raw.get("state_dict"), dict):
        found, hyper_parameters = raw["state_dict"], checkpoint.plain(raw.get("hyper_parameters"))
        return found, hyper_parameters if isinstance(hyper_parameters, dict) else {}
    if _is_state(raw):
        return raw, {}
    named = (
        [str(key) for key, value in raw.items() if _is_state(value)]
        if isinstance(raw, dict)
        else []
    )
    if len(named) == 1:
        print(f"{path}: weights of {named[0]!r}")
        return raw[named[0]], {}
    if named:
        raise CheckpointError(
            f"{path}: expected one state_dict, found several: {', '.join(named)}; write the one"
            " that is meant with torch.save(network.state_dict(), path)"
        )
    keys = ", ".join(map(str, raw)) if isinstance(raw, dict) else type(raw).__name__
    raise CheckpointError(
        f"{path}: expected a state_dict, plain or under 'state_dict', found {keys}; write one with"
        " torch.save(network.state_dict(), path)"
    )


def _is_state(value: Any) -> bool:
    """Whether this is a dict of tensors alone, of one or more."""
    return (
        isinstance(value, dict) and bool(value) and all(hasattr(v, "shape") for v in value.values())
    )


def load(model: nn.Module, path: Path, entries: Mapping[str, Any], title: str) -> list[str]:
    """Put the entries into the network, strictly; returns what was done to their keys, in words.
    CheckpointError names what does not fit."""
    odd = next((key for key in entries if not isinstance(key, str)), None)
    if odd is not None:
        raise CheckpointError(f"{path}: state_dict: expected names as keys, found {odd!r}")
    prefix = _prefix(model.state_dict(), entries, path)
    own = {key.removeprefix(prefix): v for key, v in entries.items() if key.startswith(prefix)}
    checkpoint.load_strictly(model, own, path, f"the network of {title}")
    if not prefix:
        return []
    said = [f"its keys begin with {prefix!r}, which was taken off"]
    others = [key for key in entries if not key.startswith(prefix)]
    if others:
        said.append(f"left out what is not of the network: {_some(others)}")
    return said


def _prefix(expected: Iterable[str], found: Iterable[str], path: Path) -> str:
    """What stands before every key of the network; "" where nothing does, or nothing fits.
    CheckpointError when several would do."""
    keys, wanted = set(found), list(expected)
    if not wanted or keys.issuperset(wanted):
        return ""
    starts = {key.removesuffix(wanted[0]) for key in keys if key.endswith("." + wanted[0])}
    fits = sorted(s for s in starts if keys.issuperset(s + key for key in wanted))
    if len(fits) > 1:
        raise CheckpointError(
            f"{path}: expected one set of weights for the network, found several: keys that begin"
            f" with {' or '.join(map(repr, fits))}; write the one that is meant with"
            " torch.save(network.state_dict(), path)"
        )
    return fits[0] if fits else ""


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
