"""Each chip's flags of a reset: bits of ST's device headers, RCC_CSR of the F4, L4+ and U5, RCC_RSR
of the H7."""

from __future__ import annotations

from tests.firmware.chip.table import Table

F4 = {"clear": 24, "BOR": 25, "PIN": 26, "POR": 27, "SFT": 28, "IWDG": 29, "WWDG": 30, "LPWR": 31}
L4 = {"clear": 23, "OBL": 25, "PIN": 26, "BOR": 27, "SFT": 28, "IWDG": 29, "WWDG": 30, "LPWR": 31}
H7 = {
    "clear": 16,
    **{"CPU": 17, "D1": 19, "D2": 20, "BOR": 21, "PIN": 22, "POR": 23},
    **{"SFT": 24, "IWDG": 26, "WWDG": 28, "LPWR": 30},
}
BITS = Table(
    "tests/firmware/chip/resets.py, table BITS",
    {
        "virtual-f405": F4,
        "nucleo-f446re": F4,
        "nucleo-l4r5zi": L4,
        "nucleo-u575zi-q": L4,
        "nucleo-h743zi2": H7,
        "stm32h735g-dk": H7,
    },
)
