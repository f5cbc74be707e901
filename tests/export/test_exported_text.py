"""Every text file of an export is ASCII, within 100 columns and ends with a line, whatever a
network and its layers are called; and such networks compile, link and pass their self-tests
together."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.frontend.lower import lower
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export import boards, compilers
from export.boards import load_board
from export.c import emit, names
from export.c.project import build_project, write_project
from tests import toy
from tests.export import every_kernel
from tests.export.images import Exported, exported
from tests.export.loops import RATE, finished, gru, integer, lstm, matrix, signal_of
from tests.export.test_libraries import ran

# of these the columns count; the others are written by JSON, or allow no line to be broken
BY_COLUMNS = {".c", ".h", ".S", ".cc", ".cpp", ".ld", ".mk", ".md", ".txt", ".cmake", ".py"}
NAMED = {"Makefile", "Kconfig"}
FORMULAS = "docs/spec/"  # the project's own specification, which has signs beyond ASCII
HOSTILE = (
    *("int", "class", "template", "typename", "while", "_Bool"),  # C and C++
    *("typeof", "typeof_unqual", "constexpr", "nullptr", "final", "import"),  # the newest of them
    *("read", "printf", "main", "y0", "index", "memset", "time", "log", "exit"),  # libraries
    *("errno", "stdin", "linux", "NULL", "int16_t", "my_t", "std", "I"),  # macros and types
    *("i386", "mips"),  # macros of other machines
    *("stdio", "string", "pthread", "math"),  # headers
    *("nn_add_s16", "nn", "model", "port", "app", "session", "ring", "crc32"),  # own files
    *("self", "state", "arena", "samples", "out", "net", "crc", "step", "table"),  # own words
    *("all", "test", "m", "c", "install", "firmware"),  # build tools
    *("debug", "optimized", "general"),  # words of CMake
    *("aux", "com1", "nul"),  # no files of Windows
    *("\u00e9", "\u00df", "\u65e5\u672c\u8a9e", "net$"),  # nothing that C can have, or not all
    *("2 electrodes", "__x__", "a.b-c/d", "Größe: ネット", "*", "$(HOME)", "a" * 90, "b" * 300),
)
# Of layers, each of which is a path
LAYERS = ("int", "errno", "linux", "nn_lut_s16", "memset", "2nd", "Größe", "c" * 120, "self", "out")


def hostile_layers() -> g.Graph:
    """Layers that keep something and have tables, by the names of other things."""
    rng, b = np.random.default_rng(0), Builder(4, RATE)
    for number, path in enumerate(LAYERS):
        if number % 3 == 0:
            lstm(b, path, 4, rng)
        elif number % 3 == 1:
            gru(b, path, 4, rng)
        else:
            matrix(b, path, 4, rng)
            b.add(g.Activation, f"{path}.tanh", kind="tanh")
    return finished(b)


# whatever their ending and their case
NOT_OF_WINDOWS = {"aux", "con", "nul", "prn", *(f"com{n}" for n in range(1, 10))}
NOT_OF_WINDOWS |= {f"lpt{n}" for n in range(1, 10)}


def unfit(folder: Path) -> Iterator[str]:
    """What is wrong with the text files of a project."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes()
        if NOT_OF_WINDOWS & set(name.lower().partition(".")[0].split("/")):
            yield f"{name}: Windows cannot make it"
        if path.suffix == ".tflite":
            continue
        if not content.isascii() and not name.startswith(FORMULAS):
            yield f"{name}: not ASCII"
        if content and not content.endswith(b"\n"):
            yield f"{name}: its last line does not end"
        if b"\r" in content:
            yield f"{name}: carriage return"
        if path.suffix in BY_COLUMNS or path.name in NAMED:
            for long in re.findall(r"^[^\n]{101,}", content.decode(), re.MULTILINE):
                yield f"{name}: {len(long)} columns: {long}"


# --- shipped networks -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", HYPER_PARAMETERS)
def test_files_of_a_shipped_network_suit_every_editor(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    h = HYPER_PARAMETERS[name]
    real = lower(Checkpoint(build(h).eval(), name, h, "0" * 64))
    graph = quantize(real, observe(real, [signal_of(real, 3)], products=False), "w8a16")
    found = exported(graph, name, tmp_path)
    assert found.name == name.lower()
    assert list(unfit(found.project)) == []


@pytest.mark.parametrize("board", boards.names())
def test_files_for_every_board_do(board: str, tmp_path: Path) -> None:
    graph = every_kernel.integer("recurrent")
    found = exported(graph, "a network with a long name of words, and a comma", tmp_path, board)
    assert list(unfit(found.project)) == []


# --- hostile names --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    """Small networks with such names, in projects."""
    folder, found = tmp_path_factory.mktemp("hostile"), []
    graphs = {name: every_kernel.integer("picture") for name in HOSTILE}
    graphs["layers"] = integer(hostile_layers())
    for number, (name, graph) in enumerate(graphs.items()):
        named = Exported(replace(graph, name=name), folder / str(number))
        kernels = emit.kernels(graph)
        write_project(named.project, named.board, emit.files(named.model), kernels, name)
        found.append(named)
    return found


def test_their_files_are_like_those_of_any_other(hostile: list[Exported]) -> None:
    assert [(n.graph.name, line) for n in hostile for line in unfit(n.project)] == []


def test_each_of_them_has_a_name_of_its_own(hostile: list[Exported]) -> None:
    found = [network.name for network in hostile]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[a-z]([a-z0-9]|_(?!_))*", name) for name in found)
    assert max(map(len, found)) <= names.LONGEST


HEADERS = "assert ctype errno fcntl math pthread signal stdio stdlib string time unistd"


@pytest.fixture(scope="module")
def objects(hostile: list[Exported], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of all models, and of the kernels that any of them calls."""
    toy.need("gcc")
    folder = tmp_path_factory.mktemp("objects")
    parts = [network.project / part for network in hostile for part in ("nn", "model")]
    sources = {path.name: path for part in parts for path in part.glob("*.c")}
    headers = folder / "nn"
    for network in hostile:
        shutil.copytree(network.project / "nn", headers, dirs_exist_ok=True)
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Wshadow", "-Werror", f"-I{headers}"]
    ran(*command, "-c", *sources.values(), cwd=folder)
    return [folder / f"{Path(name).stem}.o" for name in sources]


C, CXX = compilers.clang(), compilers.clang().replace("clang", "clang++")


@pytest.mark.parametrize(
    ("standard", "compiler"),
    [("gnu17", "gcc"), ("gnu++17", "g++"), ("gnu2x", C), ("gnu++2b", CXX)],
)
def test_all_of_them_are_one_program_with_the_c_library(
    standard: str,
    compiler: str,
    hostile: list[Exported],
    objects: list[Path],
    tmp_path: Path,
) -> None:
    """Which includes every header of every network behind those of the library, and in front."""
    toy.need(compiler)
    own = "".join(f'#include "{n.project}/model/{n.name}.h"\n' for n in hostile)
    own += "".join(f'#include "{n.project}/model/{n.name}_tables.h"\n' for n in hostile)
    if "++" in compiler:
        library = "#include <algorithm>\n#include <cmath>\n#include <string>\n#include <vector>\n"
        library += "#include <cstdio>\n#include <pthread.h>\n#include <unistd.h>\n"
    else:
        library = "".join(f"#include <{name}.h>\n" for name in HEADERS.split())
    body = "".join(
        f"{n.name.upper()}_DEFINE(stream_{i});\n"
        f"if ({n.name}_selftest(&stream_{i}, samples, out) != 0)\n    return {i + 1};\n"
        for i, n in enumerate(hostile)
    )
    main = f"static int16_t samples[4096], out[4096];\nint main(void)\n{{\n{body}return 0;\n}}\n"
    suffix = "cpp" if "++" in compiler else "c"
    for order in ((library, own), (own, library)):
        source = tmp_path / f"main.{suffix}"
        source.write_text("".join(order) + main)
        flags = [f"-std={standard}", "-Wall", "-Wextra", "-Werror"]
        ran(compiler, *flags, source, *objects, "-lm", "-o", tmp_path / "program")
        assert subprocess.run([tmp_path / "program"]).returncode == 0


@pytest.mark.parametrize("name", ["Größe: ネット", "a" * 90, "$(HOME)"])
def test_the_application_of_a_hostile_name_builds_by_make(
    name: str, hostile: list[Exported], tmp_path: Path
) -> None:
    toy.need("gcc", "make")
    found = next(network for network in hostile if network.graph.name == name)
    assert build_project(found.project, "posix", tmp_path).is_file()


def test_cmake_takes_names_of_its_own_targets(hostile: list[Exported], tmp_path: Path) -> None:
    toy.need("cmake", "gcc")
    wanted = {"all", "test", "m", "install", "$(HOME)", "*", "a" * 90}
    wanted |= {"debug", "optimized", "general"}
    chosen = [network for network in hostile if network.graph.name in wanted]
    assert len(chosen) == len(wanted)
    added = [f'add_subdirectory("{n.project}" network{i})' for i, n in enumerate(chosen)]
    lines = ["cmake_minimum_required(VERSION 3.21)", "project(x C)", "enable_testing()", *added]
    own = " ".join(network.name for network in chosen)
    lines += ["add_executable(x x.c)", f"target_link_libraries(x PRIVATE {own})"]
    (tmp_path / "x.c").write_text("".join(f'#include "{n.name}.h"\n' for n in chosen))
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines))
    ran("cmake", "-S", tmp_path, "-B", tmp_path / "out")


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a*/b", "a/*b", "a\nb", "a\x07"])
def test_a_name_that_ends_a_string_or_a_comment_is_refused(name: str) -> None:
    with pytest.raises(GraphError, match="a name that C cannot hold"):
        emit.build(replace(every_kernel.integer("picture"), name=name))


def test_names_that_differ_by_more_than_case_and_marks_are_two() -> None:
    """Shipped and plain ones are what they were."""
    different = ["net", "n\u00e9t", "n\u00ebt", "\u00e9", "\u65e5\u672c", "\u00df", "*", "net+"]
    assert len({names.identifier(name) for name in different}) == len(different)
    assert {names.identifier(name) for name in ("net-1", "net_1", "Net.1", "net 1")} == {"net_1"}
    for name in ("A_b-c.d/e f", *HYPER_PARAMETERS):
        assert names.identifier(name) == re.sub(r"\W", "_", name).lower()


@pytest.mark.parametrize("target", ["", "i686-w64-mingw32", "mips-linux", "sparc-linux", "m68k"])
def test_no_network_is_called_as_a_macro_that_a_compiler_defines(target: str) -> None:
    toy.need(C)
    command = [C, *([f"--target={target}"] if target else []), "-std=gnu17", "-dM", "-E", "-x", "c"]
    defined = re.findall(r"^#define ([a-z]\w*)", ran(*command, "/dev/null"), re.MULTILINE)
    assert defined
    assert [name for name in defined if names.identifier(name) == name] == []


def test_no_network_is_called_as_a_function_of_a_c_library() -> None:
    """Of this machine's library and of newlib."""
    toy.need("gcc", "arm-none-eabi-gcc")
    heads = "".join(f"#include <{name}.h>\n" for name in HEADERS.split())
    for board in ("posix", "virtual-f405"):
        command = [load_board(board).compiler, "-std=gnu11", "-x", "c", "-", "-fsyntax-only"]
        source = heads if board == "posix" else heads.replace("#include <pthread.h>\n", "")
        command += ["-aux-info", "/dev/stdout"]
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
        declared = set(re.findall(r"\b([a-z]\w*) \(", done.stdout))
        assert len(declared) > 400
        assert [name for name in declared if names.identifier(name) == name] == []
