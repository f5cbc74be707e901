"""One line of the table of kernels, and what a floor is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.speed.kernel_cases import Check, Contents
from bench.speed.layers import OPERANDS, PEER


@dataclass(frozen=True)
class Floor:
    """Instructions per unit, and where they come from."""

    per_unit: float
    words: str


@dataclass(frozen=True)
class Row:
    """One line of the table. `units` are multiply-accumulates, or what `unit` says, of one call, or
    of all the calls that make a layer; `peer` is CMSIS-NN's count on these `operands`, as
    `recorded` says."""

    kernel: str
    shape: str
    core: str
    precision: str
    make: Callable[[Contents], list[Check]]
    units: int
    unit: str = "MAC"
    floor: Floor | None = None
    target: float | None = None
    peer: int | None = None
    operands: str = OPERANDS
    recorded: str = PEER


# a kernel by itself: case, shape, what makes it, units, what one is, its floor on Armv7E-M
Alone = tuple[str, str, Callable[[Contents], Check], int, str, Floor | None]


@dataclass(frozen=True)
class Step:
    """One step of a recurrent layer, several calls: what makes them for a kernel of matrices, its
    MACs, targets and CMSIS-NN's counts by core."""

    name: str
    shape: str
    make: Callable[[Contents, str], list[Check]]
    macs: int
    targets: dict[str, float]
    peers: dict[str, int]

    def row(self, core: str, precision: str, matrices: str, floor: Floor) -> Row:
        """Its line for a core; `matrices`: the case of its dense layers."""
        return Row(
            self.name,
            self.shape,
            core,
            precision,
            lambda contents: self.make(contents, matrices),
            self.macs,
            floor=floor,
            target=self.targets.get(core),
            peer=self.peers.get(core),
        )
