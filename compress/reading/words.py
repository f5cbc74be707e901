"""Words from a file in a message."""

from __future__ import annotations

import unicodedata

LONGEST = 300
_NOT_PRINTED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def one_line(text: object, longest: int = LONGEST) -> str:
    """Whatever it is as one line: no control characters, no line breaks, not longer than that."""
    said = " ".join(str(text)[: 8 * longest].split())
    said = "".join(ascii(c)[1:-1] if unicodedata.category(c) in _NOT_PRINTED else c for c in said)
    return said if len(said) <= longest else f"{said[: longest - 1]}…"


def advised(said: object, advice: str) -> str:
    """What is wrong, and what to do about it where the words do not say so themselves."""
    return str(said) if ";" in str(said) else f"{said}; {advice}"
