"""The instructions of an ELF: where each lies, what it is, who calls whom."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compress.errors import TendonError

NEWEST = "armv8.1-m.main"  # knows the vector instructions too, and lists older cores as they are
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(\S+)(?:\t(.*))?$")
_TARGET = re.compile(r"<([^>+]+)>$")
_BRANCH = re.compile(r"^(b|bl|blx|cbn?z|b(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le))$")
_ADDRESS = re.compile(r"(?:^|, )([0-9a-f]+) <")
_LABEL = re.compile(r"^([0-9a-f]+) <(.+)>:$")


@dataclass(frozen=True)
class Instruction:
    """One instruction as objdump shows it; `function` is the label it stands under."""

    address: int
    size: int
    mnemonic: str
    operands: str
    function: str


@dataclass(frozen=True)
class Call:
    """A call by name: who calls, where, whom, and where execution goes on afterwards."""

    caller: str
    address: int
    callee: str
    returns_to: int


def disassemble(elf: Path, prefix: str = "arm-none-eabi-") -> dict[int, Instruction]:
    """Address -> instruction, in the order of addresses. TendonError when objdump is missing or
    refuses the file."""
    try:
        command = [f"{prefix}objdump", "-d", "-m", NEWEST, str(elf)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except FileNotFoundError:
        raise TendonError(
            f"{prefix}objdump not found: expected the cross compiler's tools; run make tools"
        ) from None
    if done.returncode:
        raise TendonError(f"{elf}: expected an ELF image, objdump says: {done.stderr.strip()}")
    found: dict[int, Instruction] = {}
    function = ""
    for line in done.stdout.splitlines():
        if label := _LABEL.match(line):
            function = label[2]
        elif (code := _LINE.match(line)) and not code[3].startswith("."):  # .word, .short: literals
            address = int(code[1], 16)
            size = len(code[2].replace(" ", "")) // 2
            mnemonic = re.sub(r"\.[nw]$", "", code[3])
            operands = re.split(r"\s*[@;]", code[4] or "")[
                0
            ].strip()  # what follows is objdump's comment
            found[address] = Instruction(address, size, mnemonic, operands, function)
    return found


def address_of(code: dict[int, Instruction], function: str) -> int:
    """Where a function begins."""
    for address, instruction in code.items():
        if instruction.function == function:
            return address
    raise TendonError(f"the image has no function {function}; build it with its symbols")


def target_of(instruction: Instruction) -> int | None:
    """Where a branch by name leads to; None for everything else."""
    found = _BRANCH.match(instruction.mnemonic) and _ADDRESS.search(instruction.operands)
    return int(found[1], 16) if found else None


def calls(code: dict[int, Instruction], function: str) -> list[Call]:
    """The calls that a function's own instructions make, in the order of addresses. A call in tail
    position (b) is none of them: it does not come back."""
    return [call for call in _all_calls(code) if call.caller == function]


def return_addresses(code: dict[int, Instruction], function: str) -> list[int]:
    """Where execution goes on after each call of a function."""
    found = [call.returns_to for call in _all_calls(code) if call.callee == function]
    if not found:
        raise TendonError(
            f"the image never calls {function} by its name; build it without link-time inlining"
        )
    return found


def _all_calls(code: dict[int, Instruction]) -> Iterator[Call]:
    for i in code.values():
        target = _TARGET.search(i.operands)
        if i.mnemonic in ("bl", "blx") and target:
            yield Call(i.function, i.address, target[1], i.address + i.size)


def interrupts(code: dict[int, Instruction], executed: dict[int, int]) -> int:
    """Entries into functions named as interrupt handlers are (…_Handler, …_IRQHandler)."""
    entries: dict[str, int] = {}
    for address, instruction in code.items():
        if instruction.function.endswith("Handler"):
            entries.setdefault(instruction.function, address)
    return sum(executed.get(address, 0) for address in entries.values())
