"""A port's start-up as a program of the development machine, on a chip that chip.c plays."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from export.boards import load_board
from tests.firmware.chip.facts import FACTS
from tests.firmware.chip.trees import Tree

HARNESS = Path(__file__).parent
PORT = Path(__file__).parents[3] / "firmware" / "port"
WAIT = 100_000  # turns of the ports' wait_for(), one access each
SOON, NEVER = 20, 0xFFFFFFFF


@dataclass(frozen=True)
class Chip:
    """How a chip's registers follow each other (its reference manual), and what the port should
    make of it.

    `ready`: lines "REGISTER BITS > REGISTER BITS", the second once the first, or "REGISTER FIELD ~
    REGISTER BIT", which falls for a while with a change, by the names of facts.py; `waits`: wait
    states in FLASH_ACR; `choice`: the register whose field SW of so many bits chooses the clock,
    and the PLL's value; `pins`: port, TX, RX and their alternate function; `apb`: what clocks the
    USART; `slow_hz`: the clock when nothing comes up.
    """

    ready: str
    tree: Tree
    waits: int
    choice: tuple[str, int, int]
    pins: tuple[str, int, int, int]
    apb: int
    divider: int
    slow_hz: int
    reset: dict[str, int] = field(default_factory=dict)
    crystal: int = 0
    low_power_uart: bool = False

    @property
    def rules(self) -> list[str]:
        """The lines of `ready`."""
        return [line.strip() for line in self.ready.strip().splitlines()]


@dataclass(frozen=True)
class Fault:
    """What goes wrong: rules whose effect never comes, rules whose effect comes so late; a source
    that is never switched to; a switch that takes so long; wait states that do not read back;
    for how many accesses the watchdog's PR and RLR are under way."""

    never: tuple[int, ...] = ()
    late: dict[int, int] = field(default_factory=dict)
    refused: int = NEVER
    switch: int = 10
    flash: bool = False
    watchdog: tuple[int, int] = (300, 500)


class State:
    """The content of all registers at one moment."""

    def __init__(self, address: dict[str, int], content: dict[int, int]):
        self._address, self._content = address, content

    def __getitem__(self, name: str) -> int:
        return self._content.get(self._address[name], 0)

    def at(self, address: int) -> int:
        """By address."""
        return self._content.get(address, 0)


@dataclass(frozen=True)
class Trace:
    """Changes of registers in order, at which access, by the program ("w") and by the hardware
    ("h"); what they hold long after; what port_start() returned."""

    changes: list[tuple[int, str, int, int]]
    last: State
    clock_hz: int
    memory: str
    reset: dict[int, int]
    address: dict[str, int]

    @property
    def writes(self) -> list[tuple[int, int]]:
        """The program's part."""
        return [(where, value) for _, who, where, value in self.changes if who == "w"]

    def states(self) -> Iterator[tuple[str, int, State]]:
        """After every change, with who changed which register; each only until the next."""
        content = dict(self.reset)
        for _, who, where, value in self.changes:
            content[where] = value
            yield who, where, State(self.address, content)

    def of(self, address: int) -> list[int]:
        """The values that the program gave to a register."""
        return [value for where, value in self.writes if where == address]

    def index(self, address: int, bits: int) -> int:
        """Place of the first write that has all these bits."""
        return next(
            i
            for i, (where, value) in enumerate(self.writes)
            if where == address and value & bits == bits
        )


class Simulation:
    """One board's start-up as a program."""

    def __init__(self, name: str, chip: Chip, folder: Path):
        self.board, self.chip = load_board(name), chip
        self.fact = FACTS[name]
        self.program = folder / f"{name}-{chip.crystal}"
        shared = [PORT / share for share in self.board.shares if share != "cortex-m"]
        sources = [HARNESS / "chip.c", PORT / "cortex-m" / "counter.c"]
        for where in (self.board.folder, *shared):
            sources += sorted(where.glob("*.c"))
        includes = [
            *(HARNESS, self.board.folder, *shared),
            *(PORT / "cortex-m", PORT, PORT.parent / "app"),
        ]
        flags = ["-std=gnu11", "-Wall", "-Werror", "-O1", "-D__asm=if (0) __asm"]
        if chip.crystal:
            flags.append(f"-DPORT_CRYSTAL_HZ={chip.crystal}")
        command = ["gcc", *flags, *(f"-I{path}" for path in includes), *map(str, sources)]
        subprocess.run([*command, "-o", str(self.program)], check=True)

    def bits(self, name: str) -> int:
        """A register's bits by their name, or several joined by |."""
        if name.startswith("0x"):
            return int(name, 16)
        return self.fact[name]

    def _rule(self, place: int, line: str, fault: Fault) -> str | None:
        cause, bits, kind, effect, ready = line.split()
        delay = NEVER if place in fault.never else fault.late.get(place, SOON)
        numbers = [self.fact[cause], self.bits(bits), self.fact[effect], self.bits(ready)]
        if kind == "~":  # falls two accesses after the write, and is long in coming back
            numbers += [2, fault.late.get(place, NEVER if place in fault.never else 2000)]
        elif place in fault.never:
            return None
        else:
            numbers.append(delay)
        return f"{kind} " + " ".join(f"{number:x}" for number in numbers)

    def _hardware(self, fault: Fault) -> Iterator[str]:
        for place, line in enumerate(self.chip.rules):
            rule = self._rule(place, line, fault)
            if rule is not None:
                yield rule
        register, length, _ = self.chip.choice
        mask = (1 << length) - 1
        yield f"s {self.fact[register]:x} {mask:x} {fault.switch:x} {fault.refused:x}"
        if fault.flash:
            yield f"! {self.fact['FLASH_ACR']:x} {self.fact['FLASH_ACR_LATENCY']:x}"
        watchdog = self.fact["IWDG_BASE"]
        prescaler, reload = fault.watchdog
        yield f"~ 0 0 {watchdog + 12:x} 3 0 {min(fault.watchdog):x}"  # busy from before
        yield f"~ {watchdog + 4:x} ffffffff {watchdog + 12:x} 1 0 {prescaler:x}"
        yield f"~ {watchdog + 8:x} ffffffff {watchdog + 12:x} 2 0 {reload:x}"

    def start(self, fault: Fault | None = None, **reset: int) -> Trace:
        """port_start() on this chip with this fault, other values out of reset if need be."""
        content = {self.fact[name]: value for name, value in (self.chip.reset | reset).items()}
        lines = [f"= {where:x} {value:x}" for where, value in content.items()]
        done = subprocess.run(
            [self.program],
            input="\n".join([*lines, *self._hardware(fault or Fault()), ""]),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        *events, last = done.stdout.splitlines()
        changes = [
            (int(time), who, int(where, 16), int(value, 16))
            for who, time, where, value in (line.split() for line in events)
        ]
        end = {where: value for _, who, where, value in changes if who == "="}
        _, clock_hz, memory = last.split(" ", 2)
        return Trace(
            [change for change in changes if change[1] != "="],
            State(self.fact, end),
            int(clock_hz),
            memory,
            content,
            self.fact,
        )


def on_crystal(chip: Chip, ready: str, tree: Tree, hz: int) -> Chip:
    """The same chip built for a crystal."""
    return dataclasses.replace(chip, ready=ready + chip.ready, tree=tree, crystal=hz)
