"""Builds of the kernels for emulated cores, by compiler and flags, and sweeps over small shapes
that every one of them must pass.

    runner = Build.of("cortex-m33 clang -O2 -flto").runner(folder)
    runner.check(linear_checks("linear"))
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.bare import cases
from bench.bare.cores import CORES, Core
from bench.speed import kernel_cases, window_cases
from bench.speed.kernel_cases import MODES, Check, Contents

LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
FRAMES = ((), ("-fno-omit-frame-pointer",))
LINKED = ((), ("-flto",))
# eight builds in which every core, compiler, level and option occurs
EIGHT = (
    "cortex-m4 gcc -O0 -fno-omit-frame-pointer",
    "cortex-m4 clang -O2 -flto",
    "cortex-m7 gcc -Os -flto",
    "cortex-m7 clang -O0 -fno-omit-frame-pointer",
    "cortex-m33 gcc -O1",
    "cortex-m33 clang -O3 -flto -fno-omit-frame-pointer",
    "cortex-m55 gcc -O2 -flto -fno-omit-frame-pointer",
    "cortex-m55 clang -Os",
)


@dataclass(frozen=True)
class Build:
    """How the case runner is built."""

    core: Core
    compiler: str  # gcc or clang
    flags: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Build:
        """As it calls itself: core, compiler and flags."""
        core, compiler, *flags = text.split()
        return cls(CORES[core], compiler, tuple(flags))

    def __str__(self) -> str:
        return " ".join((self.core.name, self.compiler, *self.flags))

    def runner(self, folder: Path) -> Runner:
        """Compiled in a folder that has no other program of cases."""
        elf = cases.build(self.core, folder, *self.flags, compiler=self.compiler)
        return Runner(self, elf)


def every_build() -> list[str]:
    """All cores, compilers, levels and options."""
    return [
        " ".join((core, compiler, level, *linked, *frame))
        for core, compiler, level, linked, frame in product(
            CORES, ("gcc", "clang"), LEVELS, LINKED, FRAMES
        )
    ]


@dataclass(frozen=True)
class Runner:
    """One build of the case runner."""

    build: Build
    elf: Path

    def run(self, checks: Sequence[Check]) -> list[cases.Answer]:
        """What comes back."""
        return cases.run(self.build.core, self.elf, [c.case for c in checks])

    def check(self, checks: Sequence[Check]) -> None:
        """Every case leaves what it must."""
        assert_equal(checks, self.run(checks), str(self.build))


def assert_equal(checks: Sequence[Check], answers: Sequence[cases.Answer], where: str) -> None:
    """Buffers as expected, and nothing written around them."""
    for check, answer in zip(checks, answers, strict=True):
        what = f"{check.case.kernel} {check.case.values} offsets {check.case.offsets} on {where}"
        assert answer.intact, f"{what}: wrote outside its buffers"
        for name, before in check.case.buffers.items():
            expected = check.expected.get(name, before)
            np.testing.assert_array_equal(
                answer.buffers.get(name, before), expected, err_msg=f"{what}: {name}"
            )


@functools.cache
def linear_checks(kernel: str) -> tuple[Check, ...]:
    """A linear layer in every rest of inputs, rows and frames, and of turns of the loops; those of
    vectors in odd inputs too, which no vector loads."""
    if kernel in ("linear", "linear_s4"):
        shapes = product((1, 2, 3, 4, 5, 12, 16, 18, 20, 32, 33), range(1, 7), range(1, 8))
    else:
        inputs = (16, 17, 18, 24, 30, 32, 34, 46, 48, 64, 66, 80, 82, 96, 130)
        shapes = product(inputs, range(8, 17), (1, 2, 3))
    return tuple(
        kernel_cases.linear(Contents(i, MODES[i % 3]), *shape, kernel=kernel)
        for i, shape in enumerate(shapes)
    )


@functools.cache
def window_checks() -> tuple[Check, ...]:
    """Filters and attention in every rest of channels, taps, frames, keys and values, on word
    boundaries as exports have them: all the fast paths."""
    checks = [
        window_cases.depthwise(Contents(i), channels, kernel, 1 + i % 2)
        for i, (channels, kernel) in enumerate(product(range(1, 21), range(1, 6)))
    ]
    for i, (frames, keys, values) in enumerate(product((1, 2, 3, 4, 5), (1, 2, 3, 8, 50), (4, 16))):
        shared = i % 3 > 0
        for make in (window_cases.attention_scores, window_cases.attention_context):
            checks.append(make(Contents(i, MODES[i % 3]), frames, keys, 2, values, shared))
    for check in checks:
        check.case.offsets = {}
    return tuple(checks)


def drawn(strategy: st.SearchStrategy[Check], count: int) -> tuple[Check, ...]:
    """The first `count` examples of a strategy, the same ones each time."""
    found: list[Check] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def take(check: Check) -> None:
        found.append(check)

    take()
    return tuple(found)
