"""Every integer operator has an answer in C: kernels that are there, tested and measured, or a
reason for the user."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from bench.bare import cases
from bench.bare.cases import Case
from bench.speed import rows
from compress import graph as g
from compress.errors import GraphError
from export.c import emit, ops
from export.c.step import Entry
from host.native import NN
from tests.export import loops

ENTRIES = [entry for entry in ops.TABLE.values() if isinstance(entry, Entry)]
OTHERS = {emit.START_UP, emit.CLEAR}  # which belong to no operator
CASES = {Case(name, (), {}).function: name for name in cases.KERNELS}


@pytest.mark.parametrize("op", g.INTEGER, ids=lambda op: op.__name__)
def test_every_integer_operator_is_in_the_table(op: type[g.IntOp]) -> None:
    found = ops.TABLE[op]
    if isinstance(found, str):
        assert found.strip()
    else:
        assert found.kernels and all((NN / f"{name}.c").is_file() for name in found.kernels)


def test_the_table_holds_nothing_else() -> None:
    assert set(ops.TABLE) == set(g.INTEGER)


def test_every_kernel_is_called_by_an_operator_and_has_a_case_of_its_own() -> None:
    called = {name for entry in ENTRIES for name in entry.kernels} | OTHERS
    assert called == {path.stem for path in NN.glob("*.c")}
    assert called <= set(CASES)


def test_every_kernel_has_a_floor_or_a_reason_for_none() -> None:
    known = {row.kernel for row in rows.rows() if row.floor is not None}
    known |= {case for case, _ in rows.VECTOR_KERNELS.values()}
    for name in {name for entry in ENTRIES for name in entry.kernels} | OTHERS:
        assert (CASES[name] in known) != (CASES[name] in rows.WITHOUT_FLOOR), name


def test_what_is_refused_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    op = g.IntAdd(("x", "x"), "y", "model.sum")
    tensors = {n: g.Tensor(n, 3, Fraction(1)).scaled(1.0) for n in ("x", "y")}
    graph = g.verify(g.Graph("sums", tensors, (op,)))
    monkeypatch.setitem(ops.TABLE, g.IntAdd, "sums are for another day")
    with pytest.raises(
        GraphError, match=r"model\.sum: IntAdd has no C kernel: sums are for another day"
    ):
        emit.build(graph)


@pytest.mark.parametrize("name", ['a"b', "a*/b", "a\nb"])
def test_a_name_that_c_cannot_hold_is_refused(name: str) -> None:
    graph = dataclasses.replace(loops.integer(loops.lstm_convolution_lstm()), name=name)
    with pytest.raises(GraphError, match="a name that C cannot hold"):
        emit.build(graph)


def test_extra_inputs_that_would_be_one_macro_are_refused() -> None:
    graph = loops.integer(loops.two_integrals())
    names = dict(zip(graph.initial, ("a-b", "a_b"), strict=True))
    ops = tuple(
        dataclasses.replace(op, initial=names[op.initial]) if op.initial_names else op
        for op in graph.ops
    )
    initial = {names[n]: dataclasses.replace(t, name=names[n]) for n, t in graph.initial.items()}
    with pytest.raises(GraphError, match="'a-b' and 'a_b' are one name in C"):
        emit.build(dataclasses.replace(graph, ops=ops, initial=initial))
