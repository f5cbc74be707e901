"""Every operator has an answer everywhere: what it means, what each export format says of it, what
computes it, and where that is written down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bench import operators
from bench.bare import cases
from bench.speed import rows
from compress import ops
from compress.ops import FLOAT, INTEGER, OPERATORS, FloatOp, IntOp, Op
from export.c import ops as c
from export.onnx import ops as onnx
from export.tflite import ops as tflite
from export.tflm import ops as tflm
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs" / "spec").glob("operators-*.md"))
SPECIFIED = "".join(page.read_text(encoding="utf-8") for page in PAGES)
KERNELS = {cases.FUNCTIONS.get(name, f"nn_{name}_s16"): name for name in cases.KERNELS}
TABLES: dict[str, tuple[Mapping[Any, Any], tuple[type[Op], ...]]] = {
    "C": (c.TABLE, INTEGER),
    "float ONNX": (onnx.FLOAT, FLOAT),
    "QDQ ONNX": (onnx.INTEGER, INTEGER),
    "TFLite": (tflite.TABLE, INTEGER),
    "TFLite-Micro": (tflm.TABLE, INTEGER),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_format_answers_for_every_operator_and_for_nothing_else(name: str) -> None:
    table, operators = TABLES[name]
    assert set(table) == set(operators)
    for kind, answer in table.items():
        reason = isinstance(answer, str)
        assert answer is not None and (not reason or len(answer.split()) > 4), (kind, answer)


def test_a_code_names_one_operator_and_says_which_form_it_is() -> None:
    assert len(OPERATORS) == len(FLOAT) + len(INTEGER)
    for code, kind in OPERATORS.items():
        assert kind.is_integer == code.startswith("int.")
        assert issubclass(kind, IntOp if kind.is_integer else FloatOp)


@pytest.mark.parametrize("kind", OPERATORS.values(), ids=OPERATORS)
def test_a_record_says_what_its_operator_is(kind: type[Op]) -> None:
    """Its meaning is its own, and so is its docstring."""
    assert kind.run is not Op.run and kind.__doc__ and not kind.__doc__.startswith(kind.__name__)


@pytest.mark.parametrize("kind", INTEGER, ids=lambda k: k.code)
def test_every_kernel_is_run_on_cases_and_has_a_floor_or_a_reason(kind: type[IntOp]) -> None:
    entry = c.TABLE[kind]
    if isinstance(entry, str):
        return
    for kernel in entry.kernels:
        assert kernel in KERNELS, f"{kernel}: no case of bench/bare runs it"
        tested = (ROOT / "tests" / "firmware" / "test_kernels.py").read_text()
        case = KERNELS[kernel]
        assert re.search(rf"\b{case.removesuffix('_s16')}\b", tested), f"{kernel}: no test"
        floors = [r for r in rows.rows() if r.kernel == case and r.floor is not None]
        assert floors or case in rows.WITHOUT_FLOOR or case.startswith("linear"), kernel


@pytest.mark.parametrize("kind", INTEGER, ids=lambda k: k.code)
def test_the_specification_has_one_heading_for_every_integer_operator(kind: type[IntOp]) -> None:
    found = re.findall(rf"^## .*`{re.escape(kind.code)}`", SPECIFIED, re.MULTILINE)
    assert len(found) == 1, f"{kind.code}: expected a heading in docs/spec/operators-*.md"


def test_the_page_of_operators_is_what_the_tables_say() -> None:
    assert operators.PAGE.read_text(encoding="utf-8") == operators.page(), "run `make docs`"


RATE = Fraction(10)
TABLE = np.zeros(257, np.int16)
BEYOND: dict[str, IntOp] = {  # fields that no kernel takes -> the message
    "expected fraction in 0…14, found 20": ops.IntIntegrate(("x",), "y", "y", 0, 20),
    "expected fraction in 6…10, found 3": ops.IntLogSoftmax(("x",), "y", "y", 1, 0, 3),
    "expected a power of two up to 256, found 3": ops.IntInterpolate(("x",), "y", "y", 3),
    "expected factor in 1…65535, found 0": ops.IntMeanPool(("x",), "y", "y", 0, 1, 0),
    "expected mult in 0…2147483647, found -1": ops.IntLstmCell(("x",), "y", "y", TABLE, TABLE, -1),
    r"expected \|gain\| in 0…1073741823": ops.IntLayerNorm(
        *(("x",), "y", "y", np.full((1, 4), 2**30), np.zeros((1, 4), np.int32), 1, 1.0, 1.0, 1.0)
    ),
    "features 3…9 of 4": ops.IntSlice(("x",), "y", "y", 3, 9),
}


@pytest.mark.parametrize("message", BEYOND)
def test_a_field_beyond_what_its_kernel_takes_is_refused(message: str) -> None:
    source, target = (ops.Tensor(name, 4, RATE).scaled(0.1) for name in "xy")
    problems = list(BEYOND[message].check([source], target))
    assert any(re.search(message, problem) for problem in problems), problems
