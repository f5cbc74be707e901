"""One forward of a network on silence: whether the file says the right electrodes, and whether what
comes out has the layout that a network file promises."""

from __future__ import annotations

import traceback

import torch
from torch import Tensor, nn

from compress.errors import TendonError
from compress.frontend.own.description import Description
from compress.frontend.own.named import NetworkFile

_SECONDS = (1, 4, 16)  # of a stream: it may need many samples for its first frame


def check(file: NetworkFile, said: Description, model: nn.Module) -> None:
    """TendonError when forward takes or gives something else than (batch, electrodes, samples) ->
    (batch, outputs, frames), or (batch, outputs) of a network that has a window."""
    lengths = [said.window] if said.window else [s * said.sample_rate for s in _SECONDS]
    error: Exception | None = None
    for samples in lengths:
        try:
            with torch.no_grad():
                found = model(torch.zeros(1, said.electrodes, samples))
        except Exception as raised:
            error = error or raised
        else:
            return _check_layout(file, said, found)
    raise TendonError(_refused(file, said, error, lengths[0]))


def _refused(file: NetworkFile, said: Description, error: Exception | None, samples: int) -> str:
    """What forward raised, where in the user's files, and what it was given."""
    frames = traceback.extract_tb(None if error is None else error.__traceback__)
    own = [f for f in frames if f.filename.startswith(str(file.path.parent))]
    where = f"{own[-1].filename}, line {own[-1].lineno}" if own else str(file.path)
    reason = next(iter(str(error).splitlines()), "")
    window = f" and WINDOW={said.window}" if said.window else ""
    return (
        f"{where}: forward of {file.path.name} refused (batch, electrodes, samples) ="
        f" (1, {said.electrodes}, {samples}): {type(error).__name__}: {reason}; check"
        f" ELECTRODES={said.electrodes}{window}, and that the network takes its input so"
    )


def _check_layout(file: NetworkFile, said: Description, found: object) -> None:
    expected = "(batch, outputs)" if said.window else "(batch, outputs, frames)"
    dimensions = 2 if said.window else 3
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if isinstance(found, Tensor) and found.ndim == dimensions and found.shape[0] == 1:
        if said.classes is None or found.shape[1] == len(said.classes):
            return
        raise TendonError(
            f"{file.path}: CLASSES: expected a name for each of the network's {found.shape[1]}"
            f" outputs, found {len(said.classes)} for an output of shape {shape}"
        )
    other = (
        "leave WINDOW for a network that gives frames"
        if said.window
        else "give WINDOW in the file if the network answers once per window"
    )
    raise TendonError(f"{file.path}: expected forward to give {expected}, found {shape}; {other}")
