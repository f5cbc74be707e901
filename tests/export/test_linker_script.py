"""The linker script of a project says what board.toml says, for both linkers, and holds what an
application adds: constructors, a heap, several networks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from compress.errors import TendonError
from export import compilers
from export.boards import load_board, names
from export.c.placement import first_choices
from export.c.project import build_project, write_project
from host.boards import open_board
from host.run import Run
from tests import toy

LINKED = [name for name in names() if load_board(name).memory]
EMULATED = [name for name in LINKED if load_board(name).emulator]
LLD = f"ld.{compilers.lld()}"
K = 1024


def project(folder: Path, board: str, files: dict[str, bytes] | None = None) -> Path:
    write_project(folder / "p", board, toy.model_files() | (files or {}), [], "toy model")
    return folder / "p"


def script(folder: Path, board: str) -> str:
    return (project(folder, board) / "port" / board / "linker.ld").read_text()


@pytest.mark.parametrize("name", LINKED)
def test_the_linker_script_names_the_memories_of_the_description(name: str, tmp_path: Path) -> None:
    board, text = load_board(name), script(tmp_path, name)
    written = re.findall(r"(\w+)(?: \((\w+)\))? : ORIGIN = (0x\w+), LENGTH = (\d+)(K?)", text)
    assert {
        region: (access, int(origin, 16), int(size) * (K if unit else 1))
        for region, access, origin, size, unit in written
    } == {key.upper(): (m.access, m.origin, m.size) for key, m in board.memory.items()}
    for part, region in first_choices(board).items():
        assert f'REGION_ALIAS("{part.upper()}", {region.upper()})' in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_memory_is_for_what_it_holds() -> None:
    external = load_board("stm32h735g-dk").memory
    assert {name: memory.access for name, memory in external.items()} == {
        "flash": "rx",
        "dtcm": "rw",
        "axi": "rw",
        "itcm": "",
        "octospi": "r",
    }


@pytest.mark.parametrize("name", LINKED)
def test_the_other_linker_takes_the_same_script(name: str, tmp_path: Path) -> None:
    """LLVM's, from the same objects: every section in the same memory."""
    toy.need("arm-none-eabi-gcc", LLD)
    board, folder = load_board(name), project(tmp_path, name)
    image = build_project(folder, name)
    objects = sorted(str(path) for path in image.parent.rglob("*.o"))
    libraries = [located(name, "-print-file-name=libc.a"), located(name, "-print-libgcc-file-name")]
    places = [f"-L{folder / where}" for where in board.port_folders]
    command = [LLD, "--fatal-warnings", "--gc-sections", *places, "-T", "linker.ld", *objects]
    linked = tmp_path / "lld.elf"
    run([*command, *libraries, "-o", str(linked)])
    assert sections(linked, name) == sections(image, name)


APPLICATION = """
#include <stdlib.h>
#include <string.h>
namespace {
struct Thing {
    Thing(int value) : value_(value), text_(static_cast<char *>(malloc(64))) {
        if (text_ != nullptr)
            strcpy(text_, "constructed");
    }
    ~Thing() { free(text_); }
    int value_;
    char *text_;
};
volatile int seven = 7; // known only while it runs
Thing first(6 * seven);
}
extern "C" int thing_is_good(void);
extern "C" int thing_is_good(void) {
    void *more = malloc(3000);
    const bool good = first.value_ == 42 && first.text_ != nullptr &&
                      strcmp(first.text_, "constructed") == 0 && more != nullptr &&
                      malloc(1u << 30) == nullptr;
    free(more);
    return good;
}
"""


@pytest.mark.parametrize("name", EMULATED)
def test_an_application_in_cpp_has_its_constructors_and_a_heap(name: str, tmp_path: Path) -> None:
    toy.need_emulator()
    toy.need("arm-none-eabi-g++")
    files = toy.model_files()
    files["model.c"] = files["model.c"].replace(
        b"static void next_frame", b"extern int thing_is_good(void);\nstatic void next_frame"
    )
    files["model.c"] = files["model.c"].replace(
        b"state[511]++;", b"state[511] += (uint32_t)thing_is_good();"
    )
    source, compiled = tmp_path / "thing.cpp", tmp_path / "thing.o"
    source.write_text(APPLICATION)
    plain = ["-Os", "-fno-exceptions", "-fno-rtti", "-fno-use-cxa-atexit"]
    run(
        [
            "arm-none-eabi-g++",
            *load_board(name).flags,
            *plain,
            "-ffunction-sections",
            "-c",
            str(source),
            "-o",
            str(compiled),
        ]
    )
    image = build_project(project(tmp_path, name, files), name, extra_flags=f"-Wl,{compiled}")
    content = toy.samples(2)
    with open_board(name, image, toy.MODEL_HASH) as board:
        board.link.handshake()
        np.testing.assert_array_equal(Run(content).start(board.link).outputs, toy.run(content))


NETWORKS = b"""
#include <stdint.h>
#define PLACED(section_name) __attribute__((section(section_name), used))
uint8_t first_arena[40] PLACED(".bss.model_arena");
uint8_t second_arena[40] PLACED(".bss.model_arena.second");
uint8_t first_state[40] PLACED(".bss.model_state");
uint8_t second_state[40] PLACED(".bss.model_state.second");
const uint8_t first_table[40] PLACED(".rodata.model_tables.first_table") = {1};
const uint8_t second_table[40] PLACED(".rodata.model_tables.second_table") = {2};
"""


BOTH = ("first", "second")


def test_the_memory_of_every_network_in_an_image_lies_as_planned(tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc")
    board, files = load_board("virtual-m7"), toy.model_files() | {"networks.c": NETWORKS}
    where = first_choices(board) | {"arena": "psram", "cold tables": "psram"}
    write_project(tmp_path / "p", board.name, files, [], "two", where, ["second_table"])
    kept = " ".join(f"-Wl,-u,{name}" for name in re.findall(r"\w+(?=\[40\])", NETWORKS.decode()))
    image = build_project(tmp_path / "p", board.name, extra_flags=kept)
    with image.open("rb") as file:
        elf = ELFFile(file)
        symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
        lies = {
            part: [elf.get_section(symbols[f"{n}_{part}"]["st_shndx"]).name for n in BOTH]
            for part in ("arena", "state", "table")
        }
    assert lies == {
        "arena": [".arena", ".arena"],
        "state": [".state", ".state"],
        "table": [".tables", ".cold_tables"],
    }


@pytest.mark.parametrize("compiler", compilers.COMPILERS)
def test_a_section_that_no_linker_script_names_is_refused(compiler: str, tmp_path: Path) -> None:
    """It would be in the image, lie anywhere, and nobody would clear it."""
    toy.need("arm-none-eabi-gcc", compilers.program(load_board("virtual-f405"), compiler))
    own = b'static volatile char own[64] __attribute__((section(".ccm.state")));\n'
    own += b"__attribute__((constructor)) static void use(void)\n{\n    own[0] = 1;\n}\n"
    folder = project(tmp_path, "virtual-f405", {"own.c": own})
    with pytest.raises(TendonError, match=r"orphan section .*\.ccm\.state"):
        build_project(folder, "virtual-f405", compiler=compiler)


def located(board: str, question: str) -> str:
    return run(["arm-none-eabi-gcc", *load_board(board).flags, question]).strip()


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sections(image: Path, board: str) -> dict[str, list[str]]:
    """Name -> regions, of what is loaded or reserved."""
    memory = load_board(board).memory
    with image.open("rb") as file:
        return {
            section.name: [
                n for n, m in memory.items() if 0 <= section["sh_addr"] - m.origin < m.size
            ]
            for section in ELFFile(file).iter_sections()
            if section["sh_flags"] & 2 and section["sh_size"]
        }
