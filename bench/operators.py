"""docs/operators.md: every operator, what each export format says of it, and what computes it on
each core. Written from the formats' own tables, so it cannot say anything else than they do."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.bare import cases
from bench.speed import rows
from compress.files import replace_atomically
from compress.ops import FLOAT, INTEGER, OPERATORS, Op
from export.boards import FIRMWARE
from export.c import ops as c
from export.onnx import ops as onnx
from export.tflite import ops as tflite
from export.tflm import ops as tflm

NN = FIRMWARE / "nn"
PAGE = Path(__file__).parent.parent / "docs" / "operators.md"
# and the macro of their instructions
CORES = {"Cortex-M4, M7, M33": "NN_DSP", "Cortex-M55": "NN_MVE"}
MARKS = {  # what a source has that asks for these instructions, by itself or by nn_intrinsics.h
    "NN_DSP": r"\bNN_DSP\b|\bnn_(smla|smlad|smmulr|smmlar|ssat16|lut_pair|store_pair|copy)\w*\(",
    "NN_MVE": r"\bNN_MVE\b|_mve\b",
}
YES = "yes"
INTRO = """# Operators

Written by `make docs`; `make test` refuses an old one. To add an operator, see
[own-operator.md](own-operator.md).

An operator has a float form, an integer form, or both. *yes* means that the format has it; a number
is the reason below why it has not. For the C project the kernels of `firmware/nn` are named. On a
core a kernel is *fast* where it has code for that core's instructions, *portable* where plain C
does; all give the same bits.
"""


def pairs() -> list[tuple[str, type[Op] | None, type[Op] | None]]:
    """(title, float form, integer form), by title; a form that only one side has stands alone."""
    integers = {kind.code.removeprefix("int."): kind for kind in INTEGER}
    found: list[tuple[str, type[Op] | None, type[Op] | None]] = [
        (kind.__name__, kind, integers.pop(kind.code, None)) for kind in FLOAT
    ]
    found += [(kind.__name__, None, kind) for kind in integers.values()]
    return sorted(found, key=lambda pair: pair[0].removeprefix("Int" if pair[1] is None else ""))


def page() -> str:
    """The whole page in Markdown."""
    reasons: list[str] = []

    def cell(answer: Any) -> str:
        """ "yes", or the number of a reason."""
        if not isinstance(answer, str):
            return YES if answer is not None else ""
        if answer not in reasons:
            reasons.append(answer)
        return f"[{reasons.index(answer) + 1}]"

    formats = ("ONNX float", "ONNX QDQ", "TFLite", "TFLite-Micro")
    head = ["operator", "code in graph files", *formats, "C kernels", *CORES, "floor"]
    lines = [line(head), line(["---"] * len(head))]
    for title, real, integer in pairs():
        codes = ", ".join(f"`{kind.code}`" for kind in (real, integer) if kind)
        answers = [
            cell(onnx.FLOAT.get(real)) if real else "",
            *(cell(table.get(integer)) if integer else "" for table in _INTEGER_TABLES),
        ]
        entry = c.TABLE.get(integer) if integer else None
        kernels = () if entry is None or isinstance(entry, str) else entry.kernels
        named = ", ".join(f"`{k}`" for k in kernels) or (cell(entry) if entry else "")
        speeds = [_speed(kernels, macro) for macro in CORES.values()]
        lines.append(line([title, codes, *answers, named, *speeds, _floor(kernels)]))
    notes = [
        textwrap.fill(f"{number}. {reason}", 100, subsequent_indent="   ")
        for number, reason in enumerate(reasons, 1)
    ]
    return "\n".join([INTRO, *lines, "", "Reasons:", "", *notes, ""])


_INTEGER_TABLES = (onnx.INTEGER, tflite.TABLE, tflm.TABLE)


def line(cells: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def _speed(kernels: tuple[str, ...], macro: str) -> str:
    """Whether some kernel of an operator has code for these instructions."""
    if not kernels:
        return ""
    return "fast" if any(_uses(kernel, macro) for kernel in kernels) else "portable"


def _uses(kernel: str, macro: str) -> bool:
    """Whether a kernel's source, or a header of its own that it includes, asks for the macro."""
    source = (NN / f"{kernel}.c").read_text(encoding="utf-8")
    own = re.findall(r'#include "(nn_(?!intrinsics)\w+\.h)"', source)
    text = source + "".join((NN / name).read_text(encoding="utf-8") for name in own)
    return re.search(MARKS[macro], text) is not None


def _floor(kernels: tuple[str, ...]) -> str:
    """Whether `make bench` holds the kernels against a floor."""
    names = {function: case for case, function in cases.FUNCTIONS.items()}
    known = [names.get(k, k.removeprefix("nn_").removesuffix("_s16")) for k in kernels]
    if not known:
        return ""
    return YES if any(case not in rows.WITHOUT_FLOOR for case in known) else "none"


def run(_: argparse.Namespace) -> None:
    """Write this page and that of the networks."""
    from bench import networks  # torch

    replace_atomically(PAGE, page().encode())
    print(f"{len(OPERATORS)} operators: wrote docs/{PAGE.name}\n{networks.write()}")
