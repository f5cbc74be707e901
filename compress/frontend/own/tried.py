"""One forward of a network on silence: whether the file says the right electrodes, and whether what
comes out has the layout that a network file promises."""

from __future__ import annotations

import traceback

import torch
from torch import Tensor, nn

from compress.errors import TendonError
from compress.frontend.own.asked import Asked
from compress.frontend.own.description import Description

_SECONDS = (1, 4, 16)  # of a stream: it may need many samples for its first frame


def check(asked: Asked, said: Description, model: nn.Module) -> None:
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
            return _check_layout(asked, said, found)
    raise TendonError(_refused(asked, said, error, lengths[0]))


def _refused(asked: Asked, said: Description, error: Exception | None, samples: int) -> str:
    """What forward raised, where in the user's files, and what it was given."""
    frames = traceback.extract_tb(None if error is None else error.__traceback__)
    folder = None if asked.file is None else str(asked.file.parent)
    own = [f for f in frames if folder is not None and f.filename.startswith(folder)]
    where = f"{own[-1].filename}, line {own[-1].lineno}" if own else asked.where
    reason = next(iter(str(error).splitlines()), "")
    window = f" and {asked.name('window')}={said.window}" if said.window else ""
    return (
        f"{where}: forward of {asked.title} refused (batch, electrodes, samples) ="
        f" (1, {said.electrodes}, {samples}): {type(error).__name__}: {reason}; check"
        f" {asked.name('electrodes')}={said.electrodes}{window}, and that the network takes its"
        " input so"
    )


def _check_layout(asked: Asked, said: Description, found: object) -> None:
    expected = "(batch, outputs)" if said.window else "(batch, outputs, frames)"
    dimensions = 2 if said.window else 3
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if isinstance(found, Tensor) and found.ndim == dimensions and found.shape[0] == 1:
        if said.classes is None or found.shape[1] == len(said.classes):
            return
        raise TendonError(
            f"{asked.where}: {asked.name('classes')}: expected a name for each of the network's"
            f" {found.shape[1]} outputs, found {len(said.classes)} for an output of shape {shape}"
        )
    other = (
        f"leave {asked.name('window')} for a network that gives frames"
        if said.window
        else f"give {asked.name('window')}{' in the file' if asked.by_file else ''} if the network"
        " answers once per window"
    )
    raise TendonError(f"{asked.where}: expected forward to give {expected}, found {shape}; {other}")
