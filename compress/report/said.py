"""What is said to the user beside a result: a line, once in a command."""

from __future__ import annotations

import functools
import logging

log = logging.getLogger(__name__)


def begin() -> None:
    """A command begins, which has said nothing yet."""
    noted.cache_clear()
    once.cache_clear()


@functools.cache
def noted(line: str) -> None:
    """Say it, once in a command, which may read a file several times."""
    log.info("%s", line)


@functools.cache
def once(line: str) -> None:
    """Say it as a warning, once in a command."""
    log.warning("%s", line)
