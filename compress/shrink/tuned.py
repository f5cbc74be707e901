"""What a fine-tuning was, and whether it helped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuned:
    """Errors of the compressed float network on the calibration session, its 4-bit weights rounded; the better one is kept."""

    steps: int
    metric: str
    unit: str
    before: float
    after: float

    @property
    def kept(self) -> bool:
        """Whether the tuned weights are the better ones."""
        return self.after <= self.before
