"""What a user adds to a project, as its READMEs say: a program for the board in C++, one that
prints, and memory of another region."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from export import boards, compilers
from tests import toy
from tests.export.test_examples_c import Example, chosen, example, ran

BOARD = "virtual-m7"
PRINTS = """#include "port.h"
#include <stdio.h>

int main(void)
{
    char text[40];
    port_start();
    const int count = snprintf(text, sizeof text, "%d steps", 42);
    printf("nobody reads this");
    port_write((const uint8_t *)text, (uint32_t)count);
    for (;;)
        port_read((uint8_t *)text, 1);
}
"""


def own(made: Example) -> Path:
    """Where a user's programs for the board lie."""
    return made.project / "examples" / BOARD


def answered(made: Example, program: Path) -> str:
    """To the samples, in the emulator, with the serial line on its standard input and output."""
    emulator = boards.load_board(BOARD).emulator
    assert emulator is not None
    command = [emulator.command, *emulator.arguments, "-kernel", program, "-serial", "stdio"]
    sender = ["python3", own(made) / "send_samples.py", made.path]
    done = subprocess.run([*sender, *command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("compiler", compilers.COMPILERS)
def test_a_program_of_ones_own_in_cpp_runs_on_a_board(compiler: str, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-g++", "make", "python3", *[compilers.clang()] * (compiler == "clang"))
    toy.need_emulator()
    made = example(tmp_path, BOARD, "typing")
    source = (own(made) / "own_samples_serial.c").read_text()
    thing = "volatile int one = 1; struct thing { thing() : alive(one) {} int alive; } first;\n"
    main = source.index("int main(void)")
    begun = source[main:].replace("port_start();", "if (!first.alive) { return 1; } port_start();")
    (own(made) / "plus.cpp").write_text(source[:main] + thing + begun)
    assert answered(made, made.make(BOARD, compiler, "-Os") / BOARD / "plus.elf") == made.text


@pytest.mark.parametrize("compiler", compilers.COMPILERS)
def test_a_program_that_prints_links_as_the_readme_says(compiler: str, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc", "make", *[compilers.clang()] * (compiler == "clang"))
    made = example(tmp_path, BOARD, "typing")
    (own(made) / "prints.c").write_text(PRINTS)
    missing = ran("make", *chosen(compiler), "examples", cwd=made.project, code=2)
    assert b"undefined reference to `_write'" in missing
    readme = " ".join((made.project / "examples" / "README.md").read_text().split())
    (specs, library) = re.findall(r"say `EXTRA=(\S+)`, with clang add `([^`]+)`", readme)[0]
    if compiler == "gcc":
        ran("make", f"EXTRA={specs}", "examples", cwd=made.project)
    else:
        makefile = made.project / "Makefile"
        before = makefile.read_text()
        makefile.write_text(re.sub(r"^(LIBRARIES = .*)$", rf"\1 {library}", before, flags=re.M))
        ran("make", *chosen(compiler), "examples", cwd=made.project)
    assert (made.project / f"build/{BOARD}/examples/{BOARD}/prints.elf").is_file()


def test_a_stream_lies_in_another_region_as_the_readme_says(tmp_path: Path) -> None:
    """Its state by a section of its own, all arenas by the alias of their region."""
    toy.need("arm-none-eabi-gcc", "make", "python3")
    toy.need_emulator()
    made = example(tmp_path, BOARD, "typing")
    readme = (made.project / "README.md").read_text()
    (line,) = re.findall(r"^    (SECTIONS \{.*)$", readme, re.MULTILINE)
    (stream,) = re.findall(r"^    (static \w+_state second_state\n(?:    .*\n)+)", readme, re.M)
    script = made.project / "port" / BOARD / "linker.ld"
    before = script.read_text()
    moved = before.replace("INCLUDE sections.ld", f"{line}\nINCLUDE sections.ld")
    script.write_text(moved.replace('("ARENA", RAM)', '("ARENA", PSRAM)'))
    source = own(made) / "own_samples_serial.c"
    defined = re.sub(r"^\w+_DEFINE\(net\);$", lambda _: stream, source.read_text(), flags=re.M)
    source.write_text(re.sub(r"&net\b", "&second", defined))
    program = made.make(BOARD, "gcc", "-Os") / BOARD / "own_samples_serial.elf"
    psram = boards.load_board(BOARD).memory["psram"]
    with program.open("rb") as file:
        elf = ELFFile(file)
        places = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
        assert elf.get_section_by_name(".psram")["sh_type"] == "SHT_NOBITS"
    for name in ("second_state", "second_arena"):
        assert 0 <= places[name] - psram.origin < psram.size, name
    assert answered(made, program) == made.text


@pytest.mark.parametrize("name", boards.names())
def test_a_readme_tells_every_region_and_what_is_special_of_it(name: str, tmp_path: Path) -> None:
    board = boards.load_board(name)
    readme = " ".join((example(tmp_path, name, "values").project / "README.md").read_text().split())
    for region, memory in board.memory.items():
        assert f"- {region}: {memory.size} bytes at {memory.origin:#010x}, " in readme
        assert memory.note in readme
    assert ("no peer" in readme) == (name in {"virtual-m7", "virtual-m33", "virtual-m55"})
    assert ("QEMU's machine has none" in readme) == (name == "virtual-f405")
    several = name in {"nucleo-h743zi2", "stm32h735g-dk"} or name.startswith("virtual")
    assert ("name another region in its" in readme) == several
