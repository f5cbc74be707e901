"""What every training here keeps on disk: a state from which an interrupted one continues."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from compress.data.recording_file import file_digest
from compress.errors import CheckpointError, RecordingError, UsageError
from compress.files import replace_atomically
from compress.frontend.stored.reading import contents
from compress.frontend.stored.values import StoredTensor
from compress.reading.words import one_line
from compress.tasks.training import TrainingRequest

log = logging.getLogger(__name__)


class OtherTrainingError(CheckpointError, UsageError):
    """A command names something else than the interrupted training began with."""


@dataclass(frozen=True)
class Origin:
    """What a state belongs to. `recipe`: a hash of how it is trained; `inputs`: a hash of each
    thing that the user gave, by the variable that names it; `steps`: of the recipe, as the user
    gave them."""

    recipe: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    steps: str = ""


def origin(request: TrainingRequest, hyper_parameters: Mapping[str, Any], recipe: Any) -> Origin:
    """Of a training: all that its result depends on. `recipe` is a dataclass."""
    said = json.dumps(dataclasses.asdict(recipe))
    train, validation = (_digests(paths) for paths in (request.train, request.validation))
    _refuse_shared(request, train, validation)
    inputs = {
        "MODEL": _hash(json.dumps([request.model, hyper_parameters], sort_keys=True, default=str)),
        "DATA": _hash(json.dumps([train, validation])),
        "SPLIT": request.split or "",
        "CHECKPOINT": file_digest(request.checkpoint) if request.checkpoint else "",
    }
    steps = "" if request.steps is None else str(request.steps)
    return Origin(_hash(said), inputs, steps)


def _refuse_shared(
    request: TrainingRequest, train: Sequence[str], validation: Sequence[str]
) -> None:
    """A recording that is trained on must not validate, under whatever name."""
    of = dict(zip(train, request.train, strict=True))
    for digest, path in zip(validation, request.validation, strict=True):
        if digest in of:
            raise RecordingError(
                f"{path}: is to validate, and is the same recording as {of[digest]}, which is"
                " trained on: expected it in one of the two"
            )


def _digests(paths: Sequence[Path]) -> list[str]:
    return [file_digest(path) for path in paths]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def save(path: Path, origin: Origin, content: dict[str, Any]) -> None:
    """Write the state of an interrupted training aside and rename it."""
    buffer = io.BytesIO()
    torch.save(_said(origin) | content, buffer)
    replace_atomically(path, buffer.getvalue())


def load(path: Path, origin: Origin) -> dict[str, Any] | None:
    """The state to continue from; None where there is none, or one of another recipe, and training
    starts over. OtherTrainingError for a state of other inputs: what was trained so far is not
    thrown away for a variable that was forgotten."""
    if not path.is_file():
        return None
    try:
        found = _values(contents(path), {})
        if not isinstance(found, dict):
            raise ValueError("no state of a training")
        recipe, inputs = found.get("recipe"), dict(found.get("inputs") or {})
    except Exception as error:  # whatever is no state
        said = one_line(str(error).removeprefix(f"{path}: "), 200) or type(error).__name__
        raise CheckpointError(f"{path}: damaged ({said}): delete it to start over") from error
    others = [name for name, digest in origin.inputs.items() if inputs.get(name) != digest]
    if others:
        raise OtherTrainingError(
            f"{path}: an interrupted training with another {', '.join(others)}: give the same again"
            " to continue it, or delete it to start over"
        )
    if recipe != origin.recipe and found.get("steps", origin.steps) != origin.steps:
        was = f"STEPS={found['steps']}" if found["steps"] else "the steps of the recipe"
        raise OtherTrainingError(
            f"{path}: an interrupted training of {was}: give the same again to continue it, or"
            " delete it to start over"
        )
    if recipe != origin.recipe:
        log.warning(f"{path}: of another recipe; starting over")
        return None
    return found


def _values(stored: Any, made: dict[int, Any]) -> Any:
    """What is stored as it was saved: tensors, plain values, and dicts, lists and tuples of them;
    ValueError for anything else. What stands in several places is `made` once."""
    if stored is None or isinstance(stored, bool | int | float | str):
        return stored
    if id(stored) not in made:
        if isinstance(stored, StoredTensor):
            whole = math.prod(stored.shape) * stored.dtype.itemsize <= stored.storage.size
            if not stored.plain or not whole:
                raise ValueError(f"a tensor that is none of a training: {stored.kind}")
            made[id(stored)] = stored.tensor()
        elif isinstance(stored, dict):
            made[id(stored)] = {key: _values(value, made) for key, value in stored.items()}
        elif isinstance(stored, list | tuple):
            made[id(stored)] = type(stored)([_values(value, made) for value in stored])
        else:
            raise ValueError(f"holds {type(stored).__name__}, which no training saves")
    return made[id(stored)]


def _said(origin: Origin) -> dict[str, Any]:
    return {"recipe": origin.recipe, "inputs": dict(origin.inputs), "steps": origin.steps}
