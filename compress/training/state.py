"""What every training here shares: the rate's schedule, and a state on disk from which an
interrupted one continues."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from compress.errors import CheckpointError
from compress.files import replace_atomically
from compress.frontend import checkpoint


def share_of_rate(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a cosine to nothing."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def origin(model_name: str, sessions: Sequence[Path], recipe: Any) -> str:
    """Hash of all that a training's result depends on: network, recipe (a dataclass) and
    recordings."""
    digest = hashlib.sha256(json.dumps([model_name, dataclasses.asdict(recipe)]).encode())
    for path in sessions:
        digest.update(checkpoint.sha256(path).encode())
    return digest.hexdigest()


def save(path: Path, origin: str, content: dict[str, Any]) -> None:
    """Write the state of an interrupted training aside and rename it."""
    buffer = io.BytesIO()
    torch.save({"origin": origin} | content, buffer)
    replace_atomically(path, buffer.getvalue())


def load(path: Path, origin: str) -> dict[str, Any] | None:
    """The state to continue from if it belongs to the same recipe and recordings; else None, and
    training starts over."""
    if not path.is_file():
        return None
    try:
        found = torch.load(path, weights_only=True)
    except Exception as error:  # a damaged zip raises whatever its reader meets first
        raise CheckpointError(
            f"{path}: damaged ({type(error).__name__}): delete it to start over"
        ) from error
    if found.get("origin") != origin:
        print(f"{path}: from other recordings or another recipe; starting over")
        return None
    return dict(found)
