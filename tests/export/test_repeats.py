"""Calls that repeat are a loop in C, which computes the same; and the stack that a header states
is enough for what compilers make of a pass, however long it is."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.bare.cores import CLANG, CORES
from compress import graph as g
from compress.frontend.builder import Builder
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.frontend.lower import lower
from compress.graph.samples import to_int16
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export.c import emit
from export.c.repeats import Loop, folded, written
from export.c.stack import KERNEL_STACK
from export.c.step_stack import stack_bytes
from host import native
from tests import toy
from tests.compress.drawn_networks import draw
from tests.export import every_kernel, test_drawn_networks
from tests.export.images import exported
from tests.export.loops import RATE, finished, gru, lstm, matrix, signal_of, words_of

QUICK = ("-std=c11", "-O0", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-fPIC", "-shared")
CORES_BY_STACK = ("cortex-m4", "cortex-m55")  # the two families of kernels


def in_a_window(frames: int, make: Callable[[Builder, np.random.Generator], None]) -> g.Graph:
    """Recurrences that begin anew with each window, all its frames in one step."""
    rng, b = np.random.default_rng(0), Builder(6, RATE)
    b.add(g.SlidingWindow, "window", frames=frames, hop=frames)
    make(b, rng)
    b.add(g.Reframe, "flat", frames=frames, outputs=1)
    return finished(b)


def cells(count: int) -> Callable[[Builder, np.random.Generator], None]:
    def make(b: Builder, rng: np.random.Generator) -> None:
        for i in range(count):
            (gru if i % 2 else lstm)(b, f"layers.{i}", 5 + i % 3, rng)

    return make


def fed_back(blocks: int) -> Callable[[Builder, np.random.Generator], None]:
    """All blocks in one loop."""

    def make(b: Builder, rng: np.random.Generator) -> None:
        b.add(g.DelayedConcat, "join", previous=("last",), widths=(5,))
        for i in range(blocks):
            matrix(b, f"block.{i}.in", 8 + i % 3, rng)
            source = b.here
            b.add(g.Activation, f"block.{i}.tanh", kind="tanh")
            matrix(b, f"block.{i}.out", 8 + i % 3, rng)
            b.add(g.Add, f"block.{i}.sum", source)
        matrix(b, "narrow", 5, rng)
        b.add(g.Activation, "last", kind="tanh")

    return make


REPEATING = {
    "a recurrence over a hundred frames": lambda: in_a_window(100, cells(2)),
    "many recurrences over two frames": lambda: in_a_window(2, cells(12)),
    "many recurrences over three frames": lambda: in_a_window(3, cells(12)),
    "thirty recurrences over three frames": lambda: in_a_window(3, cells(30)),
    "a deep network in a loop": lambda: in_a_window(20, fed_back(25)),
}
ALL = os.environ.get("COMPILERS") == "all"
SHIPPED = HYPER_PARAMETERS if ALL else ("TC_S4_small", "regression_neuropose")
DRAWN = (
    range(100, 120) if ALL else (107,)
)  # 107: both directions of a recurrence over windows of a hundred frames


def repeating(name: str) -> g.Graph:
    graph = REPEATING[name]()
    return quantize(graph, observe(graph, [signal_of(graph, 8, seed=2)]), "w8a16")


def drawn(seed: int) -> g.Graph:
    found = draw(seed)
    real = test_drawn_networks.graph_of(found)
    signal = test_drawn_networks.signal_of(real, found)
    return quantize(real, observe(real, [signal], products=False), "w8a8")


def shipped(name: str) -> g.Graph:
    torch.manual_seed(0)
    h = HYPER_PARAMETERS[name]
    real = lower(Checkpoint(build(h).eval(), name, h, "0" * 64))
    return quantize(real, observe(real, [signal_of(real, 3)], products=False), "w8a16")


GRAPHS: dict[str, Callable[[], g.Graph]] = {
    **{name: lambda name=name: repeating(name) for name in REPEATING},  # type: ignore[misc]
    **{f"drawn {seed}": lambda seed=seed: drawn(seed) for seed in DRAWN},  # type: ignore[misc]
    **{name: lambda name=name: shipped(name) for name in SHIPPED},  # type: ignore[misc]
    **{
        name: lambda name=name: every_kernel.integer(name)  # type: ignore[misc]
        for name in every_kernel.MADE
    },
}


# --- the stack ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_the_stated_stack_is_enough_for_what_compilers_make_of_the_pass(
    name: str, tmp_path: Path
) -> None:
    """The self-test, the step that it calls and the kernel that needs most, each in a frame of its
    own."""
    toy.need("arm-none-eabi-gcc", CLANG[0])
    found = exported(GRAPHS[name](), "tested", tmp_path)
    kernels = max(KERNEL_STACK[call.kernel] for call in found.model.calls)
    stated = stack_bytes(found.model)
    for compiler in (("arm-none-eabi-gcc",), CLANG):
        for core in CORES_BY_STACK:
            command = [*compiler, *CORES[core].flags]
            step = max(frames(command, found.project, f"{found.name}.c", tmp_path))
            test = sum(frames(command, found.project, f"{found.name}_selftest.c", tmp_path))
            assert step + test + kernels <= stated, (compiler[0], core, step, test, kernels)


def frames(command: list[str], project: Path, source: str, folder: Path) -> list[int]:
    """Bytes of each function of a file of the model, at the level that projects build it with."""
    made = folder / "compiled.o"
    places = [f"-I{project / part}" for part in ("model", "nn")]
    options = ["-std=c11", "-Os", "-fstack-usage", *places, "-c", str(project / "model" / source)]
    subprocess.run([*command, *options, "-o", str(made)], check=True)
    return [int(size) for size in re.findall(r"\t(\d+)\t", made.with_suffix(".su").read_text())]


# --- loops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REPEATING)
def test_a_loop_calls_what_its_calls_written_out_did(name: str) -> None:
    """In that order, with those arguments."""
    model = emit.build(repeating(name))
    found = [
        (call.kernel, tuple(spoken(word, turn) for word in call.arguments))
        for part in folded(model)
        for turn in range(part.turns if isinstance(part, Loop) else 1)
        for call in (part.calls if isinstance(part, Loop) else (part,))
    ]
    calls = [(c.kernel, tuple(spoken(word, 0) for word in c.arguments)) for c in model.calls]
    assert found == calls
    assert len(written(model)) < len(calls) / 1.9


def spoken(word: str, turn: int) -> tuple[str, int]:
    """An argument in a turn of its loop: what it counts from, and how many values from there."""
    base, *more = word.split(" + ")
    moved = [re.sub(r"^(?:(\d+) \* )?(?:frame|piece)$", rf"\g<1>*{turn}", part) for part in more]
    return base, sum(
        int(times or 1) * int(number)
        for times, _, number in (part.rpartition("*") for part in moved)
    )


@pytest.mark.parametrize("name", REPEATING)
def test_loops_compute_the_words_of_the_reference(name: str, tmp_path: Path) -> None:
    graph = repeating(name)
    signal = signal_of(graph, 6, seed=5)
    model = native.NativeModel(native.build(graph, tmp_path, flags=QUICK, taps=True), graph)
    tapped: dict[int, g.Array] = {}
    model.set_tap(tapped.__setitem__)
    found = model.run(to_int16(graph, signal.samples))
    last = graph.maker[graph.output.name]
    np.testing.assert_array_equal(tapped[last].reshape(-1), found[-graph.chunk :].reshape(-1))
    assert sorted(tapped) == list(range(len(graph.ops)))
    np.testing.assert_array_equal(found, words_of(graph, signal))


def test_few_calls_that_repeat_stay_written_out() -> None:
    """No instruction of a network with a recurrence over two frames is spent on counting."""
    model = emit.build(shipped("tracking_vemg2pose"))
    assert written(model) == model.calls
