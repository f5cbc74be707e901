"""Modelled cycles: instruction costs are those of the manual, counts are exact, and the flash caches behave as described."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench import cycles
from bench.instructions import Cost, Instruction, address_of, cost, disassemble, return_addresses
from compress.errors import TendonError

# Three calls of a function whose counts follow from reading it: a loop of 100, then 16 words of a 16-byte aligned table.
SOURCE = """
.syntax unified
.thumb
.section .vectors, "a"
.word 0x20001000, reset + 1
.text
.thumb_func
.global reset
.type reset, %function
reset:
    bl model_step
    b reset
.balign 16
.thumb_func
.global model_step
.type model_step, %function
model_step:
    movs r0, #100
1:  subs r0, #1
    bne 1b
    ldr r1, =table
    movs r2, #16
2:  ldr r3, [r1], #4
    subs r2, #1
    bne 2b
    ldr r3, [r1, #-30]
    push {r4-r6, lr}
    pop {r4-r6, pc}
.pool
.balign 16
table: .space 64
"""
PER_STEP = 1 + 200 + 2 + 48 + 3


def run(mnemonic: str, operands: str = "", after: Instruction | None = None) -> Cost:
    return cost(Instruction(0, 2, mnemonic, operands, "f"), after)


@pytest.mark.parametrize(
    ("mnemonic", "operands", "cycles_"),
    [
        ("adds", "r0, #1", 1),
        ("smlad", "r0, r1, r2, r0", 1),
        ("smlal", "r0, r1, r2, r3", 1),
        ("mla", "r0, r1, r2, r0", 1),
        ("sdiv", "r0, r1, r2", 12),
        ("ldr", "r0, [r1, #4]", 2),
        ("ldrd", "r0, r1, [r2]", 3),
        ("str", "r0, [r1, #4]", 1),
        ("strh", "r0, [r1, r2]", 2),
        ("push", "{r4, r5, r6, lr}", 5),
        ("ldmia.w", "sp!, {r4, r5, r6, r7, r8, r9, sl, fp, pc}", 10),
        ("ldmia", "r0!, {r4-r7, sl-ip}", 8),
        ("bne", "8000022", 1),
        ("blx", "r3", 1),
    ],
)
def test_an_instruction_costs_what_the_manual_says(mnemonic: str, operands: str, cycles_: int) -> None:
    assert run(mnemonic, operands).cycles == cycles_
    assert run(mnemonic, operands).least <= cycles_ <= run(mnemonic, operands).most


def test_a_load_pipelines_with_the_next_one_unless_it_gives_its_address() -> None:
    independent = Instruction(2, 2, "ldr", "r3, [r1, #8]", "f")
    dependent = Instruction(2, 2, "ldr", "r3, [r0, #8]", "f")
    assert run("ldr", "r0, [r1, #4]", independent) == Cost(1, 1, 2)
    assert run("ldr", "r0, [r1, #4]", dependent).cycles == 2
    assert run("ldr", "r0, [r1, #4]", Instruction(2, 2, "adds", "r2, #1", "f")).cycles == 2
    assert run("ldr", "r0, [r1, #4]", Instruction(2, 4, "ldrd", "r2, r3, [r1]", "f")).cycles == 2


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cycles")
    (folder / "image.S").write_text(SOURCE)
    layout = "-Wl,-Ttext=0x08000010,--section-start=.vectors=0x08000000,-ereset"
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-nostdlib", layout, "image.S", "-o", "image.elf"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "image.elf"


@pytest.fixture(scope="module")
def counts(image: Path) -> cycles.Counts:
    code, out = disassemble(image), image.parent / "counts"
    plugin = cycles.build_plugin(image.parent)
    machine = ["-M", "netduinoplus2", "-icount", "shift=0", "-display", "none", "-monitor", "none", "-nodefaults"]
    command = ["qemu-system-arm", *machine, "-kernel", str(image), *cycles.emulator_arguments(plugin, code, out, 3)]
    process = subprocess.Popen(command)
    try:
        return cycles.wait_for(out, 60)
    finally:
        process.kill()
        process.wait()


def test_every_execution_and_every_taken_branch_is_counted(counts: cycles.Counts) -> None:
    assert counts.steps == 3
    assert counts.instructions == 3 * PER_STEP
    assert counts.taken == 3 * (99 + 15)
    assert counts.unaligned == 3


def test_a_table_misses_once_per_16_bytes_and_then_stays_in_the_data_cache(counts: cycles.Counts) -> None:
    assert counts.data_reads == 3 * (1 + 16 + 1)
    assert counts.data_misses == 5  # four lines of the table, one of the literal, all in the first step: five of eight lines


def test_a_loop_misses_its_code_once(counts: cycles.Counts) -> None:
    assert (counts.jumped_misses, sum(counts.next_line_misses)) == (1, 1)


def test_cycles_are_the_sum_of_their_parts_and_lie_within_what_the_rules_leave_open(image: Path, counts: cycles.Counts) -> None:
    modelled = cycles.model(disassemble(image), counts, wait_states=5)
    assert modelled.parts["instructions"] == 3 * (1 + 200 + 2 + 1 + 16 * 4 + 2 + 5 + 5)
    assert modelled.parts["branches"] == 2 * counts.taken
    assert modelled.parts["flash_data"] == 5 * 5
    assert modelled.parts["flash_instructions"] == 5
    assert modelled.cycles == sum(modelled.parts.values())
    assert modelled.least <= modelled.cycles <= modelled.most
    assert modelled.of(modelled.instructions) == pytest.approx(modelled.cycles)
    assert cycles.model(disassemble(image), counts, 0).cycles == modelled.cycles - 30


def test_what_was_executed_must_be_in_the_image(image: Path) -> None:
    with pytest.raises(TendonError, match="which is no instruction of this image"):
        cycles.model(disassemble(image), cycles.Counts(1, executed={0x9000: 1}), 5)
    with pytest.raises(TendonError, match="has no function"):
        address_of(disassemble(image), "infer")
    with pytest.raises(TendonError, match="never calls table"):
        return_addresses(disassemble(image), "table")


def test_counts_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    (tmp_path / "counts").write_text("steps 3\ntaken 4\n")
    with pytest.raises(TendonError, match="expected the counts of a finished profile"):
        cycles.read_counts(tmp_path / "counts")
