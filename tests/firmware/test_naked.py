"""Whatever options put at the begin of functions, a naked one begins with its assembly: guards of
the stack, profilers and coverage would overwrite its parameters and its caller's frame."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from bench.bare import cases
from bench.bare.cores import CLANG, CORES
from export.boards import FIRMWARE
from tests.firmware import sweep
from tests.firmware.test_kernels import other_checks
from tests.toy import need

ALL = os.environ.get("COMPILERS") == "all"
HOOKS = Path(__file__).with_name("hooks.c")
PORTS = ("cortex-m", "virtual-f405")
INCLUDE = [
    f"-I{FIRMWARE / folder}"
    for folder in ("nn", "app", "port", *(f"port/{name}" for name in PORTS))
]
BOTH = ("-fstack-protector-all", "-finstrument-functions", "--coverage")
MORE = ("-fsanitize-coverage=trace-pc", "-pg", "-fsanitize=kernel-address", "-fsanitize=undefined")
OPTIONS = {
    "gcc": (*BOTH, *MORE, "-fprofile-generate", "-fpatchable-function-entry=2"),
    "clang": (*BOTH, *MORE, "-fprofile-instr-generate", "-fsanitize-coverage=trace-pc-guard"),
}
TOGETHER = {  # what may stand in one command
    "gcc": tuple(option for option in OPTIONS["gcc"] if option != "-fsanitize=undefined"),
    "clang": (*BOTH, "-fprofile-instr-generate", "-fsanitize-coverage=trace-pc", "-pg"),
}
SWEPT = [
    f"{core} {compiler} -O2 {option}"
    for core in ("cortex-m4", "cortex-m33", "cortex-m55")
    for compiler in ("gcc", "clang")
    for option in (*BOTH, "-fsanitize-coverage=trace-pc")
]


def sources() -> dict[Path, set[str]]:
    """Files with naked functions in them or in a header of theirs, and the functions' names."""
    defined = re.compile(r"\bNAKED [^(;]*?(\w+)\([^;{]*\{")
    found = {}
    for path in [*(FIRMWARE / "nn").glob("*.c"), *(FIRMWARE / "port" / "cortex-m").glob("*.c")]:
        texts = [path.read_text()]
        for name in re.findall(r'#include "(nn_\w+\.h)"', texts[0]):
            if name != "nn_intrinsics.h":
                texts.append((FIRMWARE / "nn" / name).read_text())
        names = set(defined.findall("".join(texts).replace("NN_NAKED", "NAKED")))
        if names:
            found[path] = names
    return found


def machine_code(
    core: str, compiler: str, source: Path, folder: Path, options: tuple[str, ...]
) -> dict[str, bytes]:
    """Function -> what it is from its symbol to the end of its section, and its length."""
    command = ["arm-none-eabi-gcc"] if compiler == "gcc" else list(CLANG)
    command += [*CORES[core].flags, "-std=c11", "-O2", "-ffunction-sections", *INCLUDE, *options]
    target = folder / f"{source.stem}.o"
    command += ["-c", str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {}
    with target.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        for symbol in table.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF":
                section = elf.get_section(symbol["st_shndx"])
                begin = symbol["st_value"] & ~1
                found[symbol.name] = section.data()[begin : begin + symbol["st_size"]]
    return found


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(
    "core", ["cortex-m4", "cortex-m33", "cortex-m55"] if ALL else ["cortex-m4"]
)
def test_a_naked_function_is_its_assembly(core: str, compiler: str, tmp_path: Path) -> None:
    need("arm-none-eabi-gcc", CLANG[0])
    named = sources()
    assert sum(len(names) for names in named.values()) > 12
    assert {"Fault_Handler"} in named.values()
    each = [(option,) for option in OPTIONS[compiler]] if ALL else [TOGETHER[compiler]]
    seen = set()
    for source, names in named.items():
        plain = machine_code(core, compiler, source, tmp_path, ())
        for options in each:
            found = machine_code(core, compiler, source, tmp_path, options)
            for name in names & set(plain):
                what = f"{source.name}: {name} with {' '.join(options)}"
                assert found[name].startswith(plain[name]) and len(plain[name]) > 4, what
                seen.add((source, name))
    assert len(seen) >= 8


@pytest.mark.parametrize("name", SWEPT if ALL else SWEPT[:2])
def test_kernels_give_the_words_of_the_reference(name: str, tmp_path: Path) -> None:
    """Hooks change every register that a call may change."""
    need("arm-none-eabi-gcc", CLANG[0], "qemu-system-arm")
    built = sweep.Build.of(name)
    elf = cases.build(built.core, tmp_path, *built.flags, f"{HOOKS}", compiler=built.compiler)
    runner = sweep.Runner(built, elf)
    if ALL:
        runner.check(other_checks())
        if built.core.name == "cortex-m55":
            runner.check(sweep.linear_checks("linear_s16_mve"))
            runner.check(sweep.linear_checks("linear_s8_mve"))
    runner.check(sweep.linear_checks("linear"))
    runner.check(sweep.linear_checks("linear_s4"))
    runner.check(sweep.window_checks())
