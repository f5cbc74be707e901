"""The pieces of a sweep: what a job is, what all jobs share, and how results are remembered.

A job runs alone, in any process or on any machine that sees the same files. Results lie in
build/pareto/results under the hash of everything they depend on: code, checkpoint or graph,
recording, decoder, character model, boards. They are written aside and renamed, so a sweep that was
interrupted continues with what is there, and one whose inputs changed finds nothing.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from compress import artifacts
from compress.artifacts import COMPRESSED, Folder, Sources
from compress.files import write_atomically, write_json
from compress.frontend.own.named import NetworkFile
from compress.graph import Array, npy
from compress.graph.kept import mapped
from compress.reading import arrays

Result = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What all jobs of one task share; small, it travels with each. `boards`: names of those to
    choose from (none: all emulated ones); `compressed`: checkpoints of those models that `compress`
    made smaller; `networks`: files of the user's that hold some of them; `sources`: what their
    folders remember from then on. What is no text is read by one decoder, named ""."""

    build: Path
    checkpoints: dict[str, Path]
    calibration: tuple[Path, ...]
    heldout: tuple[Path, ...]
    precisions: tuple[str, ...]
    decoders: tuple[str, ...]
    lm: Path
    boards: tuple[str, ...] | None = None
    compressed: dict[str, Path] = field(default_factory=dict)
    networks: dict[str, NetworkFile] = field(default_factory=dict)
    sources: dict[str, Sources] = field(default_factory=dict)
    task: str = field(kw_only=True)

    def precisions_of(self, model: str) -> tuple[str, ...]:
        """Those it is swept at."""
        return tuple(p for p in self.precisions if p != COMPRESSED or model in self.compressed)

    def folder(self, model: str, precision: str) -> Folder:
        """Where the artifacts of a model at a precision lie."""
        return Folder(self.build, model, precision, network=self.networks.get(model))

    @property
    def results(self) -> Path:
        return self.build / "pareto" / "results"


@dataclass(frozen=True)
class Job:
    """One piece of work: a model is quantized; with a precision, placed on a board; with a session
    too, it reads that session.

    A compressed network has a checkpoint of its own: its placing quantizes it first."""

    model: str
    precision: str = ""
    session: Path | None = None

    @property
    def name(self) -> str:
        return " ".join(
            [
                self.model,
                self.precision or "quantize",
                *([self.session.stem] if self.session else []),
            ]
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its result, or why there is none."""

    job: Job
    result: Result | None
    error: str = ""


def remembered(setting: Setting, key: str, make: Callable[[], Result]) -> Result:
    """The result stored under a key, or a new one, stored."""
    path = setting.results / f"{key}.json"
    if artifacts.is_whole(path):
        known: Result = json.loads(path.read_text(encoding="utf-8"))
        return known
    result = make()
    write_json(path, result)
    artifacts.seal(path)
    return result


def remembered_arrays(
    setting: Setting, key: str, make: Callable[[], dict[str, Array]]
) -> dict[str, Array]:
    """The same for arrays (n, …) by name, which may lie on disk."""
    path = setting.results / f"{key}.npz"
    if artifacts.is_whole(path):
        return {
            name: mapped(array)
            for name, array in arrays.mapped_members(path, arrays.names(path)).items()
        }
    made = make()
    write_atomically(path, lambda file: _pack(file, made))
    artifacts.seal(path)
    return made


def _pack(file: IO[bytes], made: dict[str, Array]) -> None:
    """As `np.savez_compressed` does, some rows at a time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in made.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write(member, [array])
