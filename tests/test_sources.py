"""The tree itself: what is installed, and how its text is set."""

from __future__ import annotations

import tomllib

from tests.conftest import ROOT

PACKAGES = ("bench", "compress", "export", "host")


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    there = {".".join(file.relative_to(ROOT).parent.parts) for file in files}
    assert sorted(listed) == sorted(there)
    assert all((ROOT / name.replace(".", "/") / "__init__.py").is_file() for name in there)
