"""Modelled cycles: instruction costs are those of the manual, counts are exact, and the flash
caches behave as described."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bare.cores import CORES
from bench.cycles import chips, counting, modelling, on_core
from bench.cycles.cortex_m4 import cost
from bench.cycles.cost import Cost, exactly
from bench.cycles.counting import Cache, Counts, Jumps, Memory, Region, Traffic, Watch
from bench.cycles.instructions import (
    Call,
    Instruction,
    address_of,
    calls,
    disassemble,
    return_addresses,
)
from compress.errors import TendonError
from export.boards import load_board
from tests import toy

# Three calls of a function whose counts follow from reading it: a loop of 100, then 16 words of a
# 16-byte aligned table.
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
def test_an_instruction_costs_what_the_manual_says(
    mnemonic: str, operands: str, cycles_: int
) -> None:
    assert run(mnemonic, operands).cycles == cycles_
    assert run(mnemonic, operands).least <= cycles_ <= run(mnemonic, operands).most


def test_a_load_pipelines_with_the_next_one_unless_it_gives_its_address() -> None:
    independent = Instruction(2, 2, "ldr", "r3, [r1, #8]", "f")
    dependent = Instruction(2, 2, "ldr", "r3, [r0, #8]", "f")
    assert run("ldr", "r0, [r1, #4]", independent) == Cost(1, 1, 2)
    assert run("ldr", "r0, [r1, #4]", dependent).cycles == 2
    assert run("ldr", "r0, [r1, #4]", Instruction(2, 2, "adds", "r2, #1", "f")).cycles == 2
    assert run("ldr", "r0, [r1, #4]", Instruction(2, 4, "ldrd", "r2, r3, [r1]", "f")).cycles == 2


# A step that calls `first` five times in a loop, `second` once, and `third` as its last word.
CALLS = """
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
.thumb_func
.global model_step
.type model_step, %function
model_step:
    push {r4, lr}
    movs r4, #5
1:  bl first
    subs r4, #1
    bne 1b
    bl second
    pop {r4, lr}
    b third
.thumb_func
.type first, %function
first:
    movs r0, #0
    bx lr
.thumb_func
.type second, %function
second:
    ldr r1, =0x20000100
    ldr r0, [r1]
    str r0, [r1, #32]
    str r0, [r1, #64]
    ldr r0, [r1, #0xf00]
    bx lr
.pool
.thumb_func
.type third, %function
third:
    movs r0, #3
    bx lr
"""


def assemble(folder: Path, source: str, origin: int) -> Path:
    (folder / "image.S").write_text(source)
    layout = f"-Wl,-Ttext={origin + 16:#x},--section-start=.vectors={origin:#x},-ereset"
    command = [
        "arm-none-eabi-gcc",
        "-mcpu=cortex-m4",
        "-mthumb",
        "-nostdlib",
        layout,
        "image.S",
        "-o",
        "image.elf",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "image.elf"


def count(machine: str, image: Path, watch: Watch) -> Counts:
    toy.need_emulator()
    out, plugin = image.parent / "counts", counting.build_plugin(image.parent)
    out.unlink(missing_ok=True)
    options = [
        "-M",
        machine,
        "-icount",
        "shift=0",
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        "none",
        "-nodefaults",
        "-nic",
        "none",
    ]
    process = subprocess.Popen(
        [
            "qemu-system-arm",
            *options,
            "-kernel",
            str(image),
            *counting.arguments(plugin, watch, out),
        ]
    )
    try:
        return counting.wait_for(out, 60)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def chip() -> chips.Chip:
    found = chips.bare("stm32f405", "ram")
    return replace(
        found, memory=replace(found.memory, regions=(Region("flash", 0x08000000, 1 << 20, True),))
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assemble(tmp_path_factory.mktemp("cycles"), SOURCE, 0x08000000)


@pytest.fixture(scope="module")
def counts(image: Path, chip: chips.Chip) -> Counts:
    return count("netduinoplus2", image, Watch(disassemble(image), 3, chip.memory))


@pytest.fixture(scope="module")
def calling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return assemble(tmp_path_factory.mktemp("calls"), CALLS, 0)


def test_every_execution_and_every_taken_branch_is_counted(counts: Counts) -> None:
    assert counts.steps == 3
    assert counts.instructions == 3 * PER_STEP
    assert counts.taken == 3 * (99 + 15 + 1)  # two loops and the return
    assert (counts.unaligned_reads, counts.unaligned_writes) == (3, 0)


def test_a_table_misses_once_per_16_bytes_and_then_stays_in_the_data_cache(counts: Counts) -> None:
    flash = counts.traffic[0]
    assert flash.reads == 3 * (1 + 16 + 1)
    assert (
        flash.read_misses == 5
    )  # four lines of the table, one of the literal, all in the first step: five of eight lines
    assert (counts.traffic[1].reads, counts.traffic[1].writes) == (3 * 4, 3 * 4)  # the stack


def test_a_loop_misses_its_code_once(counts: Counts) -> None:
    assert (counts.jumped_misses, sum(counts.next_line_misses)) == (1, 1)


def test_a_loop_is_predicted_but_for_its_end_and_its_first_turn(
    image: Path, counts: Counts
) -> None:
    branch = next(a for a, i in disassemble(image).items() if i.mnemonic == "bne")
    assert counts.jumps[branch] == Jumps(
        taken=3 * 99, mispredicted=1 + 3, surprised=counts.jumps[branch].surprised, elsewhere=1
    )


def test_calls_are_found_with_where_they_return(calling: Path) -> None:
    code = disassemble(calling)
    step = address_of(code, "model_step")
    expected = [
        Call("model_step", step + 4, "first", step + 8),
        Call("model_step", step + 12, "second", step + 16),
    ]
    assert calls(code, "model_step") == expected


@pytest.mark.parametrize("machine", ["mps2-an386", "mps2-an500"])
def test_segments_hold_what_each_call_executed_and_sum_up_to_the_whole(
    calling: Path, machine: str
) -> None:
    code = disassemble(calling)
    memory = Memory(
        Cache(2, 2, 32),
        Cache(1, 2, 32),
        (Region("one", 0x20000000, 0x1000, True), Region("other", 0x20001000, 0x1000, True)),
    )
    boundaries = tuple(call.returns_to for call in calls(code, "model_step"))
    found = count(machine, calling, Watch(code, 4, memory, boundaries=boundaries))
    names = [
        {code[a].function: n for a, n in part.executed.items() if code[a].function != "model_step"}
        for part in found.segments
    ]
    assert [set(name) for name in names] == [{"first"}, {"second"}, {"third"}]
    first, second, third = (part.instructions for part in found.segments)
    assert (first, second, third) == (4 * (2 + 5 * 3 + 4 * 2), 4 * (2 + 1 + 6), 4 * (2 + 2))
    assert found.instructions == first + second + third
    assert (
        found.taken == sum(part.taken for part in found.segments) == 4 * (5 + 5 + 4 + 1 + 1 + 1 + 1)
    )
    assert [(t.reads, t.writes) for t in found.segments[1].traffic] == [(4, 8), (4, 0), (4, 0)]


def test_the_data_cache_replaces_the_oldest_line_and_writes_back_what_was_written(
    calling: Path,
) -> None:
    """Two lines in all: second() reads line A, writes B and C, reads D; the stack is not cached."""
    code = disassemble(calling)
    memory = Memory(
        Cache(2, 2, 32),
        Cache(1, 2, 32),
        (Region("data", 0x20000100, 0x100, True), Region("far", 0x20001000, 32, True)),
    )
    data, far, elsewhere = count("mps2-an386", calling, Watch(code, 4, memory)).traffic
    assert (data.read_misses, data.write_misses) == (4, 8)
    assert (far.read_misses, far.writebacks) == (4, 4)  # D takes the place of B
    assert (
        data.writebacks == 3
    )  # A takes that of C, left by the step before; B and C find clean lines
    assert (elsewhere.reads, elsewhere.read_misses) == (4 * 3, 0)


def test_cycles_are_the_sum_of_their_parts_and_lie_within_what_the_rules_leave_open(
    image: Path, counts: Counts, chip: chips.Chip
) -> None:
    modelled = modelling.model(disassemble(image), counts, chip)
    assert modelled.parts["instructions"] == 3 * (1 + 200 + 2 + 1 + 16 * 4 + 2 + 5 + 5)
    assert modelled.parts["branches"] == 2 * counts.taken
    assert modelled.parts["flash_data"] == 5 * 5
    assert modelled.parts["flash_instructions"] == 5
    assert modelled.cycles == sum(modelled.parts.values())
    assert modelled.least <= modelled.cycles <= modelled.most
    assert modelled.of(modelled.instructions) == pytest.approx(modelled.cycles)
    assert (
        modelling.model(disassemble(image), counts, replace(chip, line={})).cycles
        == modelled.cycles - 30
    )


def test_what_was_executed_must_be_in_the_image(image: Path, chip: chips.Chip) -> None:
    with pytest.raises(TendonError, match="which is no instruction of this image"):
        modelling.model(disassemble(image), Counts(1, executed={0x9000: 1}), chip)
    with pytest.raises(TendonError, match="has no function"):
        address_of(disassemble(image), "infer")
    with pytest.raises(TendonError, match="never calls table"):
        return_addresses(disassemble(image), "table")


def test_counts_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    (tmp_path / "counts").write_text("steps 3\nsegment 0\nunaligned_reads 4\n")
    with pytest.raises(TendonError, match="expected the counts of a finished profile"):
        counting.read_counts(tmp_path / "counts")


@given(
    st.lists(st.integers(0, 50), min_size=16, max_size=16),
    st.integers(0, 100),
    st.lists(st.integers(0, 100), min_size=3, max_size=3),
    st.sampled_from(["stm32f405", "stm32l4r5", "stm32h743"]),
    st.integers(0, 30),
)
def test_slower_memory_never_takes_fewer_cycles(
    late: list[int], jumped: int, data: list[int], name: str, more: int
) -> None:
    traffic = [Traffic(200, 200, *data), Traffic(50, 50, 7, 7, 7)]
    counts = Counts(
        1, 3, 2, jumped, [0, *late], traffic, executed={0: 100}, jumps={0: Jumps(9, 4, 3, 2)}
    )
    code = {0: Instruction(0, 2, "adds", "r0, #1", "f")}
    chip = chips.bare(name, "axi" if name == "stm32h743" else "ram")
    slower = replace(
        chip, line={memory: line + exactly(more) for memory, line in chip.line.items()}
    )
    fast, slow = (modelling.model(code, counts, c) for c in (chip, slower))
    assert fast.least <= fast.cycles <= fast.most and slow.least <= slow.cycles <= slow.most
    assert fast.cycles <= slow.cycles and fast.least <= slow.least and fast.most <= slow.most
    assert fast.cycles == sum(fast.parts.values())


def test_an_image_can_be_modelled_on_another_chip_of_its_core() -> None:
    board, image = load_board("virtual-f405"), toy.f405_image()
    own, other = chips.of_image(board, image), chips.of_image(board, image, "stm32l4r5")
    assert own is not None and other is not None
    assert (own.name, own.clock_hz, other.name, other.clock_hz) == (
        "stm32f405",
        168_000_000,
        "stm32l4r5",
        120_000_000,
    )
    assert own.memory.regions == other.memory.regions and own.memory.data != other.memory.data


def test_what_the_plugin_cannot_count_is_refused(calling: Path) -> None:
    (calling.parent / "cases.bin").touch()
    many = Watch(disassemble(calling), 1, counting.NO_CACHES, boundaries=tuple(range(0, 4096, 2)))
    with pytest.raises(TendonError, match="cannot use boundary="):
        on_core.count(CORES["cortex-m4"], calling, many)
