"""The errors a user can cause or mend. `compress.cli.run` catches them, once: exit code 2 for a
UsageError, 1 for every other TendonError.

A message says what was expected, what was found and what to do.
"""

from __future__ import annotations

import re

# Characters that a terminal obeys, that turn the direction of text, or that no encoding holds.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text with such characters as their codes (\\x1b), so that names from a file cannot do
    anything to a terminal; line breaks and tabs stay."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


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
