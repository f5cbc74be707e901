"""What library code says through `logging`, as lines of a command. A program that uses the packages
as a library hears nothing, but warnings, until it sets up logging of its own."""

from __future__ import annotations

import logging
import sys

from compress.errors import printable

PACKAGES = ("compress", "export", "host", "bench")
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)  # -q, neither, -v


class _Lines(logging.Handler):
    """On standard error, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Where tqdm was never imported, which is slow, there is no bar."""
        line, tqdm = printable(self.format(record)), sys.modules.get("tqdm")
        if tqdm is None:
            print(line, file=sys.stderr)
        else:
            tqdm.tqdm.write(line, file=sys.stderr)


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
