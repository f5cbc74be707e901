"""The network that a training begins with: built from its seed, or with a checkpoint's weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from compress.errors import CheckpointError, UsageError, printable
from compress.frontend import checkpoint
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, Family, build, family_of, name_of
from compress.frontend.lower import lower
from compress.frontend.own import frozen, source, weights
from compress.frontend.own.named import NetworkFile
from compress.graph import Graph
from compress.tasks.training import TrainingRequest

log = logging.getLogger(__name__)

_SHOWN = 8  # differences in a message; the rest are counted


def task_of(model: str, given: Path | None) -> str:
    """The task that a network is trained for: of a published name, or of the checkpoint, which is
    read in any case: what is wrong with it is said before recordings are looked for."""
    of_given = None if given is None else checkpoint.task_of(given)
    if model in HYPER_PARAMETERS:
        return family_of(HYPER_PARAMETERS[model]).task
    if of_given is not None:
        return of_given
    raise UsageError(
        f"model: expected one of {', '.join(HYPER_PARAMETERS)}, found {model!r}; a network of"
        " another name needs CHECKPOINT=path, one of your own MODEL=path/net.py"
    )


def network(request: TrainingRequest) -> tuple[nn.Module, dict[str, Any]]:
    """A network to train and its hyper-parameters, its weights torch's random ones or those of the
    checkpoint; CheckpointError names what differs when that is another network."""
    if request.network is not None:
        return _own(request, request.network)
    task_of(request.model, request.checkpoint)  # refuses a name that nothing describes
    published = HYPER_PARAMETERS.get(request.model)
    made = build(published) if published is not None else None
    if request.checkpoint is None:
        assert made is not None and published is not None
        return made, published
    found = checkpoint.load(request.checkpoint)
    _refuse_compressed(request.checkpoint, found.hyper_parameters)
    if made is None or published is None:
        return found.model, found.hyper_parameters
    apart = differences(published, found.hyper_parameters)
    if apart:
        more = f" and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else ""
        raise CheckpointError(
            f"{request.checkpoint}: expected a checkpoint of {request.model} to start from, found"
            f" {found.name}; what differs: {'; '.join(apart[:_SHOWN])}{more}"
        )
    made.load_state_dict(found.model.state_dict())
    return made, published


def _own(request: TrainingRequest, file: NetworkFile) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file, with the weights of the checkpoint, or those that its function gives,
    random ones from the request's seed."""
    found = source.read(file)
    made = found.network(request.seed)
    if request.checkpoint is not None:
        entries, theirs = weights.stored(request.checkpoint)
        _refuse_compressed(request.checkpoint, theirs)
        for words in weights.load(made, request.checkpoint, entries, file.title):
            log.info(printable(f"{request.checkpoint}: {words}"))
    return made, frozen.hyper_parameters_of(found)


def _refuse_compressed(path: Path, hyper_parameters: dict[str, Any]) -> None:
    if "tendon" in hyper_parameters:
        raise CheckpointError(
            f"{path}: this network has been compressed; give the checkpoint that it was made from"
        )


def lowered(network: nn.Module, hyper_parameters: dict[str, Any]) -> Graph:
    """The float graph of a network as it is now: it says where its frames lie in time."""
    return lower(Checkpoint(network.eval(), name_of(hyper_parameters), hyper_parameters, ""))


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What makes one network another than the expected one, in words; nothing for the same
    structure. Rates and dropout, which only a training sees, do not count."""
    family, other = family_of(expected), family_of(found)
    if other.source != family.source:
        return [f"expected a network of {family.source}, found one of {other.source}"]
    if family.structure(expected) == family.structure(found):
        return []
    ours, theirs = dict(_leaves(expected)), dict(_leaves(found))
    apart = [k for k in (ours | theirs) if ours.get(k, "nothing") != theirs.get(k, "nothing")]
    return [
        f"{'.'.join(key)}: expected {ours.get(key, 'nothing')}, found {theirs.get(key, 'nothing')}"
        for key in apart
        if _matters(family, expected if key in ours else found, key)
    ]


def _matters(family: Family, tree: dict[str, Any], key: tuple[str, ...]) -> bool:
    """Whether a hyper-parameter is part of the network's structure: another value changes it."""
    return bool(family.structure(_with(tree, key, "another")) != family.structure(tree))


def _with(tree: Any, key: tuple[str, ...], value: Any) -> Any:
    """The tree with one leaf replaced."""
    if not key:
        return value
    pairs = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    changed = {k: _with(v, key[1:], value) if str(k) == key[0] else v for k, v in pairs}
    return changed if isinstance(tree, Mapping) else list(changed.values())


def _leaves(tree: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths and values of nested dicts and lists of dicts; any other list is one value."""
    if isinstance(tree, Mapping):
        pairs = list(tree.items())
    elif isinstance(tree, list) and any(isinstance(value, Mapping) for value in tree):
        pairs = list(enumerate(tree))
    else:
        yield key, tree
        return
    for k, value in pairs:
        yield from _leaves(value, (*key, str(k)))
