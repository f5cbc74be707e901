"""Which entries of a state_dict are the weights of a network: under their own keys, behind a
prefix, or with the names that compiled, parallel and sharded networks put into keys; and what else
lies beside them. Every weight must be there, once, with the right shape and finite real numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.frontend.stored import arrays
from compress.frontend.stored.values import StoredTensor
from compress.frontend.stored.words import name as in_words
from compress.frontend.stored.words import names, shown

SHOWN = 10  # differences in a message
_DEEPEST, _LONGEST, _MOST_KEYS = 64, 1_000, 100_000  # parts and characters of a key, keys
# What torch.compile, data parallelism, sharding and checkpointing of activations put into keys.
WRAPPERS = frozenset(
    (
        *("_orig_mod", "module", "_module", "_forward_module", "_dp_module"),
        *("_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module"),
    )
)
_AVERAGED = frozenset(("ema", "swa", "average", "averaged", "averaging", "avg", "shadow"))
_BESIDE = _AVERAGED | frozenset(
    (
        *("metric", "metrics", "loss", "losses", "criterion", "criteria", "objective"),
        *("accuracy", "acc", "auroc", "f1", "cer", "wer", "confusion"),
    )
)
_BUFFERS = ("class_weights", "class_weight", "pos_weight", "num_updates", "initted")
_COUNTER = "num_batches_tracked"  # of a batch norm: nothing that inference needs


@dataclass
class Fit:
    """The entry for each key of the network, and what was done to find them, in words."""

    entries: dict[str, Any]
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def is_averaged(name: str) -> bool:
    """Whether a name is one that averages of weights (SWA, EMA) have."""
    return not _AVERAGED.isdisjoint(re.split(r"[._\W]+", name.lower()))


def fit(model: nn.Module, found: Any, path: object, whose: str) -> Fit:
    """The entries of a state_dict for a network, which may be without memory (on meta), checked by
    their keys, shapes and kinds; CheckpointError names what does not fit."""
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: state_dict: expected a dict, found {shown(found)}")
    odd = next((k for k in found if not isinstance(k, str) or len(k) > _LONGEST), None)
    if odd is not None:
        raise CheckpointError(f"{path}: state_dict: expected names as keys, found {shown(odd)}")
    if len(found) > _MOST_KEYS:
        raise CheckpointError(
            f"{path}: state_dict: expected at most {_MOST_KEYS:,} keys, found {len(found):,}"
        )
    expected, found = model.state_dict(keep_vars=True), arrays.as_tensors(found)
    result = _matched(expected, found, path)
    if expected and not result.entries:
        raise CheckpointError(
            f"{path}: does not fit {whose}: expected keys like {names(expected, 3)}, found"
            f" {names(found, 3) or 'none'}"
        )
    for key, value in expected.items():
        if key in result.entries:
            result.problems += _misfits(key, value, result.entries[key])
    refuse(result.problems, path, whose)
    return result


def refuse(problems: list[str], path: object, whose: str) -> None:
    """CheckpointError with the first problems, if there are any."""
    if problems:
        more = len(problems) - SHOWN
        rest = [f"and {more} more"] if more > 0 else []
        raise CheckpointError(
            f"{path}: does not fit {whose}: " + "; ".join([*problems[:SHOWN], *rest])
        )


# --- keys -----------------------------------------------------------------------------------------


def _matched(expected: Mapping[str, Any], found: Mapping[str, Any], path: object) -> Fit:
    """Entries by the network's keys; problems for keys that are missing or too many."""
    unwrapped = {_unwrapped(key): key for key in expected}
    if len(unwrapped) != len(expected):  # the network itself has such names
        unwrapped = {key: key for key in expected}
        plain = {key: [key] for key in found}
    else:
        plain = {}
        for key in found:
            plain.setdefault(_unwrapped(key), []).append(key)
    prefix = _prefix(_needed(unwrapped, expected), plain, path)
    taken, others = {}, []
    for name, keys in plain.items():
        own = unwrapped.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if own is None:
            others += keys
        else:
            taken[own] = keys
    result = Fit({own: found[keys[0]] for own, keys in taken.items()})
    _leave_out(result, others, prefix, unwrapped)
    result.problems += _several(taken, found)
    result.problems = _missing(result, expected) + result.problems
    result.said += _removed({own: keys[0] for own, keys in taken.items()}, prefix)
    wrapped = any("module" in keys[0].split(".") for keys in taken.values())
    result.said += _averages(prefix, others, wrapped)
    return result


def _unwrapped(key: str) -> str:
    """A key without the names that wrappers put into it."""
    return ".".join(part for part in key.split(".") if part not in WRAPPERS)


def _needed(unwrapped: Mapping[str, str], expected: Mapping[str, Any]) -> set[str]:
    """Names that must be there: one of those that are the same parameter, and no counters."""
    first: dict[int, str] = {}
    for name, key in unwrapped.items():
        if not name.endswith(_COUNTER):
            first.setdefault(id(expected[key]), name)
    return set(first.values())


def _prefix(needed: set[str], plain: Mapping[str, Any], path: object) -> str:
    """What stands before all names of the network, or before most of them; averaged weights only
    where there are no others. CheckpointError when several sets fit."""
    counts: Counter[str] = Counter()
    for name in plain:
        parts = name.split(".")
        for i in range(min(len(parts), _DEEPEST)):
            if ".".join(parts[i:]) in needed:
                counts["".join(f"{part}." for part in parts[:i])] += 1
    fits = [prefix for prefix, count in counts.items() if count == len(needed)]
    if not needed or "" in fits:
        return ""
    trained = [prefix for prefix in fits if not is_averaged(prefix)]
    several = trained or fits
    if len(several) > 1:
        begins = " or ".join(repr(in_words(prefix)) for prefix in sorted(several)[:4])
        raise CheckpointError(
            f"{path}: expected one set of weights for the network, found several: keys that begin"
            f" with {begins}; write the one that is meant with"
            " torch.save(network.state_dict(), path)"
        )
    if several:
        return several[0]
    best = max(counts, key=lambda prefix: counts[prefix], default="")
    return best if counts[best] > len(needed) // 2 else ""


def _missing(result: Fit, expected: Mapping[str, Any]) -> list[str]:
    """Keys that are not there, but for counters. Where nothing else is missing, a parameter that is
    there under another key is taken from it."""
    twins: dict[int, str] = {}
    for key in result.entries:
        twins.setdefault(id(expected[key]), key)
    missing = [k for k in expected if k not in result.entries and not k.endswith(_COUNTER)]
    if missing and all(id(expected[key]) in twins for key in missing) and not result.problems:
        result.entries |= {key: result.entries[twins[id(expected[key])]] for key in missing}
        result.said.append(f"taken from the same parameter under another key: {names(missing)}")
        return []
    return [f"missing {key} {tuple(expected[key].shape)}" for key in missing]


def _several(taken: Mapping[str, list[str]], found: Mapping[str, Any]) -> list[str]:
    """Keys that differ in a wrapper alone are one weight only if they are one tensor."""
    return [
        f"{own}: expected one, found several: {names(keys)}"
        for own, keys in taken.items()
        if any(not _same(found[keys[0]], found[key]) for key in keys[1:])
    ]


def _same(a: Any, b: Any) -> bool:
    return (
        isinstance(a, StoredTensor)
        and isinstance(b, StoredTensor)
        and (a.storage is b.storage and a.offset == b.offset and a.shape == b.shape)
    )


def _removed(taken: Mapping[str, str], prefix: str) -> list[str]:
    """What was taken off the keys."""
    starts = {key.removesuffix(own) if key.endswith(own) else None for own, key in taken.items()}
    if starts in ({""}, set()):
        return []
    if len(starts) == 1 and None not in starts:
        return [f"its keys begin with {next(iter(starts))!r}, which was taken off"]
    inside = sorted({part for own, key in taken.items() for part in _wrappers(own, key)})
    said = [f"{names(map(repr, inside))} inside its keys was taken off"] if inside else []
    return said + ([f"its keys begin with {prefix!r}, which was taken off"] if prefix else [])


def _wrappers(own: str, key: str) -> frozenset[str]:
    return WRAPPERS.intersection(key.split(".")) if own != key else frozenset()


def _averages(prefix: str, others: list[str], wrapped: bool) -> list[str]:
    """Which weights are taken, where averages are among them; `wrapped` says that those taken are
    inside of another module, as torch's AveragedModel has them beside its counter."""
    counter = wrapped and any(_unwrapped(key) == f"{prefix}n_averaged" for key in others)
    if counter or is_averaged(prefix):
        return ["the weights taken are averaged ones (SWA or EMA)"]
    left = [key for key in others if is_averaged(key)]
    if left:
        return [
            f"averaged weights (SWA or EMA) are left out, the trained ones taken: {names(left)}"
        ]
    return []


def _leave_out(result: Fit, others: list[str], prefix: str, unwrapped: Mapping[str, str]) -> None:
    """Say what is no weight of the network; a problem where it may be one."""
    parts = {name.split(".")[0] for name in unwrapped}
    left: list[str] = []
    extra: list[str] = []
    for key in others:
        name = _unwrapped(key)
        inner = name.removeprefix(prefix)
        if name.endswith("n_averaged") or is_averaged(inner.split(".")[0]):
            continue  # said already
        beside = not name.startswith(prefix) or _is_beside(inner.split(".")[0], parts)
        (left if beside else extra).append(key)
    result.problems += [f"extra {in_words(key)}" for key in extra]
    if left:
        result.said.append(f"left out what is not of the network: {names(left)}")


def _is_beside(part: str, parts: set[str]) -> bool:
    """Whether the first part of a name is that of metrics, losses or averages, and not the
    network's."""
    words = re.split(r"[_\W]+", part.lower())
    return part not in parts and (part in _BUFFERS or not _BESIDE.isdisjoint(words))


# --- values ---------------------------------------------------------------------------------------


def _misfits(key: str, expected: Any, found: Any) -> list[str]:
    """What is wrong with an entry by its description."""
    if not isinstance(found, StoredTensor):
        return [f"{key}: expected a tensor, found {shown(found)}"]
    if found.shape != tuple(expected.shape):
        return [f"{key}: expected shape {tuple(expected.shape)}, found {_shape(found)}"]
    if not found.plain:
        return [f"{key}: expected plain real numbers, found {found.kind}"]
    if expected.is_floating_point() and not found.dtype.is_floating_point:
        return [f"{key}: expected floating-point numbers, found {found.kind}"]
    return []


def _shape(found: StoredTensor) -> str:
    more = len(found.shape) - 8
    return f"{found.shape}" if more <= 0 else f"{len(found.shape)} dimensions"


def fill(model: nn.Module, entries: Mapping[str, StoredTensor], path: object, whose: str) -> None:
    """Put entries that `fit` found into a network; CheckpointError names those that are not finite,
    and those that give one parameter two values."""
    problems: list[str] = []
    tensors: dict[str, Tensor] = {}
    first: dict[int, str] = {}
    for key, value in model.state_dict(keep_vars=True).items():
        if key not in entries:  # a counter
            tensors[key] = value.detach()
            continue
        tensors[key] = entries[key].tensor()
        cast = tensors[key].to(value.dtype)
        twin = first.setdefault(id(value), key)
        if not torch.isfinite(cast).all():
            problems.append(f"{key}: holds NaN or infinite values")
        elif not value.is_floating_point() and not torch.equal(
            cast.double(), tensors[key].double()
        ):
            problems.append(f"{key}: expected whole numbers, found fractions")
        elif not torch.equal(tensors[key], tensors[twin]):
            problems.append(f"{key} differs from {twin}, which is the same parameter")
    refuse(problems, path, whose)
    model.load_state_dict(tensors, strict=True)
