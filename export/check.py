"""`check`: would an exported model overflow a 32-bit accumulator? Read from the file itself,
whoever wrote it."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from compress.errors import TendonError

CHECKS = {".onnx": "export.onnx.lint", ".tflite": "export.tflite.lint"}  # whose `check` reads it


def run(args: argparse.Namespace) -> None:
    """The command."""
    print(check(args.path))


def check(path: Path) -> str:
    """One line about a model that is safe; TendonError names what could overflow, or is wrong with
    the file."""
    if path.suffix not in CHECKS:
        raise TendonError(
            f"{path}: expected a file ending in {' or '.join(CHECKS)}, found"
            f" {path.suffix or 'no ending'!r}"
        )
    return str(import_module(CHECKS[path.suffix]).check(path))
