"""What a published family of networks answers for: the record that each folder here fills in.

A record imports nothing of torch until a network is built, lowered or run, so that the names and
hyper-parameters of all families cost nothing to read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from compress.frontend.builder import Builder
    from compress.frontend.checkpoint import Checkpoint


@dataclass(frozen=True)
class Published:
    """What the authors report on real data, and where: the value, and with a language model."""

    metric: str
    unit: str
    value: float
    value_with_lm: float
    gmacs_per_s: float
    source: str


class Family(ABC):
    """Networks that one published code base describes, or that are alike in another way.

    Task, features and rate are those of its networks; where each has its own, the record that
    `of` gives has them.
    """

    task: str  # the folder of compress/tasks that they are for
    source: ClassVar[str]  # the code base
    keys: ClassVar[tuple[str, ...]]  # of the hyper-parameters that tell them
    options: ClassVar[tuple[str, ...]] = ()  # other hyper-parameters that a network depends on
    networks: ClassVar[dict[str, dict[str, Any]]]  # the published ones: hyper-parameters by name
    reported: ClassVar[dict[str, Published]] = {}  # by the authors, for some of these
    shipped: ClassVar[tuple[str, ...]] = ()  # names of those with a checkpoint in this repository
    features: int  # of an input sample
    sample_rate: int  # Hz
    forward_is_stream: ClassVar[bool]  # whether `forward` gives the frames that a stream gives

    def of(self, hyper_parameters: dict[str, Any]) -> Family:
        """The record of one network, which these describe."""
        return self

    def named(self, hyper_parameters: dict[str, Any]) -> str | None:
        """The name of a network that is no published one, if it has one."""
        return None

    @abstractmethod
    def build(self, hyper_parameters: dict[str, Any]) -> nn.Module:
        """The network that these describe, untrained, with the published keys; CheckpointError
        names what is not supported."""

    def check(self, hyper_parameters: dict[str, Any]) -> None:
        """CheckpointError for a network that can be built but has no stream."""
        return None

    @abstractmethod
    def structure(self, hyper_parameters: dict[str, Any]) -> Any:
        """What makes a network this one and no other, to be compared by ==."""

    @abstractmethod
    def lower(self, b: Builder, model: Any, window: int | None) -> dict[str, Any] | None:
        """Append the network's operators; returns what provenance says of them beside the task, if
        anything. `window`: samples at a time, None for a stream."""

    @abstractmethod
    def forward(
        self, loaded: Checkpoint, samples: Tensor, initial: npt.NDArray[np.float32] | None
    ) -> Tensor:
        """The published whole-sequence forward: samples (n, features), what a stream begins with
        if anything -> (frames, outputs)."""

    def window(self, model: Any) -> int | None:
        """Samples that a network which is not causal sees at a time, unless told otherwise; None
        for one that is, which runs as a stream."""
        return None

    def initial_inputs(self, hyper_parameters: dict[str, Any]) -> tuple[str, ...]:
        """Names of what a stream of this network begins with, beside its samples."""
        return ()

    def nothing_yet(self, outputs: int) -> float:
        """What every output stands at before the first valid frame of a stream."""
        return 0.0

    def factorable(self, module: str) -> bool:
        """Whether compression may store the matrix of this module, by its path, as two factors."""
        return False
