"""Footprints count every loaded and reserved byte once, by purpose, and refuse what does not fit
with the shortfall."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from bench import footprint
from bench.footprint import FootprintError
from export.boards import Memory

SOURCES = {
    "model/net_tables.c": "#include <stdint.h>\nconst int8_t op0_weights[1000] = {1};"
    " const int32_t op0_bias[10] = {2};\n"
    "const void *const net_tables[2] = {op0_weights, op0_bias};\n",
    "app/model.c": "#include <stdint.h>\nstatic uint32_t state[64]; static int16_t arena[100];\n"
    "extern int net_step(uint32_t *, int16_t *, int); int model_step(int i);\n"
    "int model_step(int i) { return net_step(state, arena, i); }\n",
    "model/net.c": "#include <stdint.h>\nint net_step(uint32_t *state, int16_t *arena, int i)"
    " { state[i] += 1u; arena[i]++; return arena[0]; }\n",
    "nn/nn_add.c": "int nn_add(int a, int b) { return a + b; }\n",
    "app/app.c": "int counter = 7; char received[512];"
    " extern int model_step(int), nn_add(int, int);\n"
    "extern const void *const net_tables[2];\n"
    "int app(void) { received[3]++;"
    " return model_step(counter++) + nn_add(1, 2) + (net_tables[0] != 0); }\n",
    "port/chip/start.c": "extern int app(void);\nvoid reset(void) { app(); for (;;) ; }\n"
    '__attribute__((section(".vectors"))) const void *const vectors[2] = {0, (void *)reset};\n',
}
SCRIPT = """
ENTRY(reset)
MEMORY {
    FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 64K
    RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 8K
}
SECTIONS {
    .vectors : { KEEP(*(.vectors)) } > FLASH
    .text : { *(.text*) *(.rodata*) } > FLASH
    .stack (NOLOAD) : ALIGN(8) { . += 1024; } > RAM
    .data : ALIGN(8) { *(.data*) } > RAM AT > FLASH
    .bss (NOLOAD) : ALIGN(8) { *(.bss*) } > RAM
    /DISCARD/ : { *(.ARM*) *(.comment) }
}
"""
MEMORY = {"flash": Memory(0x08000000, 65536), "ram": Memory(0x20000000, 8192)}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footprint")
    for name, content in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "link.ld").write_text(SCRIPT)
    machine = [
        "-mcpu=cortex-m4",
        "-mthumb",
        "-Os",
        "-g",
        "-nostdlib",
        "-ffreestanding",
        "-Tlink.ld",
    ]
    subprocess.run(
        ["arm-none-eabi-gcc", *machine, *SOURCES, "-o", "image.elf"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "image.elf"


@pytest.fixture(scope="module")
def measured(image: Path) -> footprint.Footprint:
    return footprint.read(image, MEMORY)


def test_every_symbol_has_its_purpose(measured: footprint.Footprint) -> None:
    ram = measured.purposes["ram"]
    assert {k: ram[k] for k in ("stack", "state", "arena", "line buffers", "application")} == {
        "stack": 1024,
        "state": 256,
        "arena": 200,
        "line buffers": 512,
        "application": 4,
    }
    assert measured.purpose("tables") == 1040
    assert {"kernels", "model", "application", "port", "tables"} <= set(measured.purposes["flash"])


def test_purposes_sum_up_to_what_the_linker_placed(
    image: Path, measured: footprint.Footprint
) -> None:
    for name in ("flash", "ram"):
        assert sum(measured.purposes[name].values()) == measured.regions[name]
    sizes = subprocess.run(
        ["arm-none-eabi-size", str(image)], check=True, capture_output=True, text=True
    ).stdout
    text, data, bss = (int(word) for word in sizes.splitlines()[1].split()[:3])
    assert (measured.flash, measured.ram) == (text + data, data + bss)
    assert measured.sections[".data"] == 4


def test_the_plan_is_compared_with_the_image(measured: footprint.Footprint) -> None:
    planned = {
        "tables": ("flash", 1040),
        "state": ("ram", 256),
        "arena": ("ram", 200),
        "stack": ("ram", 1024),
    }
    assert footprint.differences(measured, planned) == []
    assert footprint.differences(measured, {"state": ("ram", 260)}) == [
        "state: planned 260 bytes in ram, the image has 256 in ram"
    ]


def test_what_lies_in_another_memory_than_planned_is_named(image: Path) -> None:
    split = {
        "flash": MEMORY["flash"],
        "dtcm": Memory(0x20000000, 1024),
        "axi": Memory(0x20000400, 7168),
    }
    measured = footprint.read(image, split)
    assert measured.regions["dtcm"] == 1024 and measured.ram == footprint.read(image, MEMORY).ram
    assert footprint.differences(measured, {"stack": ("dtcm", 1024), "state": ("axi", 256)}) == []
    assert footprint.differences(measured, {"state": ("dtcm", 256)}) == [
        "state: planned 256 bytes in dtcm, the image has 256 in axi"
    ]


def test_an_image_that_is_too_large_is_refused_with_the_shortfall_and_what_would_help(
    measured: footprint.Footprint,
) -> None:
    footprint.check_limits(measured, "chip")
    tight = dataclasses.replace(measured, sizes=measured.sizes | {"ram": measured.ram - 10})
    with pytest.raises(
        FootprintError,
        match=(
            r"of ram, available are .*: 10 too many \(stack 1,024, line buffers 512, .*would help"
        ),
    ):
        footprint.check_limits(tight, "chip")


def test_an_image_linked_for_another_memory_map_is_refused(image: Path) -> None:
    with pytest.raises(
        FootprintError, match=r"\.vectors lies at 0x8000000.*outside the board's flash 0x0…0x10000"
    ):
        footprint.read(image, {"flash": Memory(0, 65536), "ram": MEMORY["ram"]})
    with pytest.raises(FootprintError, match="outside the board's"):
        footprint.read(image, MEMORY | {"ram": Memory(0x20000000, 1500)})


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.elf").write_bytes(b"\x7fELF but not really")
    for name in ("a.elf", "missing.elf"):
        with pytest.raises(FootprintError, match="expected an ELF image"):
            footprint.read(tmp_path / name, MEMORY)


def test_the_table_names_regions_sizes_and_purposes(measured: footprint.Footprint) -> None:
    table = footprint.text(measured)
    assert "ram" in table and "8,192 bytes" in table and "1,040  tables" in table
