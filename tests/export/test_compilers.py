"""Every compiler, core, level and option gives the same words: whole images in the emulator. Each
kernel over small shapes is tests/firmware/test_kernels.py.

`make compilers` takes every combination; here are eight in which each of them occurs, each with one
or two of the networks, so that either compiler has them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from compress.artifacts import Folder
from compress.errors import TendonError
from compress.files import read_json
from export import boards, build, compilers
from export.c import emit
from export.c.project import build_project, write_project
from host.boards import open_emulator
from host.engines import run_of
from tests import toy
from tests.export import every_kernel
from tests.export.loops import signal_of, words_of

ALL = os.environ.get("COMPILERS") == "all"
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
BOARDS = ("virtual-f405", "virtual-m7", "virtual-m33", "virtual-m55")
STEPS = 8
# compiler, board, level, frame pointer, LTO
EIGHT = (
    "gcc virtual-f405 -O0 frame",
    "gcc virtual-m7 -O1 lto",
    "gcc virtual-m33 -O3 frame lto",
    "gcc virtual-m55 -Os",
    "clang virtual-f405 -O2 frame lto",
    "clang virtual-m7 -O0 frame",
    "clang virtual-m33 -Os lto",
    "clang virtual-m55 -O3",
)


def networks_of(combination: str) -> tuple[str, ...]:
    """All of them, or one or two in turn where not every combination is taken."""
    made = tuple(every_kernel.MADE)
    if ALL:
        return made
    at = EIGHT.index(combination) % 4  # of this compiler
    return made[at::4]


def every() -> list[str]:
    """The combinations in the same words."""
    options = product(compilers.COMPILERS, BOARDS, LEVELS, ("", "frame"), ("", "lto"))
    return [" ".join(filter(None, words)) for words in options]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every network for every board, by board and network; and a library of kernels."""
    root = tmp_path_factory.mktemp("projects")
    for name, board in product(every_kernel.MADE, map(boards.load_board, BOARDS)):
        graph = every_kernel.integer(name)
        model, kernels = emit.build(graph, board.kernels), emit.kernels(graph, board.kernels)
        write_project(root / board.name / name, board.name, emit.files(model), kernels, name)
    return root


def test_the_networks_call_every_kernel() -> None:
    called = {
        kernel
        for name, family in product(every_kernel.MADE, boards.FAMILIES)
        for kernel in emit.kernels(every_kernel.integer(name), family)
    }
    assert called == {path.stem for path in (boards.FIRMWARE / "nn").glob("*.c")}


def test_the_eight_hold_every_compiler_board_level_and_option() -> None:
    words = {word for combination in EIGHT for word in combination.split()}
    assert words == {*compilers.COMPILERS, *BOARDS, *LEVELS, "frame", "lto"}
    assert set(EIGHT) <= set(every())
    taken: dict[str, set[str]] = {word: set() for word in compilers.COMPILERS}
    for combination in EIGHT:
        taken[combination.split()[0]].update(networks_of(combination))
    assert all(networks == every_kernel.MADE.keys() for networks in taken.values())


@pytest.mark.parametrize("combination", every() if ALL else EIGHT)
def test_whole_images_give_the_words_of_the_reference(
    combination: str, projects: Path, tmp_path: Path
) -> None:
    compiler, board, level, *options = combination.split()
    needed(compiler, "lto" in options)
    toy.need_emulator()
    flags = "-fno-omit-frame-pointer" if "frame" in options else ""
    variables = {"NN_LEVEL": level, "LEVEL": level, "LTO": "1" if "lto" in options else ""}
    for name in networks_of(combination):
        project = projects / board / name
        # kernels and port are the same in every project, and are compiled once
        for part in ("model", "app"):
            shutil.rmtree(tmp_path / part, ignore_errors=True)
        image = build_project(project, board, tmp_path, flags, variables, compiler)
        graph = every_kernel.integer(name)
        signal = signal_of(graph, STEPS, seed=5)
        described = boards.load_board(board)
        with open_emulator(described, image, graph.hash(), toy.PATIENT) as running:
            hello = running.link.handshake()
            found = run_of(graph, signal).start(running.link).outputs
        np.testing.assert_array_equal(found, words_of(graph, signal), err_msg=name)
        assert hello.compiler.startswith(f"{compiler} ") and level in hello.compiler
        assert not options or ("-flto" in hello.compiler) == ("lto" in options)


@pytest.mark.parametrize("compiler", compilers.COMPILERS)
@pytest.mark.parametrize("lto", ["", "1"])
def test_a_process_is_built_by_either(
    compiler: str, lto: str, projects: Path, tmp_path: Path
) -> None:
    toy.need(compilers.program(boards.load_board("posix"), compiler))
    project = projects / "virtual-f405" / "joined"
    image = build_project(project, "posix", tmp_path, "", {"LTO": lto}, compiler)
    assert image.is_file()


def needed(compiler: str, linked: bool) -> None:
    """Skip with the reason where a compiler is missing; in CI that is a failure."""
    toy.need("make", "arm-none-eabi-gcc")
    if compiler == "clang":
        toy.need(compilers.clang(), *[f"ld.{compilers.lld()}"] * linked)


# --- choosing one ---------------------------------------------------------------------------------


def test_an_unknown_compiler_is_refused(projects: Path) -> None:
    with pytest.raises(TendonError, match="COMPILER=icc: expected gcc or clang"):
        build_project(projects / "virtual-f405" / "joined", "virtual-f405", compiler="icc")
    said = make(projects / "virtual-f405" / "joined", "COMPILER=icc")
    assert "COMPILER=icc: expected gcc or clang" in said


def test_an_old_clang_is_refused(projects: Path, tmp_path: Path) -> None:
    old = tmp_path / "clang-old"
    old.write_text("#!/bin/sh\necho 14.0.6\n")
    old.chmod(0o755)
    said = make(projects / "virtual-f405" / "joined", "COMPILER=clang", f"CLANG={old}")
    assert "expected clang 15 or later" in said and "14.0.6" in said
    said = make(projects / "virtual-f405" / "joined", "COMPILER=clang", "CLANG=absent")
    assert "expected clang 15 or later" in said and "no absent" in said


def make(project: Path, *variables: str) -> str:
    """What make says when it fails."""
    done = subprocess.run(["make", *variables], cwd=project, capture_output=True, text=True)
    assert done.returncode != 0
    return done.stderr


def test_another_compiler_or_level_compiles_again(projects: Path, tmp_path: Path) -> None:
    """In the same folder, and the same does not."""
    needed("gcc", False)
    project, times = projects / "virtual-f405" / "picture", []
    for level in ("-O1", "-O1", "-O2"):
        image = build_project(project, "virtual-f405", tmp_path, "", {"NN_LEVEL": level})
        times.append(max(path.stat().st_mtime_ns for path in image.parent.rglob("*.o")))
    assert times[0] == times[1] < times[2]


def test_an_image_of_another_compiler_is_built_again(tmp_path: Path) -> None:
    needed("clang", False)
    graph = every_kernel.integer("picture")
    folder = Folder(tmp_path, "picture", "w8a16")
    for compiler in ("gcc", "clang"):
        image = build.make_firmware(graph, folder, "virtual-f405", compiler)
        assert compiler in read_json(image.with_name("firmware.json"))["compiler"]
