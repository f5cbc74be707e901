"""A headless browser that looks at a page, runs a script of the test in it, and gives back what it
then shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)


def needed() -> None:
    """Skip a test where there is no browser."""
    if shutil.which("chromium") is None:
        pytest.skip(
            "chromium is not installed (Debian: apt-get install chromium) and could not be: nobody"
            " looked at the page"
        )


def chromium(folder: Path, page: Path, *options: str) -> str:
    """Open a page of `folder` in a window of 1200 × 3200; returns what the browser says."""
    command = [
        "chromium",
        *(f"--{name}" for name in CHROMIUM),
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1200,3200",
        *options,
    ]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120)
    shutil.rmtree(folder / "profile", ignore_errors=True)
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout


def after(folder: Path, page: Path, script: str, *options: str) -> dict[str, str]:
    """What `script` put into `document.documentElement.dataset` when it ran behind the page's own
    scripts. It is let in beside them; all else that the page forbids stays forbidden."""
    text, script = page.read_text(encoding="utf-8"), f"<script nonce=test>{script}</script>"
    text = text.replace("; script-src ", "; script-src 'nonce-test' ", 1)
    seen = page.with_name("seen.html")
    seen.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    shown = chromium(folder, seen, "--dump-dom", *options)
    root = re.search(r"<html[^>]*>", shown)
    assert root is not None, shown[:500]
    return dict(re.findall(r'data-(\w+)="([^"]*)"', root.group()))
