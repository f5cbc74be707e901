"""The recordings of the task, and simulated ones for any network: forces of some muscles."""

from __future__ import annotations

import functools
from pathlib import Path

from compress.data import own_recording
from compress.data.recordings import Collection, Split
from compress.tasks import labelled
from compress.tasks.shape import Shape

SPLITS = {"train": Split(6, 40.0), "calibration": Split(1, 30.0), "heldout": Split(3, 40.0)}


def _make(
    path: Path,
    split: str,
    number: int,
    seconds: float,
    seed: int,
    start: float,
    origin: str,
    *,
    shape: Shape,
) -> None:
    from compress.data.simulator import activity  # needs scipy, which is slow to import

    band = activity.Band(float(shape.rate), shape.electrodes)
    emg, target = activity.forces(split, number, seconds, seed, band, shape.outputs)
    own_recording.write(path, {"emg": emg, "rate": band.rate, "target": target}, origin)


def collection_for(shape: Shape) -> Collection:
    """Of networks of this shape."""
    return labelled.collection("values", shape, functools.partial(_make, shape=shape), SPLITS)
