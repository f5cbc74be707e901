"""The errors a user can cause or mend. `compress.cli.run` catches them, once: exit code 2 for a
UsageError, 1 for every other TendonError.

A message says what was expected, what was found and what to do.
"""

from __future__ import annotations

import unicodedata

# Characters that a terminal obeys, that turn the direction of text, or that no encoding holds.
_OBEYED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def printable(text: str) -> str:
    """The text with such characters as their codes (\\x1b), so that names from a file cannot do
    anything to a terminal; line breaks and tabs stay."""
    return "".join(ascii(c)[1:-1] if _is_obeyed(c) else c for c in text)


def _is_obeyed(sign: str) -> bool:
    return sign not in "\n\t" and unicodedata.category(sign) in _OBEYED


class TendonError(Exception):
    """Root of every error that is reported without a traceback."""


class UsageError(TendonError):
    """The command line cannot mean anything: an option, a value or two that exclude each other."""


class CheckpointError(TendonError):
    """A checkpoint cannot be read, is damaged, or belongs to another model."""


class RecordingError(TendonError):
    """A recording cannot be read, is damaged, or has another layout."""


class GraphError(TendonError):
    """A network cannot be lowered, quantized or verified; names the module path."""


class WindowError(GraphError, UsageError):
    """The window that was asked for is none that the network can see."""
