"""What is said to the user beside a result: one line, once in a command."""

from __future__ import annotations

import functools
import sys

from tqdm import tqdm


@functools.cache
def once(line: str) -> None:
    """Say it on standard error, above a progress bar if there is one."""
    tqdm.write(line, file=sys.stderr)
