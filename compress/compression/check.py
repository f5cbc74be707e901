"""How good a network is on the calibration sessions: what decides whether it is tuned, and which
weights are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress import evaluate, tasks
from compress.artifacts import COMPRESSED
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.lower import lower
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.quantization.signals import Calibration


def float_error(loaded: Checkpoint, sessions: Sequence[Path]) -> float | None:
    """Of a network as it is, in its task's unit; None when the sessions say nothing of what is
    right."""
    graph = lower(loaded)
    read = evaluate.read_heldout(graph, list(sessions))
    return tasks.of(graph).error(graph, read.float_frames(graph), read.recorded)


def integer_error(
    loaded: Checkpoint, model: Any, tendon: Mapping[str, Any], sessions: Sequence[Path]
) -> float | None:
    """Of the integers that a compressed copy of `loaded` will become, calibrated on the same
    sessions."""
    compressed = dataclasses.replace(
        loaded, model=model, hyper_parameters=loaded.hyper_parameters | {"tendon": dict(tendon)}
    )
    graph = lower(compressed)
    read = evaluate.read_heldout(graph, list(sessions))
    integer = quantize(graph, observe(graph, Calibration(graph, sessions)), COMPRESSED)
    return tasks.of(graph).error(integer, read.integer_frames(integer), read.recorded)
