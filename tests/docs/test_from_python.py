"""The page on Python: its script runs as a user runs it, from a module to the words of a board."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from bench import notebook
from tests import toy
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "from-python.md").read_text()
SCRIPT = ROOT / "docs" / "examples" / "from_python.py"
CALLS = {
    name
    for name, call in vars(notebook).items()
    if inspect.isfunction(call) and call.__module__ == notebook.__name__ and name[0] != "_"
}


def test_the_script_ends_with_words_that_are_the_references(tmp_path: Path) -> None:
    toy.need_emulator()
    toy.need("gcc", "arm-none-eabi-gcc", "make")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "150 words of virtual-f405 equal the reference" in done.stdout
    assert re.search(r"^balanced error \d", done.stdout, re.MULTILINE)
    assert "TC_S4_small: (41, 99) log-probabilities" in done.stdout
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["from_python"]


def test_the_page_has_every_call_with_arguments_that_it_takes() -> None:
    rows = re.findall(r"^\| `(\w+)\(([^)]*)\)`", PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == CALLS
    for name, arguments in rows:
        known = inspect.signature(getattr(notebook, name)).parameters
        given = [word.strip() for word in arguments.split(",") if word.strip() != "…"]
        assert given == [*known][: len(given)]


def test_the_calls_that_page_and_script_show_take_such_arguments() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    found = set()
    for text in (shown, SCRIPT.read_text()):
        for node in ast.walk(ast.parse(text)):
            function = node.func if isinstance(node, ast.Call) else None
            owner = function.value if isinstance(function, ast.Attribute) else None
            if isinstance(owner, ast.Name) and owner.id == "notebook":
                call = getattr(notebook, function.attr)  # type: ignore[union-attr]
                words = {k.arg: None for k in node.keywords}  # type: ignore[attr-defined]
                inspect.signature(call).bind(*node.args, **words)  # type: ignore[attr-defined]
                found.add(call.__name__)
    assert found == CALLS


def test_every_call_says_what_it_takes_and_what_goes_wrong() -> None:
    for name in CALLS:
        text = inspect.getdoc(getattr(notebook, name)) or ""
        parameters = inspect.signature(getattr(notebook, name)).parameters
        assert text and (name == "macs" or "Raises:" in text), name
        missing = {p for p in parameters if not re.search(rf"\b{p}\b", text)} - {"graph", "folder"}
        assert not missing, (name, missing)
