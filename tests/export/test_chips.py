"""Boards that are built and not run: every image is where the chip looks for it, and the networks
that fit are built for it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from bench import footprint
from bench.cycles import chips
from export.boards import load_board, names
from export.build import check_fit
from export.c import emit
from export.c.placement import DoesNotFitError
from export.c.project import build_project, write_project
from export.c.streaming import Table
from host.boards import open_emulator
from host.run import Run
from tests import toy

CHIPS = [name for name in names() if load_board(name).status.startswith("built, not run")]
NETWORKS = ("TC_S4_small", "TC_S4_medium")
TOO_LARGE = {("nucleo-f446re", "TC_S4_medium")}  # 512 KB of flash


def declared(name: str, constant: str) -> int:
    """A number that the port's registers.h defines."""
    found = re.search(
        rf"#define {constant} (\w+?)u?\b", (load_board(name).folder / "registers.h").read_text()
    )
    assert found, constant
    return int(found[1].rstrip("u"), 0)


@pytest.mark.parametrize("name", CHIPS)
def test_the_image_holds_what_the_chip_needs_where_it_needs_it(name: str) -> None:
    memory = load_board(name).memory
    ram = next(m for m in memory.values() if "stack" in m.holds)
    with toy.image(name).open("rb") as file:
        elf = ELFFile(file)
        sections = {s.name: s for s in elf.iter_sections() if s["sh_flags"] & 2 and s["sh_size"]}
        vectors = sections[".vectors"]
        words = np.frombuffer(vectors.data(), "<u4")
        entry = int(elf["e_entry"])
    assert vectors["sh_addr"] == memory["flash"].origin and len(words) == 16 + declared(
        name, "PERIPHERALS"
    )
    assert (
        words[0] == sections[".stack"]["sh_addr"] + 4096
        and sections[".stack"]["sh_addr"] == ram.origin
    )
    assert words[1] == entry and entry & 1
    assert words[16 + declared(name, "USART_IRQ")] & 1 and np.count_nonzero(words[16:]) == 1, (
        "the USART alone interrupts"
    )
    for section in sections.values():
        begin, end = section["sh_addr"], section["sh_addr"] + section["sh_size"]
        assert any(m.origin <= begin and end <= m.origin + m.size for m in memory.values()), (
            section.name
        )


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", CHIPS)
def test_a_network_is_built_as_planned_or_refused(
    name: str, network: str, quantized, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    toy.need("arm-none-eabi-gcc")
    _, graph = quantized(network, "w8a16")
    model = emit.build(graph)
    if (name, network) in TOO_LARGE:
        with pytest.raises(DoesNotFitError, match=f"{network} does not fit {name}: tables needs"):
            check_fit(model, name)
        return
    try:
        placed = check_fit(model, name)
    except DoesNotFitError as error:
        pytest.fail(
            f"{error}; if that is so, write it into tests/export/test_chips.py, table TOO_LARGE",
            pytrace=False,
        )
    assert placed is not None
    write_project(
        tmp_path / "p", name, emit.files(model), emit.kernels(graph), network, placed.where
    )
    measured = footprint.read(build_project(tmp_path / "p", name), load_board(name).memory)
    footprint.check_limits(measured, name)
    parts = ("tables", "state", "arena", "stack")
    assert (
        footprint.differences(
            measured, {part: (placed.where[part], placed.sizes[part]) for part in parts}
        )
        == []
    )


def test_the_stm32f446_image_runs_on_the_emulated_stm32f405() -> None:
    """USART2, its interrupt, flash and RAM are where they are here. Supply and PLL are not: it
    comes up on its oscillator."""
    toy.need_emulator()
    other = load_board("virtual-f405").emulator
    assert other is not None
    emulator = dataclasses.replace(
        other, arguments=[*other.arguments, "-serial", "null"]
    )  # USART1; the line is the next one's
    board = dataclasses.replace(load_board("nucleo-f446re"), emulator=emulator)
    content = toy.samples(3)
    with open_emulator(board, toy.image("nucleo-f446re"), toy.MODEL_HASH, toy.PATIENT) as running:
        hello = running.link.handshake()
        np.testing.assert_array_equal(Run(content).start(running.link).outputs, toy.run(content))
    assert (hello.board, hello.clock_hz) == ("nucleo-f446re", 16_000_000)


def test_what_no_chip_holds_alone_is_modelled_with_an_external_flash(tmp_path: Path) -> None:
    """2.5 MB of tables: more than an STM32H743 has flash. The hotter ones lie in the STM32H735's
    own."""
    toy.need("arm-none-eabi-gcc")
    sizes = {"often": 500 << 10, "seldom": 1500 << 10, "now_and_then": 500 << 10}
    tables = [
        Table(name, size, {"often": 50.0, "seldom": 1.0}.get(name, 25.0))
        for name, size in sizes.items()
    ]
    lines = [f"extern const uint8_t {name}[{size}];" for name, size in sizes.items()]
    lines += [
        f'const uint8_t {n}[{s}] __attribute__((section(".rodata.model_tables.{n}"))) = {{1}};'
        for n, s in sizes.items()
    ]
    files = toy.model_files() | {"large.c": "\n".join(["#include <stdint.h>", *lines, ""]).encode()}
    write_project(tmp_path / "p", "virtual-m7", files, [], "toy model")
    flags = " ".join(f"-Wl,-u,{name}" for name in sizes)
    image = build_project(tmp_path / "p", "virtual-m7", extra_flags=flags)
    chip = chips.of_image(load_board("virtual-m7"), image, tables=tables)
    assert (
        chip is not None
        and chip.name == "stm32h735"
        and chip.clock_hz == load_board("stm32h735g-dk").clock_hz
    )
    outside = [region for region in chip.memory.regions if region.name == "octospi"]
    address = address_in(image)
    assert [(region.origin, region.size) for region in outside] == [
        (address["seldom"], sizes["seldom"])
    ]
    assert chip.memory.regions[: len(outside)] == tuple(outside), (
        "they count before the section they lie in"
    )
    assert chip.line["octospi"].cycles > 4 * chip.line["flash"].cycles
    small = chips.of_image(load_board("virtual-m7"), toy.image("virtual-m7"), tables=tables)
    assert small is not None and small.name == "stm32h743", (
        "what fits a chip's own flash is modelled as before"
    )


def address_in(image: Path) -> dict[str, int]:
    """Symbol -> address."""
    with image.open("rb") as file:
        return {
            s.name: int(s["st_value"])
            for s in ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        }  # type: ignore[union-attr]
