"""The stack that nn.h states for each kernel is what compilers find: no less, and not much more."""

from __future__ import annotations

import pytest

from bench.bare import stack
from bench.bare.cores import CLANG
from export.c.stack import DEBUG_STACK, KERNEL_STACK, NATIVE_STACK
from tests.toy import need

SLACK = 64  # bytes that another version of a compiler may need less
MOST = 4096


def test_the_manual_names_every_kernel_and_says_what_headers_of_networks_say() -> None:
    stated = stack.stated()
    assert list(stated) == stack.kernels()
    assert {name: max(row[:-1]) for name, row in stated.items()} == KERNEL_STACK
    assert {name: row[-1] for name, row in stated.items()} == NATIVE_STACK


def test_no_kernel_needs_much_anywhere() -> None:
    assert max(KERNEL_STACK.values()) <= 512
    assert max(NATIVE_STACK.values()) <= MOST


@pytest.mark.parametrize("column", stack.COLUMNS)
def test_compilers_find_the_stack_that_is_stated(column: str) -> None:
    need("arm-none-eabi-gcc", "gcc", CLANG[0])
    index, every = stack.COLUMNS.index(column), stack.targets()
    for kernel, row in stack.stated().items():
        found = [every[compiler, column].usage(kernel) for compiler in ("gcc", "clang")]
        assert max(found) <= row[index] <= max(found) + SLACK, f"{kernel}: {found}, {row[index]}"


def test_without_optimization_no_kernel_needs_more_than_is_stated() -> None:
    need("arm-none-eabi-gcc", CLANG[0])
    found = stack.without_optimization()
    assert found <= DEBUG_STACK <= found + SLACK
    assert f"At -O0 a kernel needs up to {DEBUG_STACK} on an" in (stack.NN / "nn.h").read_text()
