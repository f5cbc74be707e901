"""The stack that each kernel of firmware/nn needs: what compilers say of every function
(-fstack-usage), added up along the deepest chain of calls inside a kernel's file.

What a function calls, its relocations say; functions that are nothing but assembly say their stack
in a comment above them. The C library's memcpy() and memset() are not in it.
`python -m bench.bare.stack` writes the figures into nn.h and export/c/stack.py; a test compares.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.bare.cores import CLANG, CORES
from compress.errors import TendonError

ROOT = Path(__file__).parent.parent.parent
NN, STATED = ROOT / "firmware" / "nn", ROOT / "export" / "c" / "stack.py"
FLAGS = ("-std=c11", "-ffunction-sections", "-fstack-usage")
LEVEL = "-O3"  # at which projects build kernels
_NAKED = re.compile(r"/\* stack: (\d+) bytes \*/\nstatic NN_NAKED [^(]*?(\w+)\(")
_DEFINED = re.compile(r"static NN_NAKED [^;{]*\{")
_FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
_CALL = re.compile(r"R_(ARM_THM_CALL|ARM_THM_JUMP\d\d|X86_64_(?:PLT|PC)32)\s+(\S+)$")
Calls = dict[str, list[tuple[str, bool]]]  # function -> what it calls, and whether as its last act


@dataclass(frozen=True)
class Target:
    """A compiler and the machine that it compiles for."""

    command: tuple[str, ...]
    objdump: str

    def usage(self, kernel: str, level: str = LEVEL) -> int:
        """Bytes of stack of a kernel, the name of a file in firmware/nn, with all it calls."""
        source = NN / f"{kernel}.c"
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / f"{kernel}.o"
            _output([*self.command, *FLAGS, level, "-c", str(source), "-o", str(made)])
            frames = _frames(made.with_suffix(".su").read_text(encoding="utf-8"))
            listing = _output([self.objdump, "-dr", "--no-show-raw-insn", str(made)])
        frames |= _assembly(source)
        return _deepest(kernel, frames, _calls(listing))


COMPUTER = "computer"
COLUMNS = (*CORES, COMPUTER)


def targets() -> dict[tuple[str, str], Target]:
    """(compiler, column of the table) -> what compiles for it."""
    commands = (("gcc", ("arm-none-eabi-gcc",), "gcc"), ("clang", CLANG, CLANG[0]))
    found = {}
    for compiler, cross, native in commands:
        for core in CORES.values():
            command = (*cross, *core.flags)
            found[compiler, core.name] = Target(command, "arm-none-eabi-objdump")
        found[compiler, COMPUTER] = Target((native,), "objdump")
    return found


def kernels() -> list[str]:
    """Every kernel by the name of its file."""
    return sorted(path.stem for path in NN.glob("nn_*.c"))


def _assembly(source: Path) -> dict[str, int]:
    """Function of nothing but assembly -> its bytes, of a kernel's file and its headers."""
    text = source.read_text(encoding="utf-8")
    headers = re.findall(r'#include "(nn_\w+\.h)"', text)
    text += "".join((NN / name).read_text(encoding="utf-8") for name in headers)
    found = {name: int(size) for size, name in _NAKED.findall(text)}
    if len(_NAKED.findall(text)) != len(_DEFINED.findall(text)):
        raise TendonError(f"{source.name}: a function of assembly does not say its stack above it")
    return found


def _frames(usage: str) -> dict[str, int]:
    """Function -> bytes of its own, from a .su file of gcc or clang."""
    found = {}
    for line in usage.splitlines():
        place, size, kind = line.split("\t")
        if "dynamic" in kind and "bounded" not in kind:
            raise TendonError(f"{place}: a stack whose size is not known")
        found[place.rpartition(":")[2]] = int(size)
    return found


def _calls(listing: str) -> Calls:
    """From a disassembly. A function's own frame is gone when it calls as its last act."""
    found: Calls = {}
    here: list[tuple[str, bool]] = []
    for line in listing.splitlines():
        if function := _FUNCTION.match(line.strip()):
            here = found.setdefault(function.group(1), [])
        elif call := _CALL.search(line):
            name = re.sub(r"[-+]0x[0-9a-f]+$", "", call.group(2)).removeprefix(".text.")
            here.append((name, "JUMP" in call.group(1)))
    return found


def _deepest(function: str, frames: dict[str, int], calls: Calls) -> int:
    own = frames[function] if function in frames else frames.get(function.split(".")[0], 0)
    depths = [own]
    for name, last in calls.get(function, ()):
        if name in calls and name != function:
            below = _deepest(name, frames, calls)
            depths.append(below if last else own + below)
    return max(depths)


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    except FileNotFoundError:
        raise TendonError(f"{command[0]} not found: run make tools") from None
    except subprocess.CalledProcessError as error:
        raise TendonError(f"{command[0]} failed:\n{error.stderr[-2000:]}") from None
    return done.stdout


# --- the table ------------------------------------------------------------------------------------

HEAD = "kernel                        M4    M7   M33   M55  computer"
_TABLE = re.compile(rf" \* {re.escape(HEAD)}\n((?: \* \w+(?: +\d+)+\n)*)")


def measured() -> dict[str, tuple[int, ...]]:
    """Kernel -> bytes for each of COLUMNS, the larger of both compilers."""
    every = targets()
    return {
        kernel: tuple(
            max(target.usage(kernel) for (_, column), target in every.items() if column == name)
            for name in COLUMNS
        )
        for kernel in kernels()
    }


def without_optimization() -> int:
    """Bytes of the kernel that needs most on a Cortex-M at -O0. Only a Cortex-M55 is asked: of all
    cores it needed most, with either compiler."""
    every = targets()
    found = [every[compiler, "cortex-m55"] for compiler in ("gcc", "clang")]
    return max(target.usage(kernel, "-O0") for kernel in kernels() for target in found)


def stated() -> dict[str, tuple[int, ...]]:
    """The same, as nn.h says it."""
    found = _TABLE.search((NN / "nn.h").read_text(encoding="utf-8"))
    assert found, "nn.h has no table of stacks"
    rows = (line.split()[1:] for line in found.group(1).splitlines())
    return {name: tuple(map(int, figures)) for name, *figures in rows}


def write(figures: dict[str, tuple[int, ...]]) -> None:
    """Into nn.h and export/c/stack.py."""
    rows = (
        f" * {kernel:<26}" + "".join(f"{n:>6}" for n in row[:-1]) + f"{row[-1]:>10}\n"
        for kernel, row in figures.items()
    )
    header = (NN / "nn.h").read_text(encoding="utf-8")
    (NN / "nn.h").write_text(_TABLE.sub(f" * {HEAD}\n{''.join(rows)}", header))
    largest = "".join(f'    "{name}": {max(row[:-1])},\n' for name, row in figures.items())
    native = "".join(f'    "{name}": {row[-1]},\n' for name, row in figures.items())
    STATED.write_text(
        '"""Bytes of stack of each kernel of firmware/nn, by the name of its file, as nn.h says'
        " them; made by\n`python -m bench.bare.stack`.\n"
        '"""\n\n'
        f"KERNEL_STACK = {{  # the most on any Cortex-M, of gcc and clang, at -O3\n{largest}}}\n"
        f"NATIVE_STACK = {{  # on a computer\n{native}}}\n"
        f"DEBUG_STACK = {without_optimization()}  # of any kernel on a Cortex-M at -O0\n"
    )


if __name__ == "__main__":
    write(measured())
