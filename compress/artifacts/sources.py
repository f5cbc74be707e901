"""What the artifacts of a network are made from, as the options of a command name it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sources:
    """Of one network. What is None, or empty, is not given: the shipped checkpoint (of a network
    file the weights that it gives), the simulated recordings, and what calibrates among them.

    Args:
        checkpoint: the user's, of the network before it is compressed.
        data: folder of sessions of the network's task.
        calibration: one recording or `.npy` to calibrate on instead.
        split: files that say which sessions of `data` train, validate and test.
        users: whose sessions of `data`.
        window: samples at a time, of a network that is not causal.
    """

    checkpoint: Path | None = None
    data: Path | None = None
    calibration: Path | None = None
    split: tuple[Path, ...] = ()
    users: tuple[str, ...] = ()
    window: int | None = None
