"""What a line of the front end's table holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compress.frontend.trace.writer import Writer

Values = dict[str, Any]  # arguments by the names of the function's schema
Handler = Callable[[Writer, Values], Any]
