"""The external flash of the STM32H735G-DK against simulated registers: mapped in the end, on eight
lines only if it answers there, and HELLO says which."""

from __future__ import annotations

import pytest

from export.boards import load_board
from tests import toy
from tests.firmware.chip.known import KNOWN
from tests.firmware.chip.simulation import Fault, Simulation, Trace

BOARD = "stm32h735g-dk"
EIGHT_LINES = {
    "OCTOSPI_CCR": 0x2C003C1C,
    "OCTOSPI_TCR": 0x10000014,
    "OCTOSPI_IR": 0xEE11,
    "OCTOSPI_DCR2": 1,
}
ONE_LINE = {"OCTOSPI_CCR": 0x01003101, "OCTOSPI_TCR": 0, "OCTOSPI_IR": 0x13, "OCTOSPI_DCR2": 3}
OCTOSPI_PINS = {  # UM2679, Octo-SPI flash, and the STM32H735's table of alternate functions
    "GPIOB": {2: 10},
    "GPIOE": {2: 9},
    "GPIOF": {10: 9},
    "GPIOG": {6: 10, 9: 9},
    "GPIOD": {4: 10, 5: 10, 7: 10, 11: 9, 12: 9, 13: 9},
}
# ARM DDI 0403 B3.5 and B3.2.8
MPU_CTRL, MPU_RBAR, MPU_RASR, CACHES = 0xE000ED94, 0xE000ED9C, 0xE000EDA0, 0xE000ED14
READ_ONE_LINE, READ_EIGHT_LINES = 0x05, 0x05FA  # RDSR, and with its complement


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    toy.need("gcc")
    return Simulation(BOARD, KNOWN[BOARD], tmp_path_factory.mktemp("chips"))


def without(*words: str) -> Fault:
    """What speaks of one of these never comes."""
    rules = KNOWN[BOARD].rules
    return Fault(never=tuple(i for i, rule in enumerate(rules) if any(w in rule for w in words)))


def mapped(board: Simulation, trace: Trace) -> dict[str, int]:
    """How the flash is read in the end."""
    assert trace.last["OCTOSPI_CR"] == board.fact["OCTOSPI_CR_EN"] | 3 << 28, "memory-mapped"
    assert trace.of(board.fact["OCTOSPI_DCR1"]) == [0x01190100], "Macronix, 64 MB"
    return {name: trace.last[name] for name in EIGHT_LINES}


def clock_hz(trace: Trace) -> float:
    """RM0468, RCC_D1CCIPR, RCC_PLL2DIVR, OCTOSPI_DCR2: of PLL2's output R, or the AXI clock."""
    pll, divider = trace.last["RCC_PLL2DIVR"], (trace.last["OCTOSPI_DCR2"] & 255) + 1
    source = 64e6 / (trace.last["RCC_PLLCKSELR"] >> 12 & 63)
    if trace.last["RCC_D1CCIPR"] >> 4 & 3 == 2:
        return source * ((pll & 511) + 1) / ((pll >> 24 & 127) + 1) / divider
    return KNOWN[BOARD].tree.runs(trace.last).bus / divider


@pytest.mark.parametrize(
    ("missing", "lines", "says"),
    [
        ((), EIGHT_LINES, "eight lines, both edges, 100 MHz"),
        (("CSION",), EIGHT_LINES, "eight lines, both edges, 100 MHz"),
        (("PLL1ON",), EIGHT_LINES, "eight lines, both edges, 100 MHz"),
        (("PLL2ON",), ONE_LINE, "one line, 65 MHz"),
        (("PLL2ON", "PLL1ON"), ONE_LINE, "one line, 16 MHz"),
        (("FMODE_POLL",), ONE_LINE, "one line, no answer"),
        (("OCTOSPI",), ONE_LINE, "one line, no answer"),
    ],
)
def test_it_is_mapped_in_the_end_and_on_eight_lines_only_if_it_answers_there(
    missing: tuple[str, ...], lines: dict[str, int], says: str, board: Simulation
) -> None:
    trace = board.start(without(*missing) if missing else Fault())
    assert mapped(board, trace) == lines
    assert trace.memory == says
    if "MHz" in says:
        assert clock_hz(trace) == float(says.split(", ")[-1].split()[0]) * 1e6
    selected = trace.of(board.fact["RCC_D1CCIPR"])
    assert selected == ([] if "PLL2ON" in missing else [2 << 4])


def test_its_bandwidth_is_the_boards_and_its_pins_are(board: Simulation) -> None:
    trace = board.start()
    assert 2 * clock_hz(trace) == load_board(BOARD).memory["octospi"].bytes_per_second
    for port, pins in OCTOSPI_PINS.items():
        for pin, function in pins.items():
            base = board.fact[port]
            assert trace.last.at(base) >> 2 * pin & 3 == 2
            assert trace.last.at(base + 8) >> 2 * pin & 3 == 3
            assert trace.last.at(base + 0x20 + 4 * (pin // 8)) >> 4 * (pin % 8) & 0xF == function


def test_its_status_is_read_after_the_dummy_cycles_of_its_maker(board: Simulation) -> None:
    """On eight lines and both edges: 32 bits of address, which are 0, 5 cycles, two bytes, with the
    data strobe (STMicroelectronics/stm32-mx25lm51245g, mx25lm51245g.c and its configuration). On
    one line none of that."""
    names = ("OCTOSPI_CCR", "OCTOSPI_TCR", "OCTOSPI_DLR", "OCTOSPI_AR")
    read: dict[int, set[tuple[int, ...]]] = {READ_ONE_LINE: set(), READ_EIGHT_LINES: set()}
    for who, where, now in board.start().states():
        if who == "h" and where == board.fact["OCTOSPI_SR"] and now["OCTOSPI_CR"] >> 28 == 2:
            read.setdefault(now["OCTOSPI_IR"], set()).add(tuple(now[name] for name in names))
    assert read[READ_EIGHT_LINES] == {(0x2C003C1C, 0x10000005, 1, 0)}
    assert {(of[0], of[1], of[2]) for of in read[READ_ONE_LINE]} == {(0x01000001, 0, 0)}


def test_the_core_does_not_read_ahead_into_a_flash_that_is_not_mapped(board: Simulation) -> None:
    """ARM DDI 0403 B3.5: of external memory only the flash is open, for reading, before it is
    touched and before the caches."""
    trace = board.start()
    assert trace.of(MPU_RBAR) == [0x60000000, 0x80000000, 0x90000000]
    closed, flash = trace.of(MPU_RASR)
    assert (closed >> 24 & 7, closed >> 1 & 31) == (0, 28)
    assert (flash >> 24 & 7, flash >> 1 & 31, flash >> 16 & 0x3F) == (6, 25, 2)
    control = board.fact["OCTOSPI_CR"]
    enabled = trace.index(MPU_CTRL, 5)
    assert enabled < trace.index(control, 1) < trace.index(control, 3 << 28)
    assert trace.index(control, 3 << 28) < trace.index(CACHES, 3 << 16)
