"""A profile loses nothing: what was executed is in one layer and one class, and table, page and
JSON say the same."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.cycles.counting import Counts
from bench.cycles.instructions import Instruction
from bench.profile import command, layers, table
from bench.profile.attribution import attribute, split
from bench.profile.classes import CLASSES, classify
from bench.profile.measured import CYCLES_ARE, Measured, Part
from bench.profile.schema import Report
from bench.tendon import main as tendon
from compress.artifacts import Folder
from compress.data import datasets
from compress.errors import TendonError
from compress.graph import macs
from compress.tasks.typing.simulated import COLLECTION as TYPING
from export import build
from export.boards import load_board, names
from export.c import emit
from host.engines import Artifacts
from host.errors import NoTapError
from tests import toy
from tests.compress.test_networks import integer, network
from tests.conftest import ROOT

EMULATED = [name for name in names() if load_board(name).emulator is not None]
TAP_READING = 40  # instructions of an operator's own calls of the counter, and one tick of it


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artifacts]:
    """A small network with windows (so with a start-up), two bands and two state spaces, at a
    precision."""
    shapes = {"kernel_sizes": [4, 1], "strides": [2, 1], "out_channels": [12, 8]}
    loaded = network(3, mlp_features=[8], high=shapes, low={"d_model": 8, "d_latent_space": 8})
    folder = tmp_path_factory.mktemp("profile")

    def make(precision: str) -> Artifacts:
        graph = integer(loaded, precision)
        return Artifacts(Folder(folder, graph.name, precision), Path("none.ckpt"), graph, graph)

    return make


@pytest.fixture(scope="module")
def profiled(made: Callable[[str], Artifacts], simulated: Path) -> Callable[[str], Report]:
    """The profile of the small network on a board, taken once."""
    known: dict[str, Report] = {}

    def profile(board: str) -> Report:
        toy.need_emulator()
        toy.need("arm-none-eabi-gcc", "make")
        if board not in known:
            known[board] = command.profile(
                made("w8a16"), load_board(board), datasets.find(None, ROOT / "build", TYPING)
            )
        return known[board]

    return profile


@pytest.mark.parametrize("board", EMULATED)
def test_every_executed_instruction_is_in_one_row_and_in_one_class(
    board: str, profiled: Callable[[str], Report]
) -> None:
    report = profiled(board)
    network, outside = [*report["layers"], *report["others"]], report["outside"]
    assert report["bit_exact"] and report["steps"] == 20
    assert sum(row["executed"] for row in (*network, *outside)) == report["counted"]
    assert sum(row["executed"] for row in network) == report["total"]["executed"]
    for row in (*network, *outside, report["total"]):
        assert sum(row["split"].values()) == row["executed"] and set(row["split"]) == set(CLASSES)
    for name in CLASSES:
        assert sum(row["split"][name] for row in network) == report["total"]["split"][name]
    assert sum(row["percent"] for row in network) == pytest.approx(100)
    assert "start-up" in report["others"][0]["name"], (
        "the network has windows, so it counts its first steps"
    )


@pytest.mark.parametrize("board", EMULATED)
def test_every_operator_has_a_row_with_its_work_and_its_memory(board: str, made, profiled) -> None:
    graph, report = made("w8a16").integer, profiled(board)
    model, rows = emit.build(graph, load_board(board).kernels), report["layers"]
    assert [row["name"] for row in rows] == [op.module for op in graph.ops]
    assert report["total"]["macc_per_s"] == pytest.approx(macs.report(graph)["macs_per_s"])
    assert {row["name"]: row["macc_per_s"] for row in rows if row["macc"]} == pytest.approx(
        {layer.module: layer.macs_per_s for layer in macs.count(graph)}
    )
    assert sum(row["weights"] for row in rows) == model.table_bytes
    assert sum(row["state"] for row in rows) == model.plan.state_bytes - 4 * bool(graph.start_up)
    assert (
        model.plan.lower_bound_bytes == max(row["live"] for row in rows) <= model.plan.arena_bytes
    )
    assert sum(row["calls"] for row in rows) == len(model.calls) - bool(graph.start_up)


def test_steps_of_several_frames_are_profiled_as_steps(simulated: Path, tmp_path: Path) -> None:
    toy.need_emulator()
    graph = integer(network(4, mlp_features=[8]))
    made = Artifacts(Folder(tmp_path, graph.name, "w8a16"), Path("none.ckpt"), graph, graph)
    report = command.profile(
        made,
        load_board("virtual-f405"),
        datasets.find(None, ROOT / "build", TYPING),
        latency_ms=50.0,
    )
    frames = report["frames_per_step"]
    assert frames > 1 and report["bit_exact"] and report["words"] == 20 * frames * 99
    assert report["steps_per_s"] * frames == pytest.approx(float(graph.output.rate))
    assert report["total"]["macc_per_s"] == pytest.approx(macs.report(graph)["macs_per_s"])
    assert (
        sum(row["executed"] for row in (*report["layers"], *report["others"], *report["outside"]))
        == report["counted"]
    )
    assert [row["output"][0] for row in report["layers"]] == [
        frames * graph.tensors[op.output].rate / graph.output.rate for op in graph.ops
    ]
    assert tendon(["profile", "--port", "/dev/none", "--latency", "50"]) == 2


def test_no_linear_layer_executes_less_than_its_floor(profiled) -> None:
    """Loads, unpacks and multiplications are what a floor counts, so a class that misses some falls
    below it."""
    rows = [row for row in profiled("virtual-f405")["layers"] if row["type"] == "Dense"]
    assert len(rows) >= 5
    for row in rows:
        inner = sum(row["split"][name] for name in ("load_store", "unpack", "mac"))
        assert inner >= row["floor"] * 20 and row["split"]["mac"] >= row["macc"] * 20 / 2, row[
            "name"
        ]
        assert row["split"]["requantize"] > 0


def test_inner_loops_are_the_same_on_both_armv7e_m_cores(profiled) -> None:
    """The compiler tunes what is around them to the core; they are written in instructions."""
    for a, b in zip(
        profiled("virtual-f405")["layers"], profiled("virtual-m7")["layers"], strict=True
    ):
        if a["type"] in ("Dense", "StateSpace"):
            assert [b["split"][name] for name in ("unpack", "mac", "requantize")] == pytest.approx(
                [a["split"][name] for name in ("unpack", "mac", "requantize")], rel=0.02
            ), a["name"]


@contextlib.contextmanager
def at_a_port(board: str, image: Path) -> Iterator[str]:
    """An emulated board as if it were connected: its serial port by URL."""
    emulator = load_board(board).emulator
    assert emulator is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = [
        "-chardev",
        f"socket,id=line,host=127.0.0.1,port={port},server=on,wait=on",
        "-serial",
        "chardev:line",
    ]
    process = subprocess.Popen(
        [emulator.command, *emulator.arguments, "-kernel", str(image), *line],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"socket://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_the_counter_of_a_board_at_a_port_says_of_every_layer_what_the_emulator_counted(
    made, profiled
) -> None:
    """The way that silicon is profiled, here with the emulated chip, whose counter counts
    instructions."""
    artifacts, board, report = made("w8a16"), load_board("virtual-f405"), profiled("virtual-f405")
    image = build.make_tap_image(artifacts.integer, artifacts.folder, board.name)
    with at_a_port(board.name, image) as port:
        found = command.profile(artifacts, board, datasets.find(None, ROOT / "build", TYPING), port)
    assert found["bit_exact"] and found["steps"] == 20 and found["total"]["split"] is None
    more = [
        a["instructions"] - b["instructions"]
        for a, b in zip(found["layers"], report["layers"], strict=True)
    ]
    assert max(more[1:]) - min(more[1:]) < 8 and max(more[1:]) < TAP_READING, (
        "reading the counter adds the same to every layer"
    )
    assert 0 <= more[0] < 2 * TAP_READING, "to the first also what calls the step"


def test_a_board_whose_image_cannot_time_its_layers_is_told_which_to_load(
    made, simulated: Path
) -> None:
    artifacts, board = made("w8a16"), load_board("virtual-f405")
    image = build.make_firmware(artifacts.integer, artifacts.folder, board.name)
    with (
        at_a_port(board.name, image) as port,
        pytest.raises(
            NoTapError, match=r"built without -DMODEL_TAP.*make flash BOARD=virtual-f405 TAP=1"
        ),
    ):
        command.profile(artifacts, board, datasets.find(None, ROOT / "build", TYPING), port)


def test_measured_cycles_are_called_so_and_say_nothing_of_instructions(
    made, profiled, tmp_path: Path
) -> None:
    """What a chip's own counter gives: a number of cycles for every layer, and no more."""
    before, graph, words = (
        profiled("virtual-f405"),
        made("w8a16").integer,
        np.zeros((20, 99), np.int16),
    )
    parts = [Part(None, None, 1.5 * row["executed"]) for row in before["layers"]]
    cycles = round(sum(part.cycles for part in parts))
    found = Measured(
        20, parts, {}, {}, cycles, "cycles", CYCLES_ARE["cycles"], 480_000_000, words, "gcc; -O3"
    )
    image = build.make_firmware(graph, made("w8a16").folder, "virtual-f405")
    known = dict(before) | {
        "counts": found.counts,
        "cycles_are": found.cycles_are,
        "clock_hz": found.clock_hz,
    }
    shown = command.assemble(known, found, emit.build(graph), load_board("virtual-f405"), image)
    total, text, page = (
        shown["total"],
        table.text(shown),
        command.write(shown, tmp_path).read_text(),
    )
    assert (
        total["split"] is None and total["instructions"] is None and total["cycles"] == cycles / 20
    )
    assert total["dur_ms"] == pytest.approx(1000 * cycles / 20 / 480e6)
    assert [row["percent"] for row in shown["layers"]] == pytest.approx(
        [100 * part.cycles / cycles for part in parts]
    )
    assert "measured" in text and "measured" in page and "modelled" not in text + page
    assert not any("instruction" in finding or "floor" in finding for finding in shown["findings"])
    assert max(map(len, text.splitlines())) <= table.WIDTH


def test_the_console_the_page_and_the_json_hold_every_layer(profiled, tmp_path: Path) -> None:
    report = profiled("virtual-f405")
    text, page = table.text(report), command.write(report, tmp_path).read_text()
    assert json.loads((tmp_path / "profile.json").read_text()) == report
    assert max(map(len, text.splitlines())) <= table.WIDTH
    for row in report["layers"]:
        assert re.search(
            rf"^ +{row['c_id']} {re.escape(table.short(row['name']))} +{row['type']} ", text, re.M
        )
        assert f">{row['name']}</span>" in page
    for finding in report["findings"]:
        assert finding.split(";")[0] in page.replace("&#x27;", "'")
    total = report["total"]
    assert re.search(rf"^     total +{total['macc']} +{total['instructions']:.0f} ", text, re.M)
    assert sum(total["waits"].values()) == pytest.approx(total["cycles"])
    assert sum(row["cycles"] for row in (*report["layers"], *report["others"])) == pytest.approx(
        total["cycles"]
    )
    assert "modelled, not measured" in text and "modelled, not measured" in page
    assert page.count("<svg") == 2 and not re.search(r"<script|<link|src=", page), (
        "one file that needs nothing else"
    )


@pytest.mark.parametrize("board", EMULATED)
def test_what_four_bits_would_save_is_what_they_save(board: str, made, profiled) -> None:
    said, family = (
        next(f for f in profiled(board)["findings"] if "w4a16" in f),
        load_board(board).kernels,
    )
    now, then = (
        emit.build(made(precision).integer, family).table_bytes for precision in ("w8a16", "w4a16")
    )
    assert f": {now - then:,} less" in said and now > then


def test_a_board_that_cannot_be_profiled_is_told_apart_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tendon(["profile", "--board", "nucleo-h743zi2"]) == 2
    said = capsys.readouterr().err
    assert (
        "BOARD=nucleo-h743zi2 is not emulated" in said and "virtual-m7" in said and "PORT=" in said
    )
    assert tendon(["profile", "--board", "posix"]) == 2
    assert "PORT=" not in capsys.readouterr().err


def test_an_image_of_another_model_is_refused(made) -> None:
    model = emit.build(made("w8a16").integer)
    code = {
        0: Instruction(0, 4, "bl", "8 <nn_add_s16>", f"{model.identifier}_step"),
        8: Instruction(8, 2, "bx", "lr", "nn_add_s16"),
    }
    with pytest.raises(
        TendonError,
        match=(
            rf"expected the {len(model.calls)} kernel calls of its C, found 1, other from call 0"
        ),
    ):
        attribute(code, Counts(1, executed={8: 1}), model, ())


OF_EACH_CLASS = {
    "load_store": (
        """
        ldr r0, [r1], #4 | ldrd r2, r3, [r0], #8 | ldrsh.w r1, [r9, ip, lsl #1]
        strd r0, r1, [r2], #8 | ldmia r0!, {r4-r7}
        vldrb.s16 q3, [r5] | vldrht.u16 q2, [r1], #16 | vstrh.32 q2, [r3]
        vld20.16 {q0, q1}, [r0]"""
    ),
    "unpack": (
        """
        sxtb16 r0, r1, ror #8 | pkhbt r0, r1, r2, lsl #16 | and r0, r1, r2, lsr #4 | and r0, r1, r2
        asrs r4, r4, #16
        ubfx r0, r1, #4, #4 | veor q0, q0, q1 | vmovlb.s8 q3, q3 | vshllt.s8 q0, q0, #8
        vmovnb.i32 q3, q1"""
    ),
    "mac": (
        """
        smlad r0, r1, r2, r0 | smlald r0, r1, r2, r3 | smlsd r0, r1, r2, r3 | smladx r0, r1, r2, r3
        mla r0, r1, r2, r3
        muls r0, r1 | smull r0, r1, r2, r3 | umull r0, r1, r2, r3 | smusd r0, r1, r2
        smuadx r0, r1, r2 | smlalbb r0, r1, r2, r3
        smlatt r0, r1, r2, r3 | vmladavax.s16 r2, q3, q3 | vmlavat.s16 r6, q3, q2
        vmlalva.s32 r4, r5, q2, q2 | vaddv.s16 r0, q3
        vmul.i32 q1, q2, q2 | vqrdmlsdh.s16 q3, q3, q3 | vmlas.s16 q0, q1, r2
        vmullb.s16 q0, q1, q2
        vrmlaldavh.s32 r0, r1, q0, q1"""
    ),
    "requantize": (
        """
        smmulr r0, r1, r2 | smmlar r0, r1, r2, r3 | ssat r0, #16, r0, asr #15 | usat r0, #16, r1
        uqadd16 r0, r1, r2
        uadd16 r0, r1, r2 | qadd16 r0, r1, r2 | sel r0, r1, r2 | vqrdmulh.s32 q2, q2, r5
        vrmulh.s32 q0, q1, q2
        vrshl.s32 q2, q2, q0 | vqmovnb.s32 q3, q2 | vmin.s32 q0, q1, q2 | vqadd.s16 q3, q3, q0"""
    ),
    "rest": (
        """
        ldr r0, [sp, #4] | ldr r2, [pc, #104] | push {r4, lr} | ldmia.w sp!, {r4, pc}
        stmdb sp!, {r4, lr}
        ldrd r0, r1, [sp, #8] | adds r0, #1 | cmp r0, r1 | bne 8001150 <nn_lut_s16+0x4>
        bl 8000100 <memset>
        lsls r0, r1, #2 | bic.w r3, r8, #1
        and r0, r1, #15 | le lr, 100 <f> | dlstp.16 lr, r2 | vctp.16 r2 | vpst | vdup.32 q2, r6
        vadd.i32 q0, q1, q2
        mov r0, r1 | it cs | nop | clz r0, r1"""
    ),
}


@pytest.mark.parametrize("expected", CLASSES)
def test_an_instruction_is_of_the_class_of_what_it_does(expected: str) -> None:
    for text in re.split(r"\s*[|\n]\s*", OF_EACH_CLASS[expected].strip()):
        name, _, operands = text.partition(" ")
        found = classify(Instruction(0, 4, re.sub(r"\.[nw]$", "", name), operands, "f"))
        assert found == expected, f"{text}: expected {expected}, found {found}"


def test_classes_are_counted_per_execution() -> None:
    code = {
        0: Instruction(0, 4, "smlad", "r0, r1, r2, r0", "f"),
        4: Instruction(4, 2, "adds", "r0, #1", "f"),
    }
    assert split(code, [Counts(2, executed={0: 7, 4: 2}), Counts(2, executed={0: 1})]) == {
        "mac": 8,
        "rest": 2,
    }


def test_live_tensors_are_those_that_are_still_needed(made) -> None:
    graph = made("w8a16").integer
    alive = layers.live_tensors(graph)
    for index, op in enumerate(graph.ops):
        assert op.output in alive[index] and all(
            name in alive[index] for name in op.inputs if name != graph.input.name
        )
        gone = [
            o.output
            for o in graph.ops[:index]
            if not any(o.output in later.inputs for later in graph.ops[index:])
        ]
        assert not alive[index] & set(gone)
