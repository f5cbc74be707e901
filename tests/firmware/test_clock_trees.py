"""The start-up of every STM32 port against simulated registers: full speed when all comes up, a
known clock whatever does not.

No chip has confirmed these ports. What can be held against the manual without one is what they
write, in which order, and that no wait hangs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from export.boards import load_board, names
from tests import toy

PORT = Path(__file__).parents[2] / "firmware" / "port"
HARNESS = Path(__file__).parent / "chip"
CHIPS = [name for name in names() if load_board(name).loading]


@dataclass(frozen=True)
class Chip:
    """How a chip's registers follow each other (its reference manual), and what the port should
    make of it.

    `ready`: lines "REGISTER BITS > REGISTER BITS", by the names of registers.h; `waits`: wait
    states in FLASH_ACR; `switch`: the register and the bits that put the core on the PLL; `core`:
    the manual's formula for it, Hz from the PLL's registers by name; `pins`: port, TX, RX and their
    alternate function; `line`: the USART's clock is the core's divided by this.
    """

    ready: str
    waits: int
    switch: tuple[str, str]
    pins: tuple[str, int, int, int]
    core: Callable[[dict[str, int]], float]
    line: float
    divider: int
    slow_hz: int
    reset: dict[str, int] = field(default_factory=dict)

    @property
    def rules(self) -> list[str]:
        return self.ready.strip().splitlines()


def f4(of: dict[str, int]) -> float:
    """RM0090 and RM0390, RCC_PLLCFGR: HSI / M · N / P."""
    pll = of["RCC_PLLCFGR"]
    return 16e6 / (pll & 63) * (pll >> 6 & 511) / (2 * (pll >> 16 & 3) + 2)


def l4(of: dict[str, int]) -> float:
    """RM0432, RCC_PLLCFGR: HSI / M · N / R."""
    pll = of["RCC_PLLCFGR"]
    return 16e6 / ((pll >> 4 & 15) + 1) * (pll >> 8 & 127) / (2 * (pll >> 25 & 3) + 2)


def h7(of: dict[str, int]) -> float:
    """RM0433 and RM0468, RCC_PLLCKSELR and RCC_PLL1DIVR: HSI / M · N / P."""
    pll = of["RCC_PLL1DIVR"]
    return 64e6 / (of["RCC_PLLCKSELR"] >> 4 & 63) * ((pll & 511) + 1) / ((pll >> 9 & 127) + 1)


def u5(of: dict[str, int]) -> float:
    """RM0456, RCC_PLL1CFGR and RCC_PLL1DIVR: HSI / M · N / R."""
    pll = of["RCC_PLL1DIVR"]
    return 16e6 / ((of["RCC_PLL1CFGR"] >> 8 & 15) + 1) * ((pll & 511) + 1) / ((pll >> 24 & 127) + 1)


F4_SWITCH, PLL = ("RCC_CFGR", "RCC_CFGR_SW_PLL"), "RCC_CR RCC_CR_PLLON > RCC_CR RCC_CR_PLLRDY"
H7_PLL = "RCC_CR RCC_CR_PLL1ON > RCC_CR RCC_CR_PLL1RDY"
KNOWN = {
    "virtual-f405": Chip(
        ready=f"""{PLL}
        RCC_CFGR RCC_CFGR_SW_PLL > RCC_CFGR RCC_CFGR_SWS_PLL""",
        waits=5,
        switch=F4_SWITCH,
        pins=("GPIOA", 9, 10, 7),
        core=f4,
        line=2,
        divider=91,
        slow_hz=16_000_000,
    ),
    "nucleo-f446re": Chip(
        ready=f"""{PLL}
        PWR_CR PWR_CR_ODEN > PWR_CSR PWR_CSR_ODRDY
        PWR_CR PWR_CR_ODSWEN > PWR_CSR PWR_CSR_ODSWRDY
        RCC_CFGR RCC_CFGR_SW_PLL > RCC_CFGR RCC_CFGR_SWS_PLL""",
        waits=5,
        switch=F4_SWITCH,
        pins=("GPIOA", 2, 3, 7),
        core=f4,
        line=4,
        divider=49,
        slow_hz=16_000_000,
    ),
    "nucleo-l4r5zi": Chip(
        ready=f"""{PLL}
        RCC_CR RCC_CR_HSION > RCC_CR RCC_CR_HSIRDY
        RCC_CFGR RCC_CFGR_SW_HSI > RCC_CFGR RCC_CFGR_SWS_HSI
        RCC_CFGR RCC_CFGR_SW_PLL > RCC_CFGR RCC_CFGR_SWS_PLL""",
        waits=5,
        switch=("RCC_CFGR", "RCC_CFGR_SW_PLL"),
        pins=("GPIOG", 7, 8, 8),
        core=l4,
        line=1 / 256,
        divider=33333,
        slow_hz=4_000_000,
        reset={"PWR_CR5": 0x100, "RCC_CR": 0x63},
    ),
    "nucleo-h743zi2": Chip(
        ready=f"""{H7_PLL}
        PWR_CR3 PWR_CR3_LDOEN > PWR_CSR1 PWR_CSR1_ACTVOSRDY
        PWR_D3CR PWR_D3CR_VOS1 > PWR_D3CR PWR_D3CR_VOSRDY
        RCC_CFGR RCC_CFGR_SW_PLL1 > RCC_CFGR RCC_CFGR_SWS_PLL1""",
        waits=4,
        switch=("RCC_CFGR", "RCC_CFGR_SW_PLL1"),
        pins=("GPIOD", 8, 9, 7),
        core=h7,
        line=4,
        divider=130,
        slow_hz=64_000_000,
        reset={"DBGMCU_IDCODE": 0x20036450, "PWR_CR3": 0x6, "PWR_D3CR": 0x4000},
    ),
    "stm32h735g-dk": Chip(
        ready=f"""{H7_PLL}
        PWR_CR3 PWR_CR3_SMPSEN > PWR_CSR1 PWR_CSR1_ACTVOSRDY
        PWR_CR3 PWR_CR3_SMPSEN > PWR_D3CR PWR_D3CR_VOSRDY
        RCC_CFGR RCC_CFGR_SW_PLL1 > RCC_CFGR RCC_CFGR_SWS_PLL1
        RCC_CR RCC_CR_CSION > RCC_CR RCC_CR_CSIRDY
        SYSCFG_CCCSR SYSCFG_CCCSR_EN > SYSCFG_CCCSR SYSCFG_CCCSR_READY
        RCC_CR RCC_CR_PLL2ON > RCC_CR RCC_CR_PLL2RDY
        OCTOSPI_CR OCTOSPI_CR_EN > OCTOSPI_SR OCTOSPI_SR_TCF
        OCTOSPI_CR OCTOSPI_CR_FMODE_POLL > OCTOSPI_SR OCTOSPI_SR_SMF""",
        waits=3,
        switch=("RCC_CFGR", "RCC_CFGR_SW_PLL1"),
        pins=("GPIOD", 8, 9, 7),
        core=h7,
        line=4,
        divider=141,
        slow_hz=64_000_000,
        reset={"PWR_CR3": 0x6, "PWR_D3CR": 0x4000},
    ),
    "nucleo-u575zi-q": Chip(
        ready=f"""{H7_PLL}
        RCC_CR RCC_CR_HSION > RCC_CR RCC_CR_HSIRDY
        PWR_VOSR PWR_VOSR_RANGE_1 > PWR_VOSR PWR_VOSR_VOSRDY
        PWR_VOSR PWR_VOSR_BOOSTEN > PWR_VOSR PWR_VOSR_BOOSTRDY
        PWR_CR3 PWR_CR3_REGSEL > PWR_SVMSR PWR_SVMSR_REGS
        RCC_CFGR1 RCC_CFGR1_SW_HSI > RCC_CFGR1 RCC_CFGR1_SWS_HSI
        RCC_CFGR1 RCC_CFGR1_SW_PLL1 > RCC_CFGR1 RCC_CFGR1_SWS_PLL1""",
        waits=4,
        switch=("RCC_CFGR1", "RCC_CFGR1_SW_PLL1"),
        pins=("GPIOA", 9, 10, 7),
        core=u5,
        line=1,
        divider=174,
        slow_hz=4_000_000,
        reset={"RCC_CR": 0x35},
    ),
}


class Simulation:
    """One board's start-up as a program, and its registers by name."""

    def __init__(self, name: str, folder: Path):
        self.program = folder / name
        board = load_board(name)
        shared = [PORT / share for share in board.shares if share != "cortex-m"]
        sources = [
            HARNESS / "chip.c",
            *(path for where in (board.folder, *shared) for path in sorted(where.glob("*.c"))),
        ]
        includes = [HARNESS, board.folder, *shared, PORT / "cortex-m", PORT, PORT.parent / "app"]
        command = [
            "gcc",
            "-std=gnu11",
            "-Wall",
            "-Werror",
            "-O1",
            "-D__asm=if (0) __asm",
            *(f"-I{path}" for path in includes),
        ]
        subprocess.run([*command, *map(str, sources), "-o", str(self.program)], check=True)
        text = (board.folder / "registers.h").read_text()
        self.address = {
            n: int(a, 16) for n, a in re.findall(r"#define (\w+) REGISTER\((0x\w+?)u\)", text)
        }
        self.value = {
            n: self._number(v)
            for n, v in re.findall(r"#define (\w+) ([(\d][^/\n]*?)\s*(?:/\*|$)", text, re.MULTILINE)
        }

    @staticmethod
    def _number(expression: str) -> int:
        """Such as (3u << 14)."""
        found = re.fullmatch(r"\(?(0x[0-9A-Fa-f]+|\d+)u?(?: << (\d+)\)?)?", expression)
        assert found, expression
        return int(found[1], 0) << int(found[2] or 0)

    def start(self, rules: list[str], reset: dict[str, int]) -> Trace:
        """port_start() on a chip that follows these rules."""
        lines = [f"= {self.address[name]:x} {value:x}" for name, value in reset.items()]
        for rule in rules:
            cause, bits, _, effect, ready = rule.split()
            lines.append(
                f"> {self.address[cause]:x} {self.value[bits]:x} {self.address[effect]:x}"
                f" {self.value[ready]:x}"
            )
        done = subprocess.run(
            [self.program],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        *writes, last = done.stdout.splitlines()
        pairs = [(int(a, 16), int(v, 16)) for a, v in (line.split() for line in writes)]
        return Trace(pairs, int(last.split()[1]))


@dataclass(frozen=True)
class Trace:
    """Writes that changed a register, in order, and the clock that port_start() returned."""

    writes: list[tuple[int, int]]
    clock_hz: int

    def of(self, address: int) -> list[int]:
        """The values a register took."""
        return [value for where, value in self.writes if where == address]

    def index(self, address: int, bits: int) -> int:
        """Place of the first write that has all these bits."""
        return next(
            i
            for i, (where, value) in enumerate(self.writes)
            if where == address and value & bits == bits
        )


@pytest.fixture(scope="module")
def simulations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Simulation]:
    toy.need("gcc")
    folder = tmp_path_factory.mktemp("chips")
    return {name: Simulation(name, folder) for name in CHIPS}


def test_every_chip_is_simulated() -> None:
    assert set(CHIPS) == set(KNOWN)


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_on_which_all_comes_up_runs_at_full_speed(
    name: str, simulations: dict[str, Simulation]
) -> None:
    chip, board = KNOWN[name], simulations[name]
    trace = board.start(chip.rules, chip.reset)
    last = {
        register: trace.of(where)[-1]
        for register, where in board.address.items()
        if trace.of(where)
    }
    assert trace.clock_hz == load_board(name).clock_hz == chip.core(last)
    assert abs(chip.core(last) / chip.line / chip.divider / load_board(name).baud - 1) < 0.006
    flash, (register, bits) = board.address["FLASH_ACR"], chip.switch
    switched = trace.index(board.address[register], board.value[bits])
    assert trace.of(flash)[-1] & 0xF == chip.waits
    assert trace.index(flash, chip.waits) < switched, "wait states before speed"
    pll = next(
        trace.index(board.address["RCC_CR"], board.value[on])
        for on in ("RCC_CR_PLLON", "RCC_CR_PLL1ON")
        if on in board.value
    )
    assert pll < switched


@pytest.mark.parametrize("name", CHIPS)
def test_the_line_is_on_its_pins_at_its_rate(name: str, simulations: dict[str, Simulation]) -> None:
    chip, board = KNOWN[name], simulations[name]
    trace = board.start(chip.rules, chip.reset)
    port, (_, transmit, receive, function) = board.value[chip.pins[0]], chip.pins
    usart = board.value["USART_BASE"]
    assert trace.of(usart + (0x08 if "stm32-usart-sr" in load_board(name).shares else 0x0C)) == [
        chip.divider
    ]
    for pin in (transmit, receive):
        assert trace.of(port)[-1] >> 2 * pin & 3 == 2, "alternate function"
        assert trace.of(port + 0x20 + 4 * (pin // 8))[-1] >> 4 * (pin % 8) & 0xF == function
    assert trace.of(port + 0x0C)[-1] >> 2 * receive & 3 == 1, "pulled up"
    interrupt = board.value["USART_IRQ"]
    assert trace.of(0xE000E100 + 4 * (interrupt // 32)) == [1 << interrupt % 32]


@pytest.mark.parametrize("name", CHIPS)
def test_the_watchdog_runs_in_the_end(name: str, simulations: dict[str, Simulation]) -> None:
    chip, board = KNOWN[name], simulations[name]
    trace = board.start(chip.rules, chip.reset)
    key = board.value["IWDG_BASE"]
    assert trace.of(key) == [0xCCCC, 0x5555, 0xAAAA] and (trace.of(key + 4), trace.of(key + 8)) == (
        [4],
        [2047],
    )
    assert trace.writes[-1] == (key, 0xAAAA)


@pytest.mark.parametrize(
    ("name", "missing"), [(name, i) for name in CHIPS for i in range(len(KNOWN[name].rules))]
)
def test_whatever_does_not_come_up_the_clock_is_the_one_the_core_runs_on(
    name: str, missing: int, simulations: dict[str, Simulation]
) -> None:
    """One ready bit never comes: nothing hangs, and HELLO and the line's divider go by the clock
    that was selected."""
    chip, board = KNOWN[name], simulations[name]
    rules = [rule for i, rule in enumerate(chip.rules) if i != missing]
    trace = board.start(rules, chip.reset)
    optional = any(word in chip.rules[missing] for word in NOT_FOR_SPEED)
    assert (trace.clock_hz == load_board(name).clock_hz) == optional, (
        "what serves neither the core nor its supply is not needed"
    )
    register, bits = chip.switch
    if not optional and "_SWS_PLL" not in chip.rules[missing]:
        selected = [value & board.value[bits] for value in trace.of(board.address[register])]
        assert board.value[bits] not in selected, "never put on a PLL that is not ready"


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_on_which_nothing_comes_up_still_starts(
    name: str, simulations: dict[str, Simulation]
) -> None:
    chip = KNOWN[name]
    assert simulations[name].start([], chip.reset).clock_hz == chip.slow_hz


def test_an_stm32h743_of_revision_y_is_held_at_400_mhz(simulations: dict[str, Simulation]) -> None:
    chip, board = KNOWN["nucleo-h743zi2"], simulations["nucleo-h743zi2"]
    trace = board.start(chip.rules, chip.reset | {"DBGMCU_IDCODE": 0x10036450})
    assert trace.clock_hz == 400_000_000 and trace.of(board.address["FLASH_ACR"])[-1] & 0xF == 2
    assert trace.of(board.address["SYSCFG_PWRCR"]) == [], "no overdrive"
    assert trace.of(board.address["AXI_TARG7_FN_MOD"]) == [1]
    assert trace.of(board.value["USART_BASE"] + 0x0C) == [109]


NOT_FOR_SPEED = (
    "PWR_CR3_REGSEL",
    "CSION",
    "CCCSR",
    "PLL2ON",
    "OCTOSPI",
)  # the U575's SMPS, and all about the external flash


ORDER = {
    "nucleo-f446re": (
        "RCC_CR RCC_CR_PLLON",
        "PWR_CR PWR_CR_ODEN",
        "PWR_CR PWR_CR_ODSWEN",
        "RCC_CFGR RCC_CFGR_SW_PLL",
    ),
    "nucleo-l4r5zi": (
        *(
            "RCC_CFGR RCC_CFGR_SW_HSI",
            "RCC_CFGR RCC_CFGR_HPRE_DIV2",
            "RCC_CR RCC_CR_PLLON",
            "RCC_CFGR RCC_CFGR_SW_PLL",
        ),
    ),
    "nucleo-h743zi2": (
        "PWR_D3CR PWR_D3CR_VOS1",
        "SYSCFG_PWRCR SYSCFG_PWRCR_ODEN",
        "RCC_CR RCC_CR_PLL1ON",
    ),
    "stm32h735g-dk": (
        "PWR_CR3 PWR_CR3_SMPSEN",
        "RCC_CR RCC_CR_PLL1ON",
        "RCC_CR RCC_CR_PLL2ON",
        "OCTOSPI_CR OCTOSPI_CR_EN",
    ),
    "nucleo-u575zi-q": (
        *(
            "PWR_VOSR PWR_VOSR_RANGE_1",
            "PWR_CR3 PWR_CR3_REGSEL",
            "RCC_PLL1CFGR RCC_PLL1CFGR_MBOOST_DIV2",
        ),
        *("PWR_VOSR PWR_VOSR_BOOSTEN", "RCC_CR RCC_CR_PLL1ON", "RCC_CFGR2 RCC_CFGR2_HPRE_DIV2"),
    ),
}


def test_the_supplies_come_in_the_order_of_the_manuals(simulations: dict[str, Simulation]) -> None:
    """F446: over-drive once the PLL was started. L4R5: boost while AHB is halved. U575: the booster
    after its source."""
    for name, steps in ORDER.items():
        board, chip = simulations[name], KNOWN[name]
        trace = board.start(chip.rules, chip.reset)
        places = [
            trace.index(board.address[register], board.value[bits])
            for register, bits in map(str.split, steps)
        ]
        assert places == sorted(places), name
    boost = simulations["nucleo-l4r5zi"]
    trace = boost.start(KNOWN["nucleo-l4r5zi"].rules, KNOWN["nucleo-l4r5zi"].reset)
    assert (
        trace.of(boost.address["PWR_CR5"]) == [0]
        and trace.of(boost.address["RCC_CFGR"])[-1] & 0xF0 == 0
    )


# --- the external flash of the STM32H735G-DK ------------------------------------------------------

EXTERNAL = "stm32h735g-dk"
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
MPU_CTRL, MPU_RNR, MPU_RBAR, MPU_RASR, CACHES = (
    0xE000ED94,
    0xE000ED98,
    0xE000ED9C,
    0xE000EDA0,
    0xE000ED14,
)


def without(*words: str) -> list[str]:
    """Its rules, but those that speak of one of these."""
    return [rule for rule in KNOWN[EXTERNAL].rules if not any(word in rule for word in words)]


@pytest.mark.parametrize(
    ("missing", "lines"),
    [
        ((), EIGHT_LINES),
        (("FMODE_POLL",), ONE_LINE),
        (("PLL2ON",), ONE_LINE),
        (("OCTOSPI",), ONE_LINE),
        (("CSION",), EIGHT_LINES),
    ],
)
def test_the_external_flash_is_mapped_in_the_end_and_on_eight_lines_only_if_it_answers_there(
    missing: tuple[str, ...], lines: dict[str, int], simulations: dict[str, Simulation]
) -> None:
    board = simulations[EXTERNAL]
    trace = board.start(without(*missing), KNOWN[EXTERNAL].reset)
    last = {
        name: trace.of(board.address[name])[-1] if trace.of(board.address[name]) else 0
        for name in lines
    }
    assert last == lines
    assert (
        trace.of(board.address["OCTOSPI_CR"])[-1]
        == board.value["OCTOSPI_CR_EN"] | board.value["OCTOSPI_CR_FMODE_MAP"]
    )
    assert trace.of(board.address["OCTOSPI_DCR1"]) == [0x01190100], "Macronix, 64 MB"
    selected = trace.of(board.address["RCC_D1CCIPR"])
    assert selected == (
        [] if "PLL2ON" in missing else [board.value["RCC_D1CCIPR_OCTOSPISEL_PLL2R"]]
    )


def test_the_external_flash_has_100_mhz_and_its_pins(simulations: dict[str, Simulation]) -> None:
    board = simulations[EXTERNAL]
    trace = board.start(KNOWN[EXTERNAL].rules, KNOWN[EXTERNAL].reset)
    last = {name: trace.of(where)[-1] for name, where in board.address.items() if trace.of(where)}
    pll2 = (
        64e6
        / (last["RCC_PLLCKSELR"] >> 12 & 63)
        * ((last["RCC_PLL2DIVR"] & 511) + 1)
        / ((last["RCC_PLL2DIVR"] >> 24 & 127) + 1)
    )
    bandwidth = load_board(EXTERNAL).memory["octospi"].bytes_per_second
    assert pll2 / (last["OCTOSPI_DCR2"] + 1) == 100e6 and bandwidth == 2 * 100e6
    for port, pins in OCTOSPI_PINS.items():
        for pin, function in pins.items():
            base = board.value[port]
            assert (
                trace.of(base)[-1] >> 2 * pin & 3 == 2
                and trace.of(base + 8)[-1] >> 2 * pin & 3 == 3
            )
            assert trace.of(base + 0x20 + 4 * (pin // 8))[-1] >> 4 * (pin % 8) & 0xF == function


def test_the_core_does_not_read_ahead_into_a_flash_that_is_not_mapped(
    simulations: dict[str, Simulation],
) -> None:
    """ARM DDI 0403 B3.5: of external memory only the flash is open, for reading, before it is
    touched and before the caches."""
    board = simulations[EXTERNAL]
    trace = board.start(KNOWN[EXTERNAL].rules, KNOWN[EXTERNAL].reset)
    assert trace.of(MPU_RBAR) == [0x60000000, 0x80000000, 0x90000000]
    closed, flash = trace.of(MPU_RASR)
    assert (
        closed >> 24 & 7,
        closed >> 1 & 31,
        flash >> 24 & 7,
        flash >> 1 & 31,
        flash >> 16 & 0x3F,
    ) == (0, 28, 6, 25, 2)
    enabled = trace.index(MPU_CTRL, 5)
    assert (
        enabled
        < trace.index(board.address["OCTOSPI_CR"], 1)
        < trace.index(board.address["OCTOSPI_CR"], 3 << 28)
    )
    assert trace.index(board.address["OCTOSPI_CR"], 3 << 28) < trace.index(CACHES, 3 << 16)
