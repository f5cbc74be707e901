"""The chips of the boards that have one: how their ready bits follow, what the ports make of it."""

from __future__ import annotations

from tests.firmware.chip.simulation import Chip, on_crystal
from tests.firmware.chip.table import Table
from tests.firmware.chip.trees import (
    Tree,
    f4_on,
    f405_most,
    f446_most,
    h7_runs,
    h735_most,
    h743_most,
    l4_most,
    l4_runs,
    u5_most,
    u5_runs,
)

PLL = "RCC_CR RCC_CR_PLLON > RCC_CR RCC_CR_PLLRDY"
H7_PLL = "RCC_CR RCC_CR_PLL1ON > RCC_CR RCC_CR_PLL1RDY"
F405 = Chip(
    ready=PLL,
    tree=Tree(f4_on(0), f405_most),
    waits=5,
    choice=("RCC_CFGR", 2, 2),
    pins=("GPIOA", 9, 10, 7),
    apb=2,
    divider=91,
    slow_hz=16_000_000,
    reset={"PWR_CR": 0x4000, "RCC_CR": 0x83, "RCC_PLLCFGR": 0x24003010},
)
KNOWN = Table(
    "tests/firmware/chip/known.py, table KNOWN",
    {
        "virtual-f405": F405,
        "nucleo-f446re": Chip(
            ready=f"""{PLL}
        PWR_CR PWR_CR_ODEN > PWR_CSR PWR_CSR_ODRDY
        PWR_CR PWR_CR_ODSWEN > PWR_CSR PWR_CSR_ODSWRDY""",
            tree=Tree(f4_on(0), f446_most),
            waits=5,
            choice=("RCC_CFGR", 2, 2),
            pins=("GPIOA", 2, 3, 7),
            apb=1,
            divider=49,
            slow_hz=16_000_000,
            reset={"PWR_CR": 0xC000, "RCC_CR": 0x83, "RCC_PLLCFGR": 0x24003010},
        ),
        "nucleo-l4r5zi": Chip(
            ready=f"""{PLL}
        RCC_CR RCC_CR_HSION > RCC_CR RCC_CR_HSIRDY""",
            tree=Tree(l4_runs, l4_most),
            waits=5,
            choice=("RCC_CFGR", 2, 3),
            pins=("GPIOG", 7, 8, 8),
            apb=1,
            divider=33333,
            slow_hz=4_000_000,
            reset={"PWR_CR5": 0x100, "RCC_CR": 0x63, "RCC_PLLCFGR": 0x1000, "FLASH_ACR": 0x600},
            low_power_uart=True,
        ),
        "nucleo-h743zi2": Chip(
            ready=f"""{H7_PLL}
        PWR_CR3 PWR_CR3_LDOEN > PWR_CSR1 PWR_CSR1_ACTVOSRDY
        PWR_D3CR PWR_D3CR_VOS1 ~ PWR_D3CR PWR_D3CR_VOSRDY
        SYSCFG_PWRCR SYSCFG_PWRCR_ODEN ~ PWR_D3CR PWR_D3CR_VOSRDY""",
            tree=Tree(h7_runs, h743_most),
            waits=4,
            choice=("RCC_CFGR", 3, 3),
            pins=("GPIOD", 8, 9, 7),
            apb=1,
            divider=130,
            slow_hz=64_000_000,
            reset={
                **{"DBGMCU_IDCODE": 0x20036450, "PWR_CR3": 0x6, "PWR_D3CR": 0x6000},
                **{"RCC_CR": 0x25, "RCC_PLLCKSELR": 0x02020200, "RCC_PLLCFGR": 0x01FF0000},
                **{"RCC_PLL1DIVR": 0x01010280, "FLASH_ACR": 0x37},
            },
        ),
        "stm32h735g-dk": Chip(
            ready=f"""{H7_PLL}
        PWR_CR3 PWR_CR3_SMPSEN > PWR_CSR1 PWR_CSR1_ACTVOSRDY
        PWR_D3CR PWR_D3CR_VOS ~ PWR_D3CR PWR_D3CR_VOSRDY
        RCC_CR RCC_CR_CSION > RCC_CR RCC_CR_CSIRDY
        SYSCFG_CCCSR SYSCFG_CCCSR_EN > SYSCFG_CCCSR SYSCFG_CCCSR_READY
        RCC_CR RCC_CR_PLL2ON > RCC_CR RCC_CR_PLL2RDY
        OCTOSPI_CR OCTOSPI_CR_EN > OCTOSPI_SR OCTOSPI_SR_TCF
        OCTOSPI_CR OCTOSPI_CR_FMODE_POLL > OCTOSPI_SR OCTOSPI_SR_SMF""",
            tree=Tree(h7_runs, h735_most),
            waits=3,
            choice=("RCC_CFGR", 3, 3),
            pins=("GPIOD", 8, 9, 7),
            apb=1,
            divider=141,
            slow_hz=64_000_000,
            reset={
                **{"PWR_CR3": 0x6, "PWR_D3CR": 0x6000, "RCC_CR": 0x25, "FLASH_ACR": 0x37},
                **{
                    "RCC_PLLCKSELR": 0x02020200,
                    "RCC_PLLCFGR": 0x01FF0000,
                    "RCC_PLL1DIVR": 0x01010280,
                },
            },
        ),
        "nucleo-u575zi-q": Chip(
            ready=f"""{H7_PLL}
        RCC_CR RCC_CR_HSION > RCC_CR RCC_CR_HSIRDY
        PWR_VOSR PWR_VOSR_RANGE_1 ~ PWR_VOSR PWR_VOSR_VOSRDY
        PWR_VOSR PWR_VOSR_BOOSTEN > PWR_VOSR PWR_VOSR_BOOSTRDY
        PWR_CR3 PWR_CR3_REGSEL > PWR_SVMSR PWR_SVMSR_REGS""",
            tree=Tree(u5_runs, u5_most),
            waits=4,
            choice=("RCC_CFGR1", 2, 3),
            pins=("GPIOA", 9, 10, 7),
            apb=2,
            divider=174,
            slow_hz=24_000_000,
            reset={
                **{"RCC_CR": 0x35, "RCC_ICSCR1": 0x44000000, "PWR_VOSR": 0x8000, "FLASH_ACR": 1},
                **{"RCC_PLL1DIVR": 0x01010280},
            },
        ),
    },
)
CRYSTAL = "virtual-f405 on a crystal"
VARIANTS = {name: (name, chip) for name, chip in KNOWN.items()} | {
    CRYSTAL: (
        "virtual-f405",
        on_crystal(
            F405,
            "RCC_CR RCC_CR_HSEON > RCC_CR RCC_CR_HSERDY\n",
            Tree(f4_on(8e6), f405_most),
            8_000_000,
        ),
    )
}
# what serves neither the core nor its supply: the U575's SMPS, all about the external flash
NOT_FOR_SPEED = ("PWR_CR3_REGSEL", "CSION", "CCCSR", "PLL2ON", "OCTOSPI")
