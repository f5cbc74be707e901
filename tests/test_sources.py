"""The tree itself: what is installed, and how its text is set."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

COLUMNS = 100
DATA = (".arpa", ".ckpt", ".json", ".png")
PACKAGES = ("bench", "compress", "export", "host")


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    there = {".".join(file.relative_to(ROOT).parent.parts) for file in files}
    assert sorted(listed) == sorted(there)
    assert all((ROOT / name.replace(".", "/") / "__init__.py").is_file() for name in there)


def test_no_line_is_longer_than_a_hundred_columns() -> None:
    """But data; in prose tables, code and headings; and a word that cannot be broken, as a URL.
    Lines of Python are ruff's to measure (E501)."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    paths = [ROOT / name for name in tracked if name and not name.endswith((*DATA, ".py"))]
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        if path.is_file()
        for number, line in (prose(path) if path.suffix == ".md" else lines(path))
        if len(line) > COLUMNS and " " in line.strip()
    ]
    assert paths and not long


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line)"""
    return enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of Markdown without its tables, headings, fenced and indented code."""
    fenced = False
    for number, line in lines(path):
        fenced ^= line.lstrip().startswith("```")
        if not fenced and not re.match(r"\s*\||#| {4}", line):
            yield number, line
