"""The emulated Cortex-M7 over its UART: same outputs, exact counts, a hanging program survived; the
STM32H743's image."""

from __future__ import annotations

import re
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import footprint
from compress.interpreter.integer import IntegerInterpreter
from export import build
from export.boards import load_board
from export.build import check_fit
from export.c import emit
from export.c.project import build_project, write_project
from host.boards import ProcessBoard, open_board, open_process
from host.errors import BoardLostError, NoBoardError
from host.run import Run
from tests import toy

BOARD, CHIP, EXTERNAL = "virtual-m7", "nucleo-h743zi2", "stm32h735g-dk"


@pytest.fixture(scope="module")
def board() -> Iterator[ProcessBoard]:
    toy.need_emulator()
    with open_board(BOARD, toy.image(BOARD), toy.MODEL_HASH) as board:
        assert isinstance(board, ProcessBoard)
        board.link.handshake()
        yield board


def test_a_check_of_the_tables_longer_than_the_watchdog_waits_is_no_fault(tmp_path: Path) -> None:
    """As on a clock or an external flash that fell back: the watchdog waits for 1000 million
    instructions, these 144 MB take more."""
    toy.need_emulator()
    files, count = toy.model_files(), 1100
    crc = zlib.crc32(bytes(131_072 * count), zlib.crc32(toy.table_bytes()))
    header = re.sub(rb"(MODEL_TABLES_CRC) \w+", rb"\1 0x%08xu" % crc, files["model.h"])
    files["model.h"] = re.sub(rb"(MODEL_TABLE_COUNT) 1", rb"\1 %d" % (1 + count), header)
    filler = b"static const uint8_t filler[131072];\nconst model_table model_tables"
    source = files["model.c"].replace(b"const model_table model_tables", filler)
    files["model.c"] = source.replace(
        b"mix}};", b"mix}%s};" % b"".join([b", {filler, sizeof filler}"] * count)
    )
    write_project(tmp_path / "p", BOARD, files, [], "toy model with many tables")
    with open_board(BOARD, build_project(tmp_path / "p", BOARD), toy.MODEL_HASH) as board:
        assert board.link.handshake().past.faults == 0


def test_the_stack_has_a_high_water_mark_and_interrupts_are_masked_briefly(
    board: ProcessBoard,
) -> None:
    status = board.link.status()
    assert 100 < status.stack_used < status.stack_bytes == 4096
    listing = disassembly(toy.image(BOARD))
    stretches = re.findall(r"cpsid\s+i\n(.*?)cpsie\s+i\n", listing, re.DOTALL)
    assert len(stretches) == listing.count("cpsid") == 1
    assert len(stretches[0].splitlines()) <= status.masked_instructions


def test_a_run_begun_on_a_process_ends_on_this_core(board: ProcessBoard) -> None:
    content = toy.samples(4, seed=9)
    run = Run(content, snapshot_every=2)
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as first:
        first.link.handshake()
        with pytest.raises(BoardLostError):
            run.start(first.link, lambda step, outputs, ticks: first.kill() if step == 2 else None)
    np.testing.assert_array_equal(run.resume(board.link).outputs, toy.run(content))


def test_s4_large_on_the_emulated_core_equals_the_reference(quantized, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    toy.need_emulator()
    _, graph = quantized("S4_large", "w8a16")
    model = emit.build(graph)
    placed = check_fit(model, BOARD)
    assert placed is not None
    write_project(
        tmp_path / "p", BOARD, emit.files(model), emit.kernels(graph), "S4_large", placed.where
    )
    samples = (
        np.random.default_rng(3)
        .integers(-32768, 32768, (4 * graph.samples_per_step, 32))
        .astype(np.int16)
    )
    with open_board(BOARD, build_project(tmp_path / "p", BOARD), graph.hash()) as board:
        board.link.handshake()
        board.link.reset()
        result = board.link.stream(samples)
    np.testing.assert_array_equal(result.outputs, IntegerInterpreter(graph).run(samples[None])[0])
    assert 6_000_000 < result.cycles.min() <= result.cycles.max() < 8_000_000


# --- the STM32H743: built, not run ----------------------------------------------------------------


@pytest.mark.parametrize(("name", "split"), [(CHIP, False), (EXTERNAL, True)])
def test_s4_large_fits_the_chip(name: str, split: bool, quantized, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """1.48 MB of tables: the STM32H743 has 2 MB of flash; the STM32H735 has 1 MB, and the rest lies
    in the flash beside it."""
    toy.need("arm-none-eabi-gcc")
    _, graph = quantized("S4_large", "w8a16")
    model = emit.build(graph)
    placed = check_fit(model, name)
    assert placed is not None and bool(placed.cold) == split
    write_project(
        tmp_path / "p",
        name,
        emit.files(model),
        emit.kernels(graph),
        "S4_large",
        placed.where,
        placed.cold,
    )
    measured = footprint.read(build_project(tmp_path / "p", name), load_board(name).memory)
    footprint.check_limits(measured, name)
    parts = (
        ("tables", "cold tables", "state", "arena", "stack")
        if split
        else ("tables", "state", "arena", "stack")
    )
    assert (
        footprint.differences(
            measured, {part: (placed.where[part], placed.sizes[part]) for part in parts}
        )
        == []
    )
    demands = {demand.region: demand for demand in build.demands(model, name, placed)}
    assert sum(demand.tables for demand in demands.values()) == model.table_bytes
    assert all(demand.enough for demand in demands.values()) and ("octospi" in demands) == split
    assert build.memory_plan(model, name)["tables_outside"] == list(placed.cold)


def test_a_board_without_an_emulator_wants_a_port() -> None:
    with pytest.raises(
        NoBoardError,
        match="nucleo-h743zi2 has no emulator: connect it and give its port with PORT=",
    ):
        open_board(CHIP, toy.image(CHIP))


def disassembly(image: Path) -> str:
    return subprocess.run(
        ["arm-none-eabi-objdump", "-d", image], capture_output=True, text=True, check=True
    ).stdout
