"""What a fine-tuning was, and whether it helped."""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH = 0.02  # relative loss up to which a compressed network is left as it is


@dataclass(frozen=True)
class Tuned:
    """Errors on the calibration sessions: the whole float network's, and those of the compressed
    one's integers before and after.

    `after` is None, and `steps` 0, where there was no tuning. What came out better is kept.
    """

    steps: int
    metric: str
    unit: str
    whole: float
    before: float
    after: float | None

    @property
    def kept(self) -> bool:
        """Whether the tuned weights are the better ones."""
        return self.after is not None and self.after <= self.before
