"""What is said to the user beside a result: one line, once in a command."""

from __future__ import annotations

import functools
import logging

log = logging.getLogger(__name__)


@functools.cache
def once(line: str) -> None:
    """Say it as a warning, once in a process."""
    log.warning("%s", line)
