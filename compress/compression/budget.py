"""What a compressed network may take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from compress.errors import TendonError

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
MOST = 1 << 32  # bytes: what a microcontroller addresses
SHARE = 0.9  # of the flash that is named; the rest is for the application around the network
CODE = 24 * 1024  # kernels, application and port, as the export allows for


class BudgetError(TendonError):
    """No choice of forms fits the budget; the message says what the smallest takes."""


@dataclass(frozen=True)
class Budget:
    """Bytes of flash for the whole image, and core cycles per second of signal for the network
    (None: any).

    `code`: bytes of the image beside its tables, and `one_width` of them what it does without where
    all matrices have the same bits. `other_tables`: bytes of tables beside the
    matrices, where an image was linked; None: they are counted. `share`: of the flash, that may be
    used.
    """

    flash: int
    cycles: float | None = None
    code: int = CODE
    one_width: int = 0
    other_tables: int | None = None
    share: float = SHARE

    @property
    def tables(self) -> int:
        """Bytes that the network's constants may take."""
        return int(self.flash * self.share) - self.code


def parse_bytes(text: str) -> int:
    """`2M`, `384K` or plain bytes, in powers of 1,024; TendonError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KM]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = float(found[1]) * UNITS[found[2].upper()] if found else 0.0
    if not 1 <= size <= MOST:
        raise TendonError(
            f"expected a size such as 2M, 384K or 400000 (bytes), found {text[:40]!r}"
        )
    return int(size)
