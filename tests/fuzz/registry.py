"""Every reader of files that is tried: the `READERS` of the modules `of_*.py` beside this one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.fuzz.reader import Reader


def modules() -> list[str]:
    """Names of the modules that hold readers."""
    return sorted(f"{__package__}.{p.stem}" for p in Path(__file__).parent.glob("of_*.py"))


def readers() -> dict[str, Reader]:
    """All of them by name."""
    found = [reader for name in modules() for reader in import_module(name).READERS]
    by_name = {reader.name: reader for reader in found}
    assert len(by_name) == len(found), "two readers of one name"
    return by_name
