"""One form for every matrix: the least expected harm within the budget, exactly, as a small integer
program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from compress.compression.budget import Budget, BudgetError
from compress.compression.candidates import Form, Layer
from compress.compression.sensitivity import Sensitivity, harm


@dataclass(frozen=True)
class Choice:
    """A form for each layer, in their order."""

    forms: tuple[Form, ...]

    @property
    def has_one_width(self) -> bool:
        """Whether all matrices have the same bits."""
        return len({form.bits for form in self.forms}) == 1

    def bytes(self) -> int:
        return sum(form.bytes for form in self.forms)

    def cycles(self) -> float:
        return sum(form.cycles for form in self.forms)


def choose(
    layers: Sequence[Layer],
    sensitivity: Sensitivity,
    budget: Budget,
    other_bytes: int = 0,
    other_cycles: float = 0.0,
) -> Choice:
    """The choice of least harm. `other_*`: what the network takes besides its matrices.

    BudgetError says what the smallest and the fastest choice take when none fits.
    """
    harms = [
        [harm(form, sensitivity.get(layer.module, {})) for form in layer.forms] for layer in layers
    ]
    room = budget.tables - other_bytes
    time = None if budget.cycles is None else budget.cycles - other_cycles
    found = _least(layers, harms, room, time) or _smallest(layers, room, time, budget.one_width)
    if found is None:
        raise BudgetError(_refusal(layers, budget, other_bytes, other_cycles))
    return found


def _least(
    layers: Sequence[Layer], harms: Sequence[Sequence[float]], room: float, time: float | None
) -> Choice | None:
    """The forms with the least sum of `harms` whose bytes and cycles fit, or None."""
    cost = np.concatenate([np.asarray(h, float) for h in harms])
    owner = np.repeat(np.arange(len(layers)), [len(layer.forms) for layer in layers])
    one_each = (owner == np.arange(len(layers))[:, None]).astype(float)
    limits = [
        LinearConstraint(one_each, 1, 1),
        _limit([f.bytes for layer in layers for f in layer.forms], room),
    ]
    if time is not None:
        limits.append(_limit([f.cycles for layer in layers for f in layer.forms], time))
    scale = cost.max(initial=0.0) or 1.0
    found = milp(
        cost / scale,
        constraints=limits,
        integrality=np.ones_like(cost),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        return None
    forms = [form for layer in layers for form in layer.forms]
    return Choice(tuple(form for form, taken in zip(forms, found.x, strict=True) if taken > 0.5))


def _fewest_bytes(layers: Sequence[Layer]) -> Choice:
    return Choice(tuple(min(layer.forms, key=lambda form: form.bytes) for layer in layers))


def _smallest(
    layers: Sequence[Layer], room: float, time: float | None, one_width: int
) -> Choice | None:
    """The choice of fewest bytes, if it fits: the solver gives up at the very edge, and does not
    know that matrices of the same bits leave `one_width` bytes of code to spare."""
    found = _fewest_bytes(layers)
    fits = found.bytes() <= room + (one_width if found.has_one_width else 0) and (
        time is None or found.cycles() <= time
    )
    return found if fits else None


def _limit(each: Sequence[float], most: float) -> LinearConstraint:
    """Σ each ≤ most, in shares of it, less ten times the solver's tolerance: a sum within that of
    its limit makes it give up."""
    return LinearConstraint(
        np.asarray(each)[None] / max(most, 1.0), -np.inf, 1.0 - 1e-5 if most > 0 else -1.0
    )


def _refusal(layers: Sequence[Layer], budget: Budget, other_bytes: int, other_cycles: float) -> str:
    smallest = _fewest_bytes(layers)
    room = budget.tables + (budget.one_width if smallest.has_one_width else 0)
    fastest = sum(min(f.cycles for f in layer.forms) for layer in layers) + other_cycles
    have = f"{room:,} bytes of tables (of {budget.flash:,} of flash)"
    if budget.cycles is not None:
        have += f" and {budget.cycles / 1e6:,.0f} million cycles a second"
    return (
        f"expected a network within {have}; the smallest that can be chosen takes"
        f" {smallest.bytes() + other_bytes:,} bytes and the fastest"
        f" {fastest / 1e6:,.1f} million cycles; give more flash, a faster board, or a"
        " smaller network"
    )
