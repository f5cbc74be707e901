"""The start-up of every STM32 port against simulated registers: full speed when all comes up, and
whatever does not, what it reports is the clock that runs.

No chip has confirmed these ports. What can be held against the manual without one is what they
write, in which order, what the clocks and voltages are after every write, and that no wait hangs.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from export.boards import load_board, names
from tests import toy
from tests.firmware.chip.facts import FACTS
from tests.firmware.chip.known import CRYSTAL, KNOWN, NOT_FOR_SPEED, VARIANTS
from tests.firmware.chip.simulation import NEVER, WAIT, Fault, Simulation, Trace
from tests.firmware.chip.table import Table
from tests.firmware.chip.trees import Clocks

CHIPS = [name for name in names() if load_board(name).loading]
BAUD = 921_600
LSI_HZ = 47_000  # the fastest watchdog clock of all: STM32F405 data sheet, LSI
# Cortex-M: ARM DDI 0403 B3.3 and B3.4
SYSTICK_CTRL, SYSTICK_LOAD, NVIC_ISER = 0xE000E010, 0xE000E014, 0xE000E100
# RM0432 6.4.28, RM0433 8.7.19, RM0468 and RM0456: what else than its APB could clock the USART
KERNEL_CLOCK = {
    "nucleo-l4r5zi": 0x40021088,
    "nucleo-h743zi2": 0x58024454,
    "stm32h735g-dk": 0x58024454,
    "nucleo-u575zi-q": 0x46020CE0,
}
OWN = {  # names of registers.h that no header of ST has
    *("CLOCK_SELECT_BITS", "SYSTICK_BITS", "DBGMCU_REVISION_V", "AXI_TARG7_FN_MOD"),
    *("RESET_FLAGS", "RESET_LOSES_RAM"),
}


class Simulations(dict[str, Simulation]):
    """One of each variant, compiled when it is asked for."""

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder

    def __missing__(self, key: str) -> Simulation:
        name, chip = VARIANTS[key] if key in VARIANTS else (key, KNOWN[key])
        self[key] = Simulation(name, chip, self._folder)
        return self[key]


@pytest.fixture(scope="module")
def simulations(tmp_path_factory: pytest.TempPathFactory) -> Simulations:
    toy.need("gcc")
    return Simulations(tmp_path_factory.mktemp("chips"))


def declared(name: str) -> dict[str, int]:
    """What a port's registers.h defines."""
    text = (load_board(name).folder / "registers.h").read_text()
    values = dict(re.findall(r"#define (\w+) REGISTER\((0x\w+?)u\)", text))
    plain = re.findall(r"#define (\w+) ([(\d][^/\n]*?)\s*(?:/\*|$)", text, re.MULTILINE)
    for of, expression in plain:
        found = re.fullmatch(r"\(?(0x[0-9A-Fa-f]+|\d+)u?(?: << (\d+)\)?)?", expression)
        assert found, expression
        values[of] = hex(int(found[1], 0) << int(found[2] or 0))
    return {of: int(value, 16) for of, value in values.items()}


def line_rate(board: Simulation, trace: Trace) -> float:
    """The baud rate that the registers make: of USARTs with 16 samples per bit (RM0090 30.3.4,
    RM0433 chapter 48), of an LPUART in 256ths (RM0432 chapter LPUART)."""
    runs = board.chip.tree.runs(trace.last)
    line = runs.apb1 if board.chip.apb == 1 else runs.apb2
    old = "stm32-usart-sr" in board.board.shares
    control, rate = (0x0C, 0x08) if old else (0x00, 0x0C)
    usart = board.fact["USART_BASE"]
    assert not trace.last.at(usart + control) >> 15 & 1, "16 samples, not 8"
    divider = trace.last.at(usart + rate)
    if board.chip.low_power_uart:
        assert divider >= 0x300 and 3 * BAUD <= line <= 4096 * BAUD
        return 256 * line / divider
    assert divider >= 16, "fewer than 16 samples make no bit"
    return line / divider


def check_promises(board: Simulation, trace: Trace) -> Clocks:
    """What was reported is what runs in the end, and on the way nothing ran faster than supply and
    wait states stood for at that moment."""
    for who, where, state in trace.states():
        runs, most = board.chip.tree.runs(state), board.chip.tree.most(state)
        assert runs.within(most), (who, hex(where), runs, most)
    runs = board.chip.tree.runs(trace.last)
    assert trace.clock_hz == runs.core
    assert abs(line_rate(board, trace) / BAUD - 1) < 0.025
    wakes = (trace.last.at(SYSTICK_LOAD) + 1) / runs.core
    assert trace.last.at(SYSTICK_CTRL) == 7 and wakes <= 0.1, "port_read() sleeps at most 200 ms"
    watchdog = board.fact["IWDG_BASE"]
    period = (trace.last.at(watchdog + 8) + 1) * (4 << trace.last.at(watchdog + 4)) / LSI_HZ
    assert wakes < period / 10
    return runs


@pytest.mark.parametrize("name", [*CHIPS, *KNOWN.keys() - set(CHIPS)])
def test_every_chip_is_simulated(name: str) -> None:
    assert name in CHIPS and KNOWN[name]


@pytest.mark.parametrize("name", CHIPS)
def test_a_port_has_addresses_bits_and_interrupts_where_the_maker_has_them(name: str) -> None:
    mine, fact = declared(name), FACTS[name]
    assert {of: mine[of] for of in mine if of in fact} == {
        of: fact[of] for of in mine if of in fact
    }
    assert set(mine) - set(fact) <= OWN, "written down in facts.py, from ST's header"


@pytest.mark.parametrize("key", VARIANTS)
def test_a_chip_on_which_all_comes_up_runs_at_full_speed(
    key: str, simulations: Simulations
) -> None:
    board = simulations[key]
    chip, trace = board.chip, board.start()
    runs = check_promises(board, trace)
    assert runs.core == board.board.clock_hz
    assert abs(line_rate(board, trace) / board.board.baud - 1) < 0.006
    register, _, source = chip.choice
    switched = trace.index(board.fact[register], source)
    assert trace.last["FLASH_ACR"] & 0xF == chip.waits
    assert trace.index(board.fact["FLASH_ACR"], chip.waits) < switched, "wait states before speed"


@pytest.mark.parametrize("name", CHIPS)
def test_the_line_is_on_its_pins_at_its_rate(name: str, simulations: Simulations) -> None:
    board = simulations[name]
    trace, (port_name, transmit, receive, function) = board.start(), board.chip.pins
    port, usart = board.fact[port_name], board.fact["USART_BASE"]
    assert trace.of(usart + (0x08 if "stm32-usart-sr" in board.board.shares else 0x0C)) == [
        board.chip.divider
    ]
    for pin in (transmit, receive):
        assert trace.last.at(port) >> 2 * pin & 3 == 2, "alternate function"
        assert trace.last.at(port + 0x20 + 4 * (pin // 8)) >> 4 * (pin % 8) & 0xF == function
    assert trace.last.at(port + 0x0C) >> 2 * receive & 3 == 1, "pulled up"
    interrupt = board.fact["USART_IRQ"]
    assert trace.of(NVIC_ISER + 4 * (interrupt // 32)) == [1 << interrupt % 32]
    if name in KERNEL_CLOCK:
        assert trace.of(KERNEL_CLOCK[name]) == []


@pytest.mark.parametrize("under_way", [(300, 500), (500, 300)])
@pytest.mark.parametrize("name", CHIPS)
def test_the_watchdog_runs_in_the_end_and_its_registers_are_waited_for(
    name: str, under_way: tuple[int, int], simulations: Simulations
) -> None:
    """IWDG_SR says while a value is under way, here also from before: nothing is written then, and
    nothing served, which would load the old value."""
    board = simulations[name]
    trace, key = board.start(Fault(watchdog=under_way)), board.fact["IWDG_BASE"]
    assert trace.of(key) == [0xCCCC, 0x5555, 0xAAAA]
    assert (trace.of(key + 4), trace.of(key + 8)) == ([4], [2047])
    assert trace.writes[-1] == (key, 0xAAAA)
    busy = {key + 4: 1, key + 8: 2, key: 3}  # PVU for PR, RVU for RLR, both for serving
    for who, where, state in trace.states():
        if who == "w" and where in busy and state.at(key) != 0xCCCC:
            assert state.at(key + 12) & busy[where] == 0


@pytest.mark.parametrize("name", CHIPS)
def test_a_watchdog_that_never_takes_its_values_over_is_served_in_time(
    name: str, simulations: Simulations
) -> None:
    """Out of reset it bites after 4096 counts of LSI / 4: 348 ms at the earliest. Of those the
    start takes less than half."""
    board = simulations[name]
    trace = board.start(Fault(watchdog=(NEVER, NEVER)))
    assert trace.writes[-1] == (board.fact["IWDG_BASE"], 0xAAAA)
    spent = [when for when, _, where, _ in trace.changes if where == board.fact["IWDG_BASE"]]
    assert 8 * (spent[-1] - spent[0]) / trace.clock_hz < 0.15
    check_promises(board, trace)


CASES = [(key, i) for key, (_, chip) in VARIANTS.items() for i in range(len(chip.rules))]


@pytest.mark.parametrize(("key", "missing"), CASES)
def test_whatever_does_not_come_up_the_clock_is_the_one_the_core_runs_on(
    key: str, missing: int, simulations: Simulations
) -> None:
    """One ready bit never comes, or just after the port gave up: nothing hangs, and HELLO and the
    line's divider go by the clock that was selected."""
    board = simulations[key]
    rule = board.chip.rules[missing]
    optional = any(word in rule for word in NOT_FOR_SPEED)
    check_promises(board, board.start(Fault(late={missing: WAIT + 50})))
    trace = board.start(Fault(never=(missing,)))
    runs = check_promises(board, trace)
    assert (runs.core == board.board.clock_hz) == optional, (
        "what serves neither the core nor its supply is not needed"
    )
    register, length, source = board.chip.choice
    chosen = [v & (1 << length) - 1 for v in trace.of(board.fact[register])]
    assert optional or source not in chosen, "never put on a PLL that is not ready"


@pytest.mark.parametrize("key", VARIANTS)
def test_wait_states_that_do_not_read_back_leave_the_core_slow(
    key: str, simulations: Simulations
) -> None:
    board = simulations[key]
    runs = check_promises(board, board.start(Fault(flash=True)))
    assert runs.core == (64e6 if "RCC_D1CFGR" in board.fact else 16e6)


@pytest.mark.parametrize("key", VARIANTS)
def test_a_switch_that_is_refused_leaves_dividers_and_line_to_the_clock_that_runs(
    key: str, simulations: Simulations
) -> None:
    board = simulations[key]
    _, _, source = board.chip.choice
    for refused in {1, source}:
        trace = board.start(Fault(refused=refused))
        assert check_promises(board, trace).core <= 64e6 or refused != source


@pytest.mark.parametrize("key", VARIANTS)
@pytest.mark.parametrize("late", [*range(WAIT - 12, WAIT + 13), 3 * WAIT // 2, 5 * WAIT])
def test_a_switch_that_comes_when_the_port_gives_up_tells_no_lie(
    key: str, late: int, simulations: Simulations
) -> None:
    """It may come between any two accesses, also between the last look and the decision to stay."""
    board = simulations[key]
    check_promises(board, board.start(Fault(switch=late)))


@pytest.mark.parametrize("key", VARIANTS)
def test_a_chip_on_which_nothing_comes_up_still_starts(key: str, simulations: Simulations) -> None:
    board = simulations[key]
    everything = Fault(never=tuple(range(len(board.chip.rules))))
    assert check_promises(board, board.start(everything)).core == board.chip.slow_hz


def test_an_stm32h743_of_revision_y_is_held_at_400_mhz(simulations: Simulations) -> None:
    board = simulations["nucleo-h743zi2"]
    trace = board.start(DBGMCU_IDCODE=0x10036450)
    assert check_promises(board, trace).core == 400e6 and trace.last["FLASH_ACR"] & 0xF == 2
    assert trace.of(board.fact["SYSCFG_PWRCR"]) == [], "no overdrive"
    assert trace.of(0x51008108) == [1], "ES0392, AXI SRAM: AXI_TARG7_FN_MOD"
    assert trace.of(board.fact["USART_BASE"] + 0x0C) == [109]


ORDER = {
    "nucleo-f446re": (
        *("RCC_CR RCC_CR_PLLON", "PWR_CR PWR_CR_ODEN", "PWR_CR PWR_CR_ODSWEN"),
        "RCC_CFGR RCC_CFGR_SW_PLL",
    ),
    "nucleo-l4r5zi": (
        *("RCC_CFGR RCC_CFGR_SW_HSI", "RCC_CFGR RCC_CFGR_HPRE_DIV2", "RCC_CR RCC_CR_PLLON"),
        "RCC_CFGR RCC_CFGR_SW_PLL",
    ),
    "nucleo-h743zi2": (
        *("PWR_D3CR PWR_D3CR_VOS1", "SYSCFG_PWRCR SYSCFG_PWRCR_ODEN"),
        "RCC_CR RCC_CR_PLL1ON",
    ),
    "stm32h735g-dk": (
        *("PWR_CR3 PWR_CR3_SMPSEN", "RCC_CR RCC_CR_PLL1ON", "RCC_CR RCC_CR_PLL2ON"),
        "OCTOSPI_CR OCTOSPI_CR_EN",
    ),
    "nucleo-u575zi-q": (
        *("PWR_VOSR PWR_VOSR_RANGE_1", "PWR_CR3 PWR_CR3_REGSEL"),
        *("RCC_PLL1CFGR RCC_PLL1CFGR_MBOOST_DIV2", "PWR_VOSR PWR_VOSR_BOOSTEN"),
        *("RCC_CR RCC_CR_PLL1ON", "RCC_CFGR2 RCC_CFGR2_HPRE_DIV2"),
    ),
}


def test_the_supplies_come_in_the_order_of_the_manuals(simulations: Simulations) -> None:
    """F446: over-drive once the PLL was started. L4R5: boost while AHB is halved. U575: the booster
    after its source."""
    for name, steps in ORDER.items():
        board = simulations[name]
        trace = board.start()
        places = [
            trace.index(board.fact[register], board.fact[bits])
            for register, bits in map(str.split, steps)
        ]
        assert places == sorted(places), name
    boost = simulations["nucleo-l4r5zi"]
    trace = boost.start()
    assert trace.of(boost.fact["PWR_CR5"]) == [0] and trace.last["RCC_CFGR"] & 0xF0 == 0
    choices = [state["RCC_CFGR"] for _, _, state in trace.states()]
    on_pll = next(choice for choice in choices if choice >> 2 & 3 == 3)
    assert on_pll & 0xF0 == 0x80, "AHB is halved when the core leaves 16 MHz"


def test_no_clock_is_raised_before_the_voltage_that_was_asked_for_is_there(
    simulations: Simulations,
) -> None:
    """The ready bit falls some time after the write: who reads it at once reads the old voltage's.
    (RM0433 6.8.6; ST's own driver reads PWR_D3CR and SYSCFG_PWRCR back.)"""
    for name, register, bit in (
        ("nucleo-h743zi2", "PWR_D3CR", 13),
        ("stm32h735g-dk", "PWR_D3CR", 13),
        ("nucleo-u575zi-q", "PWR_VOSR", 15),
    ):
        board = simulations[name]
        for who, where, state in board.start().states():
            raising = who == "w" and where == board.fact["RCC_CR"] and state["RCC_CR"] >> 24 & 1
            assert not raising or state[register] >> bit & 1, name


# on a PLL, as a boot loader may leave it: a few registers, whatever the factors
LOADERS = Table(
    "tests/firmware/test_clock_trees.py, table LOADERS",
    {
        "virtual-f405": {"RCC_CR": 0x03000083, "RCC_PLLCFGR": 0x04003010, "RCC_CFGR": 0x149A},
        "nucleo-f446re": {"RCC_CR": 0x03000083, "RCC_PLLCFGR": 0x04003010, "RCC_CFGR": 0x149A},
        "nucleo-l4r5zi": {"RCC_CR": 0x03000563, "RCC_PLLCFGR": 0x01000812, "RCC_CFGR": 0x049F},
        "nucleo-h743zi2": {"RCC_CR": 0x03000025, "RCC_CFGR": 0x1B, "RCC_D1CFGR": 0x48},
        "stm32h735g-dk": {"RCC_CR": 0x03000025, "RCC_CFGR": 0x1B, "RCC_D1CFGR": 0x48},
        "nucleo-u575zi-q": {"RCC_CR": 0x03000535, "RCC_CFGR1": 0xF, "RCC_CFGR2": 0x449},
    },
)


@pytest.mark.parametrize("name", CHIPS)
def test_a_boot_loader_that_left_the_core_on_a_pll_makes_no_difference(
    name: str, simulations: Simulations
) -> None:
    """A PLL that runs takes no other factors (RM0090 7.3.2, and the others alike)."""
    board = simulations[name]
    trace = board.start(**LOADERS[name])
    full = board.start()
    assert trace.clock_hz == full.clock_hz == board.chip.tree.runs(trace.last).core
    assert abs(line_rate(board, trace) / BAUD - 1) < 0.025
    names = [of for of in ("RCC_PLLCFGR", "RCC_PLL1DIVR", "RCC_PLL1CFGR") if of in board.fact]
    bits = {of: 0x0007000F if "RCC_PLL2DIVR" in board.fact else 0xFFFFFFFF for of in names}
    bits |= {of: 0xFFFFFFFF for of in names if of != "RCC_PLLCFGR"}  # which an STM32H7's PLLs share
    running, before = True, None
    for _, _, state in trace.states():
        factors = [state[of] & bits[of] for of in names]
        assert before in (None, factors) or not running
        running, before = bool(state["RCC_CR"] >> 24 & 1), factors


def test_an_stm32h743_does_not_read_ahead_of_external_memory(
    simulations: Simulations,
) -> None:
    """ARM DDI 0403 B3.5 and B3.2.8: closed to all access, before the caches start."""
    trace = simulations["nucleo-h743zi2"].start()
    assert trace.of(0xE000ED9C) == [0x60000000, 0x80000000]
    assert trace.of(0xE000EDA0) == [1 << 28 | 28 << 1 | 1], "the same for both: 2^29 bytes"
    assert trace.index(0xE000ED94, 5) < trace.index(0xE000ED14, 3 << 16)


def test_a_crystal_is_what_the_pll_runs_on_if_the_port_was_built_for_one(
    simulations: Simulations,
) -> None:
    last = simulations[CRYSTAL].start().last
    assert last["RCC_PLLCFGR"] >> 22 & 1 and last["RCC_PLLCFGR"] & 63 == 4
    assert not simulations["virtual-f405"].start().last["RCC_PLLCFGR"] >> 22 & 1
