"""The clock trees of the STM32s by their reference manuals: what runs, and what is allowed.

Both are computed from the content of registers alone, by the names of facts.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

AHB = (*[1] * 8, 2, 4, 8, 16, 64, 128, 256, 512)  # HPRE, and D1CPRE of the STM32H7
APB = (*[1] * 4, 2, 4, 8, 16)  # PPRE1, PPRE2 and D1PPRE to D3PPRE


class Registers(Protocol):
    """A register's content by its name."""

    def __getitem__(self, name: str) -> int: ...


@dataclass(frozen=True)
class Clocks:
    """In Hz. `bus` is the one the flash is read over: AHB, or AXI on an STM32H7."""

    core: float
    bus: float
    apb1: float
    apb2: float

    def within(self, limit: Clocks) -> bool:
        """None is faster than its limit."""
        mine, most = (self.core, self.bus, self.apb1, self.apb2), limit
        return all(
            a <= b * (1 + 1e-9)
            for a, b in zip(mine, (most.core, most.bus, most.apb1, most.apb2), strict=True)
        )


@dataclass(frozen=True)
class Tree:
    """`runs`: what the registers make; `most`: what supply and flash stand for."""

    runs: Callable[[Registers], Clocks]
    most: Callable[[Registers], Clocks]


def _buses(core: float, ahb: int, apb1: int, apb2: int) -> Clocks:
    bus = core / AHB[ahb & 15]
    return Clocks(core, bus, bus / APB[apb1 & 7], bus / APB[apb2 & 7])


def _by_waits(of: Registers, *most: float) -> float:
    """What the flash stands with its wait states; more than the last do no harm."""
    return most[min(of["FLASH_ACR"] & 15, len(most) - 1)]


def _in_step(system: float, ahb: int, apb1: int, apb2: int) -> Clocks:
    """Where the core runs at the AHB's speed."""
    return _buses(system / AHB[ahb & 15], 0, apb1, apb2)


def f4_on(crystal: float) -> Callable[[Registers], Clocks]:
    """RM0090 and RM0390, RCC_PLLCFGR and RCC_CFGR: source / M · N / P."""

    def runs(of: Registers) -> Clocks:
        pll, choice = of["RCC_PLLCFGR"], of["RCC_CFGR"]
        source = crystal if pll >> 22 & 1 else 16e6
        system = {
            0: 16e6,
            1: crystal,
            2: source / ((pll & 63) or 1) * (pll >> 6 & 511) / (2 * (pll >> 16 & 3) + 2),
        }[choice >> 2 & 3]
        return _in_step(system, choice >> 4, choice >> 10, choice >> 13)

    return runs


def _f4_flash(of: Registers) -> float:
    """RM0090 3.5.1 and RM0390 3.4.1, 2.7 to 3.6 V: a wait state for every 30 MHz."""
    return 30e6 * ((of["FLASH_ACR"] & 15) + 1)


def f405_most(of: Registers) -> Clocks:
    """STM32F405 data sheet, general operating conditions; VOS: RM0090 5.4.1."""
    core = min(168e6 if of["PWR_CR"] >> 14 & 1 else 144e6, _f4_flash(of))
    return Clocks(core, core, 42e6, 84e6)


def f446_most(of: Registers) -> Clocks:
    """STM32F446 data sheet, general operating conditions: scale 1, and over-drive above 168 MHz."""
    driven = of["PWR_CSR"] >> 17 & 1
    core = min(180e6 if driven else 168e6, _f4_flash(of))
    return Clocks(core, core, 45e6 if driven else 42e6, 90e6 if driven else 84e6)


def l4_runs(of: Registers) -> Clocks:
    """RM0432, RCC_PLLCFGR and RCC_CFGR: HSI / M · N / R. MSI is as it is out of reset."""
    pll, choice = of["RCC_PLLCFGR"], of["RCC_CFGR"]
    system = {
        0: 4e6,
        1: 16e6,
        3: 16e6 / ((pll >> 4 & 15) + 1) * (pll >> 8 & 127) / (2 * (pll >> 25 & 3) + 2),
    }[choice >> 2 & 3]
    return _in_step(system, choice >> 4, choice >> 8, choice >> 11)


def l4_most(of: Registers) -> Clocks:
    """RM0432 3.3.3 and 5.1: a wait state for every 20 MHz of range 1; above 80 MHz with boost."""
    system = 80e6 if of["PWR_CR5"] >> 8 & 1 else 120e6
    core = min(system, 20e6 * ((of["FLASH_ACR"] & 15) + 1))
    return Clocks(core, core, core, core)


def u5_runs(of: Registers) -> Clocks:
    """RM0456, RCC_PLL1CFGR, RCC_PLL1DIVR, RCC_ICSCR1 and RCC_CFGR2: HSI / M · N / R."""
    pll, ranges = of["RCC_PLL1DIVR"], of["RCC_ICSCR1"]
    msi = (48e6, 24e6, 16e6, 12e6, 4e6, 2e6)[ranges >> 28] if ranges >> 23 & 1 else 4e6
    source = 16e6 / ((of["RCC_PLL1CFGR"] >> 8 & 15) + 1)
    system = {0: msi, 1: 16e6, 3: source * ((pll & 511) + 1) / ((pll >> 24 & 127) + 1)}[
        of["RCC_CFGR1"] >> 2 & 3
    ]
    return _in_step(system, of["RCC_CFGR2"], of["RCC_CFGR2"] >> 4, of["RCC_CFGR2"] >> 8)


def u5_most(of: Registers) -> Clocks:
    """RM0456 7.3.3 and 10.5.4: range 4 until range 1 is ready, and above 55 MHz the booster."""
    supply = of["PWR_VOSR"]
    if supply >> 16 & 3 == 3 and supply >> 15 & 1:
        flash = 32e6 * ((of["FLASH_ACR"] & 15) + 1)
        core = min(160e6 if supply >> 14 & 1 else 55e6, flash)
    else:
        core = _by_waits(of, 8e6, 16e6, 25e6)
    return Clocks(core, core, core, core)


def h7_runs(of: Registers) -> Clocks:
    """RM0433 and RM0468, RCC_PLLCKSELR, RCC_PLL1DIVR, RCC_D1CFGR, RCC_D2CFGR: HSI / M · N / P."""
    pll, ahb, apb = of["RCC_PLL1DIVR"], of["RCC_D1CFGR"], of["RCC_D2CFGR"]
    source = 64e6 / ((of["RCC_PLLCKSELR"] >> 4 & 63) or 32)
    system = {0: 64e6, 3: source * ((pll & 511) + 1) / ((pll >> 9 & 127) + 1)}[
        of["RCC_CFGR"] >> 3 & 7
    ]
    return _buses(system / AHB[ahb >> 8 & 15], ahb, apb >> 4, apb >> 8)


SLOW = Clocks(64e6, 64e6, 64e6, 64e6)  # what an STM32H7 does out of reset


def h743_most(of: Registers) -> Clocks:
    """RM0433 table 17 and 6.8.6, STM32H743 data sheet: scale 1, and scale 0 by ODEN."""
    supply = of["PWR_D3CR"]
    if supply >> 14 & 3 != 3 or not supply >> 13 & 1:
        return SLOW
    fast = of["SYSCFG_PWRCR"] & 1
    bus = min(240e6 if fast else 200e6, _by_waits(of, 70e6, 140e6, 210e6, 225e6, 240e6))
    return Clocks(480e6 if fast else 400e6, bus, 120e6, 120e6)


def h735_most(of: Registers) -> Clocks:
    """RM0468, FLASH and PWR, STM32H735 data sheet: scale 0."""
    supply = of["PWR_D3CR"]
    if supply >> 14 & 3 != 0 or not supply >> 13 & 1:
        return SLOW
    return Clocks(520e6, _by_waits(of, 70e6, 140e6, 210e6, 275e6), 137.5e6, 137.5e6)
