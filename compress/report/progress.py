"""How far long work is: a bar on a terminal, elsewhere a line every ten per cent."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

from tqdm import tqdm

log = logging.getLogger(__name__)


class _Nowhere(io.TextIOBase):
    """Where a bar that is lines writes what only a terminal understands."""

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)


class Bar(tqdm):  # type: ignore[type-arg]
    """tqdm's bar with its arguments, on standard error. Where that is no terminal, as in the log of
    a server, a line of its own says each tenth of the work that was passed; what has no known end
    says nothing there. Silent where nobody listens to what is said of this module (`-q`, or a
    program that has not asked for it)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._tenths = 0
        self._lines = not sys.stderr.isatty()
        if not log.isEnabledFor(logging.INFO):
            options["disable"] = True
        file = _Nowhere() if self._lines else sys.stderr
        super().__init__(*args, **({"file": file, "dynamic_ncols": True} | options))

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        """As tqdm's, but for lines."""
        if not self._lines:
            return super().display(msg, pos)
        tenths = int(10 * self.n / self.total) if self.total else 0
        if tenths > self._tenths:
            self._tenths = tenths
            log.info(
                "%s: %d %% (%s of %s)", self.desc or "done", 10 * tenths, self.n, self._of_all()
            )
        return True

    def _of_all(self) -> str:
        """`240 frames`"""
        return f"{self.total:g} {self.unit}{'' if self.total == 1 else 's'}"
