"""What library code says through `logging`, as lines of a command. A program that uses the packages
as a library hears nothing, but warnings, until it sets up logging of its own."""

from __future__ import annotations

import logging
import sys

from tqdm import tqdm

from compress.errors import printable

PACKAGES = ("compress", "export", "host", "bench")
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)  # -q, neither, -v


class _Lines(logging.Handler):
    """On standard error, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        tqdm.write(printable(self.format(record)), file=sys.stderr)


def listen(level: int) -> None:
    """Show what the four packages say from this level on; with DEBUG also when and where."""
    lines = _Lines()
    if level <= logging.DEBUG:
        lines.setFormatter(logging.Formatter("%(relativeCreated)7.0f ms %(name)s: %(message)s"))
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.handlers = [lines]
        logger.propagate = False
