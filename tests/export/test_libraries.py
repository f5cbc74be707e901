"""An exported project is a library of other programs: by CMake, PlatformIO, Arduino's rules and as
a Zephyr module."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from platformio.package.manifest.parser import ManifestParserFactory
from platformio.package.manifest.schema import ManifestSchema

from compress.graph.samples import to_int16
from export import compilers
from export.boards import load_board
from export.c import emit, examples
from export.c.project import identifier, write_project
from export.version import NN_VERSION
from tests import toy
from tests.export import every_kernel, loops
from tests.export.images import Exported, exported
from tests.export.test_platformio import core, pio  # noqa: F401  a fixture

BOARD = "virtual-f405"
STEPS = 40
ARM = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"]


@dataclass(frozen=True)
class Library:
    """A project that lies where blanks and accents are, its name in C, and a program that prints
    what the network answers to some samples."""

    folder: Path
    name: str
    program: str
    expected: list[int]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    graph = loops.integer(loops.two_loops())
    signal = loops.signal_of(graph, STEPS)
    model = emit.build(graph)
    folder = tmp_path_factory.mktemp("libraries") / "mein Projekt" / "ünter_é"
    files = emit.files(model) | examples.files(model, BOARD)
    write_project(folder, BOARD, files, emit.kernels(graph), "two loops")
    name = identifier(f"model/{path.name}" for path in (folder / "model").iterdir())
    words = to_int16(graph, signal.samples)
    expected = loops.words_of(graph, signal).reshape(-1).tolist()
    return Library(folder, name, _program(name, words), expected)


def _program(name: str, words: np.ndarray) -> str:
    """In the common part of C and C++."""
    upper = name.upper()
    values = ",".join(str(word) for word in words.reshape(-1))
    return f"""#include <stdio.h>
#include "{name}.h"

{upper}_DEFINE(net);
static int16_t samples[] = {{{values}}}, out[{upper}_STEP_OUTPUTS];

int main(void)
{{
    static int16_t own[{upper}_STEP_SAMPLES];
    if ({name}_selftest(&net, own, out) != 0)
        return 1;
    for (int i = 0; i < {STEPS}; i++) {{
        {name}_step(&net, samples + i * {upper}_STEP_SAMPLES, out);
        for (int o = 0; o < {upper}_STEP_OUTPUTS; o++)
            printf("%d\\n", out[o]);
    }}
    return 0;
}}
"""


def ran(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command says; it has to end well."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answers(program: Path) -> list[int]:
    return [int(line) for line in ran(program).splitlines()]


# --- CMake ----------------------------------------------------------------------------------------


def consumer(library: Library, folder: Path, language: str, found: str) -> Path:
    """A program of another's, `found`: how it comes by the library."""
    folder.mkdir(parents=True)
    main = {"C": "main.c", "CXX": "main.cpp"}[language]
    (folder / main).write_text(library.program)
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\n"
        f"project(consumer LANGUAGES {language})\n"
        f"{found}\n"
        f"add_executable(consumer {main})\n"
        "target_compile_options(consumer PRIVATE -Wall -Wextra -Wpedantic -Werror)\n"
        f"target_link_libraries(consumer PRIVATE Tendon::{library.name})\n"
    )
    return folder


def built(folder: Path, *options: str | Path) -> Path:
    ran("cmake", "-S", folder, "-B", folder / "out é 1", *options)
    ran("cmake", "--build", folder / "out é 1")
    return folder / "out é 1" / "consumer"


@pytest.mark.parametrize("language", ["C", "CXX"])
def test_another_project_adds_the_folder(language: str, library: Library, tmp_path: Path) -> None:
    toy.need("cmake", "gcc", "g++")
    added = f'add_subdirectory("{library.folder}" network)'
    program = built(consumer(library, tmp_path / "mein é", language, added))
    assert answers(program) == library.expected
    assert not list((tmp_path / "mein é" / "out é 1").rglob("firmware*")), "no application"


def test_one_that_compiles_its_sources_together_leaves_ours_apart(
    library: Library, tmp_path: Path
) -> None:
    """Static functions of kernels have the same names; so may those of the application."""
    toy.need("cmake", "gcc")
    together = ("-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0")
    added = f'add_subdirectory("{library.folder}" network)'
    program = built(consumer(library, tmp_path / "c", "C", added), *together)
    assert answers(program) == library.expected
    ran("cmake", "-S", library.folder, "-B", tmp_path / "out", *together)
    ran("cmake", "--build", tmp_path / "out")


@pytest.mark.parametrize("language", ["C", "CXX"])
def test_another_project_finds_what_is_installed(
    language: str, library: Library, tmp_path: Path
) -> None:
    toy.need("cmake", "gcc", "g++")
    out, there = tmp_path / "out", tmp_path / "da drüben é"
    ran("cmake", "-S", library.folder, "-B", out, "-DTENDON_APPLICATION=OFF")
    ran("cmake", "--build", out)
    ran("cmake", "--install", out, "--prefix", there)
    folder = consumer(library, tmp_path / "c", language, f"find_package({library.name} REQUIRED)")
    assert answers(built(folder, f"-DCMAKE_PREFIX_PATH={there}")) == library.expected
    assert {path.name for path in (there / "include").iterdir()} == {library.name}


def test_the_package_lies_where_a_distribution_wants_it(library: Library, tmp_path: Path) -> None:
    toy.need("cmake", "gcc")
    out, there, name = tmp_path / "out", tmp_path / "there", library.name
    places = ["-DCMAKE_INSTALL_LIBDIR=lib/some-cpu", "-DCMAKE_INSTALL_INCLUDEDIR=headers"]
    ran("cmake", "-S", library.folder, "-B", out, "-DTENDON_APPLICATION=OFF", *places)
    ran("cmake", "--build", out)
    ran("cmake", "--install", out, "--prefix", there)
    assert (there / "lib" / "some-cpu" / f"lib{name}.a").is_file()
    assert {path.name for path in there.iterdir()} == {"lib", "headers"}
    folder = consumer(library, tmp_path / "c", "C", f"find_package({name} REQUIRED)")
    package = there / "lib" / "some-cpu" / "cmake" / name
    assert answers(built(folder, f"-D{name}_DIR={package}")) == library.expected


@pytest.mark.parametrize("compiler", compilers.COMPILERS)
def test_a_program_for_a_microcontroller_adds_the_folder(
    compiler: str, library: Library, tmp_path: Path
) -> None:
    """By the toolchain file that the project offers, or by one's own."""
    toy.need("cmake", "arm-none-eabi-gcc", compilers.program(load_board(BOARD), compiler))
    file = next((library.folder / "cmake").glob(f"{'arm' if compiler == 'gcc' else compiler}*"))
    added = f'add_subdirectory("{library.folder}" network)'
    folder = consumer(library, tmp_path / "mein é", "C", added)
    (folder / "main.c").write_text(f'#include "{library.name}.h"\nint main(void) {{ return 0; }}\n')
    flags = "-nostartfiles -Wl,-emain"
    program = (
        built(folder, f"-DCMAKE_TOOLCHAIN_FILE={file}", f"-DCMAKE_EXE_LINKER_FLAGS={flags}")
        if compiler == "gcc"
        else built(folder, f"-DCMAKE_TOOLCHAIN_FILE={file}")
    )
    assert "Tag_CPU_arch: v7E-M" in ran("arm-none-eabi-readelf", "-A", program)
    archive = next(program.parent.rglob("*.a"))
    assert " T " in ran("arm-none-eabi-nm", archive)


def test_two_networks_lie_side_by_side(library: Library, tmp_path: Path) -> None:
    """Installed in one folder, neither writes over the other."""
    lists = (library.folder / "CMakeLists.txt").read_text()
    written = re.findall(r"DESTINATION (\S+)\)", lists) + re.findall(r"FILE (\S+)", lists)
    assert all(library.name in path or path == "${CMAKE_INSTALL_LIBDIR}" for path in written)


# --- PlatformIO -----------------------------------------------------------------------------------


def test_library_json_is_what_platformio_asks_for(library: Library) -> None:
    parsed = ManifestParserFactory.new_from_file(str(library.folder / "library.json")).as_dict()
    checked = ManifestSchema().load_manifest(parsed)
    assert checked["name"] == library.name and checked["headers"] == [f"{library.name}.h"]


def test_a_program_of_platformio_depends_on_it(
    library: Library, core: Path, tmp_path: Path
) -> None:
    toy.need("arm-none-eabi-gcc")
    folder = tmp_path / "mein é"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.c").write_text(library.program)
    (folder / "platformio.ini").write_text(
        "[env:mine]\n"
        f"platform = symlink://{library.folder / 'pio'}\n"
        f"lib_deps = symlink://{library.folder}\n"
        f"custom_core_flags = {' '.join(ARM)}\n"
        "custom_link_flags = -specs=nosys.specs\n"
    )
    pio(core, folder)
    elf = folder / ".pio" / "build" / "mine" / "firmware.elf"
    assert f" T {library.name}_step" in ran("arm-none-eabi-nm", elf)


# --- Arduino --------------------------------------------------------------------------------------


def test_library_properties_hold_what_the_specification_demands(library: Library) -> None:
    lines = (library.folder / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    needed = "name version author maintainer sentence paragraph category url architectures"
    assert set(needed.split()) <= set(fields) and all(fields.values())
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]*", fields["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    assert (library.folder / "src" / fields["includes"]).is_file()


@pytest.mark.parametrize("program", ["sketch.cpp", "sketch.c"])
def test_arduino_compiles_it_as_its_specification_says(
    program: str, library: Library, tmp_path: Path
) -> None:
    """Everything below src/, each file for itself, with src/ as the only folder of headers; then
    into an archive."""
    toy.need("gcc", "g++")
    compiler = "g++" if program.endswith("cpp") else "gcc"
    source = library.folder / "src"
    objects = []
    for number, file in enumerate(sorted(source.rglob("*.[cS]"))):
        objects.append(tmp_path / f"{number}.o")
        ran("gcc", "-Os", "-std=gnu11", "-w", f"-I{source}", "-c", file, "-o", objects[-1])
    ran("ar", "rcs", tmp_path / "library.a", *objects)
    (tmp_path / program).write_text(library.program)
    command = [compiler, "-w", f"-I{source}", tmp_path / program, tmp_path / "library.a"]
    ran(*command, "-o", tmp_path / "sketch")
    assert answers(tmp_path / "sketch") == library.expected


# --- Zephyr ---------------------------------------------------------------------------------------

# of scripts/zephyr_module.py
MODULE_KEYS = {"name", "build", "tests", "samples", "boards", "blobs"}
BUILD_KEYS = {"cmake", "kconfig", "cmake-ext", "kconfig-ext", "depends", "settings"}
STAND_INS = """cmake_minimum_required(VERSION 3.20)
project(zephyr_stand_in C)
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGV})
endfunction()
macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC)
  set_property(GLOBAL APPEND PROPERTY ZEPHYR_LIBS ${name})
  target_link_libraries(${name} PUBLIC zephyr_interface)
endmacro()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
"""


def test_module_yml_follows_zephyrs_schema(library: Library) -> None:
    module = yaml.safe_load((library.folder / "zephyr" / "module.yml").read_text())
    assert set(module) <= MODULE_KEYS and set(module["build"]) <= BUILD_KEYS
    assert module["name"] == library.name
    assert (library.folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    kconfig = (library.folder / module["build"]["kconfig"]).read_text()
    assert re.match(
        rf'config TENDON_{library.name.upper()}\n\tbool "[^"\n]+"\n\thelp\n(\t  .+\n)+$', kconfig
    )


@pytest.mark.parametrize("wanted", [True, False])
def test_the_modules_cmake_file_builds_the_library(
    wanted: bool, library: Library, tmp_path: Path
) -> None:
    """With stand-ins for Zephyr's functions."""
    toy.need("cmake", "gcc")
    (tmp_path / "CMakeLists.txt").write_text(
        f"{STAND_INS}set(CONFIG_TENDON_{library.name.upper()} {'y' if wanted else ''})\n"
        f'add_subdirectory("{library.folder}/zephyr" module)\n'
    )
    ran("cmake", "-S", tmp_path, "-B", tmp_path / "out")
    ran("cmake", "--build", tmp_path / "out")
    assert bool(list((tmp_path / "out").rglob(f"libtendon_{library.name}.a"))) == wanted


def zephyr_image(folder: Path, *networks: Exported) -> Path:
    """A program that holds networks as modules, linked as Zephyr links: whole archives."""
    tests = " || ".join(f"{n.name}_selftest(&{n.name}_of, samples, out)" for n in networks)
    (folder / "main.c").write_text(
        "".join(f'#include "{n.name}.h"\n' for n in networks)
        + "".join(f"{n.name.upper()}_DEFINE({n.name}_of);\n" for n in networks)
        + f"static int16_t samples[4096], out[4096];\nint main(void) {{ return {tests}; }}\n"
    )
    (folder / "CMakeLists.txt").write_text(
        STAND_INS
        + "".join(f"set(CONFIG_TENDON_{n.name.upper()} y)\n" for n in networks)
        + "".join(f'add_subdirectory("{n.project}/zephyr" {n.name})\n' for n in networks)
        + "get_property(LIBS GLOBAL PROPERTY ZEPHYR_LIBS)\n"
        + "add_executable(image main.c)\n"
        + "target_link_libraries(image -Wl,--whole-archive ${LIBS} -Wl,--no-whole-archive)\n"
    )
    return folder


def test_two_modules_are_in_one_image_of_zephyr(tmp_path: Path) -> None:
    """Both call some of the same kernels, each some that the other does not."""
    toy.need("cmake", "gcc")
    first = exported(every_kernel.integer("recurrent"), "kernel", tmp_path / "a \u00e9")
    second = exported(every_kernel.integer("joined"), "second", tmp_path)
    kernels = [{path.name for path in (n.project / "nn").glob("*.c")} for n in (first, second)]
    assert kernels[0] & kernels[1] and kernels[0] - kernels[1] and kernels[1] - kernels[0]
    folder = zephyr_image(tmp_path, first, second)
    ran("cmake", "-S", folder, "-B", tmp_path / "out")
    ran("cmake", "--build", tmp_path / "out")
    assert subprocess.run([tmp_path / "out" / "image"]).returncode == 0


def test_modules_whose_kernels_are_of_two_versions_are_refused(tmp_path: Path) -> None:
    toy.need("cmake", "gcc")
    networks = [exported(every_kernel.integer("picture"), n, tmp_path) for n in ("new", "newer")]
    lists = networks[1].project / "zephyr" / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace(str(NN_VERSION), str(NN_VERSION + 1)))
    folder = zephyr_image(tmp_path, *networks)
    done = subprocess.run(["cmake", "-S", folder, "-B", tmp_path / "out"], capture_output=True)
    assert done.returncode and f"another network version {NN_VERSION}" in " ".join(
        done.stderr.decode().split()
    )


@pytest.mark.parametrize("mark", ['"', ";"])
def test_cmake_says_which_paths_it_cannot_build(mark: str, tmp_path: Path) -> None:
    toy.need("cmake", "gcc")
    found = exported(every_kernel.integer("picture"), "net", tmp_path / f"a{mark}b")
    command = ["cmake", "-S", found.project, "-B", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and 'a path has ; or " in it' in " ".join(done.stderr.split())
