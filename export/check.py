"""`check`: would an exported model overflow a 32-bit accumulator? Read from the file itself,
whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compress.errors import TendonError
from export.onnx import lint as onnx_lint
from export.tflite import lint as tflite_lint

CHECKS: dict[str, Callable[[Path], str]] = {".onnx": onnx_lint.check, ".tflite": tflite_lint.check}


def check(path: Path) -> str:
    """One line about a model that is safe; TendonError names what could overflow, or is wrong with
    the file."""
    if path.suffix not in CHECKS:
        raise TendonError(
            f"{path}: expected a file ending in {' or '.join(CHECKS)}, found"
            f" {path.suffix or 'no ending'!r}"
        )
    return CHECKS[path.suffix](path)
