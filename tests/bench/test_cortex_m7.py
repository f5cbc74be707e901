"""The Cortex-M7 model: sequences computed by hand from the published rules, and what must never
happen."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bare.cores import CORES
from bench.cycles import chips, cortex_m7, modelling, on_core, validated
from bench.cycles.cortex_m7 import LEAST, MODELLED, MOST, Pipeline, Rules
from bench.cycles.cortex_m7_operations import operation
from bench.cycles.cost import Cost
from bench.cycles.counting import Counts, Jumps, Traffic
from bench.cycles.instructions import Instruction, disassemble
from bench.validate import command as validate
from compress.errors import TendonError
from export.boards import load_board
from tests import toy


def sequence(text: str) -> list[Instruction]:
    """Instructions written one after the other, apart by semicolons."""
    lines = [line.strip() for line in text.split(";")]
    return [Instruction(2 * i, 2, *(line.partition(" ")[::2]), "f") for i, line in enumerate(lines)]


def issued(text: str, rules: Rules = MODELLED) -> int:
    return Pipeline(rules).run([operation(i) for i in sequence(text)])


@pytest.mark.parametrize(
    ("text", "expected", "why"),
    [
        ("eor r0, r1; eor r2, r3; eor r4, r5; eor r6, r7", 2, "two ALUs"),
        ("eor r0, r1; eor r2, r0; eor r4, r2; eor r6, r4", 4, "each needs the one before"),
        ("mov r0, r1; eor r2, r0", 1, "a move is done a stage before a logic operation begins"),
        ("movw r0, #1; movt r0, #2", 1, "a constant in one cycle"),
        ("eor r0, r1; mov r2, r0", 2, "a move cannot be late and wait in the same cycle"),
        ("smlad r0, r1, r2, r0; smlad r3, r4, r5, r3", 2, "one multiplier"),
        ("smlad r0, r1, r2, r0; smlad r0, r4, r5, r0", 2, "a sum is passed on at once"),
        (
            "mul r0, r1, r2; add r3, r3, r0, lsl #1",
            4,
            "a product comes a stage late, a shifted operand is needed a stage early",
        ),
        ("mul r0, r1, r2; eor r3, r0", 3, "a product comes a cycle late"),
        ("ldr r0, [r1]; eor r2, r0", 2, "a word is there for an ALU in the next cycle"),
        ("ldr r0, [r1]; smlad r2, r0, r3, r2", 3, "but not for the multiplier"),
        ("ldr r0, [r1]; ldr r2, [r0]", 4, "and less so for an address"),
        ("ldrh r0, [r1]; eor r2, r0", 3, "half a word takes a cycle more"),
        ("ldrb r0, [r1]; smlad r2, r3, r4, r0", 2, "a sum can wait for a byte"),
        ("ldr r0, [r1]; ldr r2, [r1, #4]", 1, "even and odd words lie in two banks"),
        ("ldr r0, [r1]; ldr r2, [r1, #8]", 2, "two even words in one"),
        ("ldr r0, [r1]; ldr r2, [r3]", 2, "who knows where these lie"),
        ("ldr r0, [r1], #4; ldr r2, [r1], #4", 2, "the second needs the address of the first"),
        ("ldr r0, [r1]; str r0, [r2]", 1, "a load is stored in the cycle it comes"),
        ("str r0, [r1]; str r2, [r1, #4]", 2, "one store a cycle"),
        ("smlad r0, r1, r2, r0; str r3, [r4]", 2, "a product and a store do not go together"),
        ("sxtb16 r0, r1; sxtb16 r2, r3", 2, "one DSP operation a cycle"),
        ("sxtb16 r0, r1; smlad r2, r3, r4, r2", 1, "it is the first of a pair"),
        ("smlad r2, r3, r4, r2; sxtb16 r0, r1", 2, "and never the second"),
        ("add r0, r1, r2, lsl #3; add r3, r4, r5, lsl #3", 2, "one shifted operand a cycle"),
        (
            "ubfx r0, r1, #2, #4; eor r2, r3, r4, ror #8",
            2,
            "a bit field needs that shifter as well",
        ),
        ("uxtb r0, r1; eor r2, r3, r4, ror #8", 1, "an extension does not"),
        (
            "uxtb r0, r1; ldr r2, [r3, r0]",
            3,
            "what an ALU did late is no address in the next cycle",
        ),
        ("lsrs r0, r1, #24; ldr r2, [r3, r0, lsl #2]", 2, "a shift done early is"),
        ("cmp r0, r1; bne 20 <f>", 1, "a branch does not wait for what is predicted"),
        ("cmp r0, r1; it eq; moveq r2, r3", 2, "a condition does"),
        ("push {r4, r5, r6, lr}; eor r0, r1", 3, "two registers a cycle, alone"),
        ("ldmia r0!, {r1, r2, r3}; eor r4, r5", 3, "three take two"),
        ("ldrd r0, r1, [r2]; eor r3, r4", 2, "a pair is alone too"),
        ("udiv r0, r1, r2; eor r3, r4", 8, "a division stalls everything"),
        ("ssat r0, #16, r1; pkhbt r2, r0, r3", 3, "a saturation comes a cycle late"),
    ],
)
def test_a_sequence_takes_what_the_rules_say(text: str, expected: int, why: str) -> None:
    assert issued(text) == expected, why


def test_a_branch_pairs_with_what_follows_when_it_is_not_taken_and_never_with_where_it_leads() -> (
    None
):
    before, after = (
        [operation(i) for i in sequence(text)]
        for text in ("eor r0, r1; eor r2, r3; bne 20 <f>", "eor r4, r5")
    )
    straight, jumped, folded = Pipeline(MODELLED), Pipeline(MODELLED), Pipeline(LEAST)
    for pipeline in (straight, jumped, folded):
        pipeline.run(before)
    jumped.jump()
    folded.jump()
    assert (straight.run(after), jumped.run(after), folded.run(after)) == (0, 1, 0)


TEXT = """add r0, r1, r2; eor r1, r2, r3, lsl #4; smlad r2, r3, r4, r2; smlald r4, r5, r0, r1;
sxtb16 r3, r4; ldr r5, [r6]; ldr r6, [r7, #4]; ldrh r0, [r5]; str r1, [r6, #8];
ldrd r2, r3, [r4], #8; mov r7, r0; lsr r3, r2, #7; ubfx r4, r5, #3, #5;
ssat r0, #16, r2, asr #15; pkhbt r1, r2, r3, lsl #16; cmp r4, r5; bne 20 <f>;
umull r0, r1, r2, r3; udiv r2, r3, r4; push {r4, r5, lr}; movne r4, r5"""
LINES = st.sampled_from([line.strip() for line in TEXT.split(";")])


@given(st.lists(LINES, min_size=1, max_size=30))
def test_no_sequence_is_faster_than_two_in_a_cycle_nor_are_the_bounds_crossed(
    lines: list[str],
) -> None:
    least, modelled, most = (issued("; ".join(lines), rules) for rules in (LEAST, MODELLED, MOST))
    assert len(lines) / 2 <= least <= modelled <= most


@given(st.lists(LINES, min_size=1, max_size=20), LINES)
def test_one_more_instruction_never_makes_it_faster(lines: list[str], more: str) -> None:
    assert issued("; ".join([*lines, more])) >= issued("; ".join(lines))


def loop(turns: int) -> tuple[dict[int, Instruction], Counts]:
    """A loop whose body reads what the turn before loaded: begun once, `turns` times through."""
    body = sequence(
        "mov r0, r1; smlad r2, r3, r4, r2; ldr r3, [r5], #4; subs r6, #1; bne 2 <f>; bx lr"
    )
    code = {i.address: i for i in body}
    executed = {address: turns if 2 <= address <= 8 else 1 for address in code}
    jumps = {8: Jumps(turns - 1, 1, 1, 1), 10: Jumps(1, 1, 0, 1)}
    return code, Counts(
        1, executed=executed, jumps=jumps, traffic=[Traffic(turns, 0, turns // 8), Traffic()]
    )


def test_a_loop_runs_into_itself() -> None:
    """Two cycles a turn: smlad and ldr, subs and bne. The word for smlad was loaded two cycles ago,
    in the turn before."""
    code, counts = loop(1000)
    found = cortex_m7.blocks(code, counts)
    assert [(start, block.executions, block.taken) for start, block in found.items()] == [
        (0, 1, 0),
        (2, 1000, 999),
        (10, 1, 1),
    ]
    assert cortex_m7.issue_cycles(found, MODELLED) == {0: 1, 2: 2, 10: 1}
    assert cortex_m7.issue(code, counts)["f"].cycles == 2002


def test_memory_makes_wait_by_the_line_and_a_wrong_prediction_costs_its_refill() -> None:
    code, counts = loop(1000)
    chip = chips.bare("stm32h743", ram="dtcm")
    modelled = modelling.model(code, counts, chip)
    assert modelled.parts["flash_data"] == 125 * chip.line["flash"].cycles
    assert modelled.parts["mispredicted"] == 8 * 2
    assert modelled.least <= modelled.cycles <= modelled.most
    slower = replace(chip, line={name: line + Cost(1, 1, 1) for name, line in chip.line.items()})
    assert modelling.model(code, counts, slower).cycles == modelled.cycles + 125


def test_an_image_of_the_emulated_board_lies_in_the_memories_of_the_chip_it_stands_for() -> None:
    chip = chips.of_image(load_board("virtual-m7"), toy.image("virtual-m7"))
    assert chip is not None and chip.name == "stm32h743"
    assert {region.name for region in chip.memory.regions if region.cached} == {"flash", "axi"}
    assert {region.name for region in chip.memory.regions if not region.cached} == {"dtcm"}
    assert chips.of_image(load_board("posix"), Path("none")) is None
    with pytest.raises(TendonError, match="expected one of stm32f405"):
        chips.of_image(load_board("virtual-m7"), toy.image("virtual-m7"), "z80")


def test_every_instruction_of_an_image_is_understood() -> None:
    """Mnemonics that would be taken for barriers are such."""
    known = re.compile(r"(dsb|dmb|isb|cps|mrs|msr|wfi|svc|bkpt|udf|nop|clrex|ldrex|strex)")
    for instruction in disassemble(toy.image("virtual-m7")).values():
        found = operation(instruction)
        if found.kind == "plain" and found.alone:
            assert known.match(instruction.mnemonic), instruction


PROGRAM = """
#include "port.h"
__attribute__((noinline)) uint32_t walk(const volatile uint32_t *from, uint32_t words)
{
    uint32_t sum = 0;
    while (words--)
        sum += *from++;
    return sum;
}
static const uint32_t table[256] = {1};
int main(void)
{
    uint32_t sum = 0;
    if (!port_begin())
        return 1;
    for (int i = 0; i < 10; i++)
        sum += walk(table, 256);
    port_write(&sum, sizeof sum);
    return port_end();
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    toy.need_emulator()
    folder = tmp_path_factory.mktemp("walk")
    (folder / "walk.c").write_text(PROGRAM)
    (folder / "cases.bin").touch()
    return validate.compile_program(CORES["cortex-m7"], folder, [folder / "walk.c"], ["-O2"])


def test_a_table_is_read_once_into_the_data_cache_unless_every_call_begins_cold(
    program: Path,
) -> None:
    """A kilobyte: 32 lines, of which the first may have been read with what lies before it."""
    chip = chips.bare("stm32h743", ram="dtcm")
    warm, cold = (
        on_core.modelled(CORES["cortex-m7"], program, "walk", 10, chip, cold=cold)
        for cold in (False, True)
    )
    line = chip.line["flash"].cycles
    assert warm.parts["flash_data"] in (31 * line, 32 * line, 33 * line)
    assert cold.parts["flash_data"] == 10 * warm.parts["flash_data"]
    assert warm.instructions == cold.instructions
    with pytest.raises(TendonError, match="before 11 calls of walk"):
        on_core.modelled(CORES["cortex-m7"], program, "walk", 11, chip)


def test_the_last_validation_covers_both_cores_and_says_how_far_off_the_models_were() -> None:
    for core in ("cortex-m4", "cortex-m7"):
        rows = validated.rows(core)
        assert {"CoreMark", "AES"} <= {row["what"] for row in rows if row["comparable"]}
        for row in rows:
            assert row["error_percent"] == pytest.approx(
                100 * (row["modelled"] / row["published"] - 1), abs=0.06
            )
            assert row["least"] <= row["modelled"] <= row["most"] and row["source"] and row["flags"]
        assert "CoreMark" in validated.errors(core)


def test_validation_needs_a_checkout_and_says_which(tmp_path: Path) -> None:
    with pytest.raises(TendonError, match="COREMARK=, AES= or CMSIS_NN="):
        validate.run(argparse.Namespace(coremark=None, aes=None, cmsis_nn=None))
    toy.need("arm-none-eabi-gcc")
    with pytest.raises(TendonError, match=r"expected a checkout with .*core_main\.c"):
        validate.measure(tmp_path, None)


FAKE = """
#include "coremark.h"
void *iterate(void *results)
{
    for (volatile int i = 0; i < 1000; i++)
        ;
    return results;
}
int main(void)
{
    core_portable p;
    portable_init(&p, 0, 0);
    iterate(&p);
    ee_printf("crclist       : 0x%04x\\n", SUM);
    portable_fini(&p);
    return 0;
}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Something that calls itself CoreMark."""
    toy.need_emulator()
    for name in ("list_join", "matrix", "state", "util"):
        (tmp_path / f"core_{name}.c").write_text("typedef int nothing;")
    declared = (
        "typedef uint32_t secs_ret;\nvoid start_time(void);\nvoid stop_time(void);\nCORE_TICKS"
        " get_time(void);\n"
    )
    (tmp_path / "coremark.h").write_text(f'#include "core_portme.h"\n{declared}')
    return tmp_path


def test_a_program_that_computes_something_else_validates_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "core_main.c").write_text(FAKE.replace("SUM", "0xe715"))
    with pytest.raises(TendonError, match=r"expected crclist       : 0xe714, .* found .*0xe715"):
        validate.measure(checkout, None)
    (checkout / "core_main.c").write_text(FAKE.replace("SUM", "0xe714"))
    monkeypatch.setattr(validate, "CHECKSUMS", validate.CHECKSUMS[:1])
    rows = validate.measure(checkout, None)
    assert {row["core"] for row in rows} == {"cortex-m4", "cortex-m7"}
    for row in rows:
        turns = 1000 / validate.ITERATIONS
        assert 4 * turns < row["instructions"] < 8 * turns and row["modelled"] < 20 * turns
        assert row["error_percent"] == pytest.approx(
            100 * (row["modelled"] / row["published"] - 1), abs=0.06
        )
