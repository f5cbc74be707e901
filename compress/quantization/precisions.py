"""The precisions by name: what a user chooses from, without what quantizes."""

from __future__ import annotations

from typing import NamedTuple


class Widths(NamedTuple):
    """Bits of a matrix and of what it multiplies. Sums and states have 16 bits, coefficients of a
    state space and tables too."""

    weights: int
    activations: int


# `compressed`: what `compress` wrote, whose checkpoint says which layers have four bits; the others
# have eight.
PRECISIONS = {
    "w8a16": Widths(8, 16),
    "w8a8": Widths(8, 8),
    "w4a16": Widths(4, 16),
    "compressed": Widths(8, 16),
}
