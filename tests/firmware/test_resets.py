"""Each STM32's register of reset causes, flag by flag as its manual sets them, becomes the right
word; it is cleared once."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from export.boards import load_board, names
from host import faults
from tests import toy
from tests.firmware.chip.resets import BITS, H7

PORT = Path(__file__).parents[2] / "firmware" / "port"
HARNESS = Path(__file__).parent / "chip"
CHIPS = [name for name in names() if load_board(name).loading]

# what is set together: every internal reset pulls the pin, and all domains of an H7
CASES = {
    "POR BOR PIN": faults.POWER_ON,
    "POR BOR PIN SFT IWDG": faults.POWER_ON,  # the others mean nothing then
    "BOR PIN": faults.BROWN_OUT,
    "PIN": faults.PIN,
    "SFT PIN": faults.SOFTWARE,
    "IWDG PIN": faults.WATCHDOG,
    "WWDG PIN": faults.WATCHDOG,
    "LPWR PIN": faults.OTHER,
    "OBL PIN": faults.OTHER,
    "": faults.UNKNOWN,
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What compiles a board's, once."""
    toy.need("gcc")
    folder = tmp_path_factory.mktemp("resets")
    return functools.cache(lambda name: _program(name, folder / name))


def _program(name: str, program: Path) -> Path:
    includes = [HARNESS, load_board(name).folder, PORT / "cortex-m", PORT]
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    sources = [HARNESS / "reset.c", PORT / "stm32" / "reset.c"]
    subprocess.run([*command, *(f"-I{i}" for i in includes), *sources, "-o", program], check=True)
    return program


def value_of(name: str, flags: str) -> int:
    return sum(1 << BITS[name][flag] for flag in flags.split())


@pytest.mark.parametrize(
    ("name", "flags"),
    [(n, flags) for n in CHIPS for flags in CASES if set(flags.split()) <= set(BITS.get(n, ()))],
)
def test_every_cause_has_its_word(name: str, flags: str, programs: Callable[[str], Path]) -> None:
    """A chip without a flag for power-on says brown-out; RAM that kept nothing makes it power-on
    (cortex-m/fault.c)."""
    domains = " CPU D1 D2" if BITS[name] is H7 and flags else ""
    value = value_of(name, flags + domains)
    done = subprocess.run(
        [programs(name), f"{value | 1:x}"], capture_output=True, text=True, check=True
    )
    *writes, said = done.stdout.splitlines()
    cause, lost, kept = said.split()
    assert int(cause) == CASES[flags] and int(kept, 16) == value
    clear = 1 << BITS[name]["clear"]
    written = [int(line.split()[1], 16) for line in writes]
    assert written == [value | 1 | clear, value | 1], "bit 0 is the oscillator's: it stays"
    corrects_errors = BITS[name] is H7
    assert bool(int(lost)) == ("POR" in flags or (corrects_errors and "BOR" in flags))


@pytest.mark.parametrize("name", [*CHIPS, *BITS.keys() - set(CHIPS)])
def test_every_chip_is_told_of(name: str) -> None:
    assert name in CHIPS and BITS[name]
