"""What every task's training and tuning answer to. Their recipes are `training.py` and `tuning.py`
in the task's folder and are loaded when they are asked for: they import torch, tasks do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from compress.errors import TendonError
from compress.frontend.own.named import NetworkFile

if TYPE_CHECKING:
    from compress.graph import Graph


@dataclass(frozen=True)
class TrainingRequest:
    """One training. `model`: a published name, or any name for a checkpoint's own architecture;
    `checkpoint`: whose weights to begin with; `steps` None: those of the recipe; `split`: the hash
    of the split that the sessions come from; `network`: the file of the user's that holds the
    network, if one does."""

    model: str
    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    out: Path
    checkpoint: Path | None = None
    split: str | None = None
    steps: int | None = None
    seed: int = 1
    threads: int = 2
    network: NetworkFile | None = None

    @property
    def state(self) -> Path:
        """Where an interrupted training is kept."""
        return self.out.with_name(self.out.name + ".state")


@dataclass(frozen=True)
class Trained:
    """What a training came to: figures by name, and how it validates in one line."""

    figures: Mapping[str, float]
    text: str
    recipe: Mapping[str, Any]


class Training(Protocol):
    """`training.py` of a task."""

    HELD_BACK: int  # sessions of train that validate when nothing says which

    def train(self, request: TrainingRequest) -> Trained:
        """Train from the request's seed or checkpoint, continue its state if there is one, write
        its checkpoint and remove the state."""


class Tuning(Protocol):
    """`tuning.py` of a task: a short training of a compressed network, the whole one its
    teacher."""

    BY_DEFAULT: bool  # tuned when the user names no steps

    def possible(self, model: Any) -> bool:
        """Whether this network is tuned here."""

    def recipe(self, steps: int | None, seed: int) -> Any:
        """The recipe, with so many steps if given."""

    def tune(
        self,
        student: Any,
        teacher: Any,
        bits: Mapping[str, int],
        sessions: Sequence[Path],
        recipe: Any,
        state: Path,
        origin: str,
        threads: int,
        graph: Graph,
    ) -> int:
        """Tune `student` in place; returns the steps. `state` holds an interrupted tuning of this
        `origin`, removed at the end. `graph`: the whole network, lowered."""


def training_of(task: str) -> Training:
    """How a task trains; TendonError when it does not."""
    found: Training | None = _part(task, "training")
    if found is None:
        raise TendonError(f"{task}: networks of this task are not trained here")
    return found


def tuning_of(task: str) -> Tuning | None:
    """How a task tunes compressed networks; None when it does not."""
    found: Tuning | None = _part(task, "tuning")
    return found


def _part(task: str, name: str) -> Any:
    """`compress/tasks/<task>/<name>.py`, or None where the task has no such file."""
    where = f"compress.tasks.{task}.{name}"
    return import_module(where) if find_spec(where) else None
