"""A board that computes something else: the first frame, layer and element are named, whichever
they are, and what says why."""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tendon import main as tendon
from compress import graph as g
from compress.artifacts import Folder
from compress.frontend.lower import lower
from compress.graph.samples import to_int16
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export import build
from export.c import emit
from export.c.project import build_project
from host import board_diagnosis, board_facts
from host.boards import open_board, open_process
from host.errors import DamagedImageError, NoTapError
from tests import toy
from tests.compress.test_networks import network, signal

STEPS = 5
BREAK_IT = """
#include <stdlib.h>
static unsigned steps; /* since the zero state */
/* Of what BREAK="step operator element bits" says, the bits are changed. */
static void sabotage(unsigned op, int16_t *data)
{
    char *at = getenv("BREAK");
    if (at == NULL)
        return;
    const unsigned step = (unsigned)strtoul(at, &at, 10), which = (unsigned)strtoul(at, &at, 10);
    const unsigned element = (unsigned)strtoul(at, &at, 10), bits = (unsigned)strtoul(at, &at, 10);
    if (step == steps && op == which)
        data[element] = (int16_t)(data[element] ^ (int)bits);
}
"""


@pytest.fixture(scope="module")
def graph() -> g.Graph:
    """A small network with every kind of layer of TC_S4_small."""
    real = lower(network())
    return quantize(real, observe(real, [signal(20_000)]), "w8a16")


@pytest.fixture(scope="module")
def samples(graph: g.Graph) -> np.ndarray:
    return to_int16(graph, signal(STEPS * graph.samples_per_step))


Change = Callable[[str], str]


def built(
    graph: g.Graph, folder: Path, board: str, change: Change, file: str = ""
) -> tuple[Path, Path]:
    """The image with a tap of a project of which one file of model/ was changed, and its
    pass."""
    project = shutil.copytree(
        build.make_project(graph, Folder(folder, "small", "w8a16"), board), folder / "changed"
    )
    source = board_diagnosis.pass_of(project, graph)
    path = source.with_stem(f"{source.stem}{file}")
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    return build_project(project, board, extra_flags="-DMODEL_TAP"), source


def diagnosed(graph: g.Graph, board: Any, samples: np.ndarray, source: Path) -> dict[str, Any]:
    with board:
        report = board_diagnosis.compare(graph, board, samples, source)
    return {"model": "small", "precision": "w8a16", "board": board.name} | report


# --- any place ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def breakable(graph: g.Graph, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A process in which bits of one value, chosen by its environment, are changed right after an
    operator."""

    def change(source: str) -> str:
        source = re.sub(
            r" (\w+_tap\(op, data, count\))", r" (sabotage(op, data), \1)", source, count=1
        )
        source = source.replace("\n_Static_assert", f"\n{BREAK_IT}\n_Static_assert", 1)
        reset = "memset(self->state, 0, sizeof *self->state);"
        source = source.replace(reset, f"{reset}\n    steps = 0;")
        return source.rstrip()[:-1] + "    steps++;\n}\n"

    return built(graph, tmp_path_factory.mktemp("breakable"), "posix", change)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_bit_of_any_operator_in_any_step_is_named_exactly(
    graph: g.Graph, samples: np.ndarray, breakable: tuple[Path, Path], data: st.DataObject
) -> None:
    """Frame, second, layer, element, both values; that nothing else of the tensor differs; that it
    came back on replay."""
    image, source = breakable
    step, index = (
        data.draw(st.integers(0, STEPS - 1)),
        data.draw(st.integers(0, len(graph.ops) - 1)),
    )
    op, name = graph.ops[index], graph.ops[index].output
    frames, features = graph.frames_per_step(name), graph.tensors[name].features
    value = data.draw(st.integers(0, frames * features - 1))
    bits = data.draw(st.integers(1, 0xFFFF))
    board = open_process(
        image, graph.hash(), toy.QUICK, environment={"BREAK": f"{step} {index} {value} {bits}"}
    )
    report = diagnosed(graph, board, samples, source)
    d = report["first_difference"]
    frame, element = step * frames + value // features, value % features
    assert (d["step"], d["operator"], d["module"], d["frame"], d["element"]) == (
        step,
        index,
        op.module,
        frame,
        element,
    )
    assert d["second"] == pytest.approx(frame / float(graph.tensors[name].rate))
    assert (d["expected"] ^ d["found"]) & 0xFFFF == bits
    assert (d["differing"], d["repeated"], report["steps"]) == (1, True, step + 1)
    assert f"{d['call']} TAP({index}," in " ".join(source.read_text().split())


def test_a_board_that_computes_right_is_equal_in_every_operator(
    graph: g.Graph, samples: np.ndarray, breakable: tuple[Path, Path]
) -> None:
    report = diagnosed(
        graph, open_process(breakable[0], graph.hash(), toy.QUICK), samples, breakable[1]
    )
    assert report["equal"] and (report["steps"], report["operators"]) == (STEPS, len(graph.ops))
    assert "all equal to the integer reference" in board_diagnosis.text(report)


# --- what points at why ---------------------------------------------------------------------------


def facts(report: dict[str, Any]) -> str:
    return board_diagnosis.text(report)


EXPECTED = np.arange(1, 61, dtype=np.int16).reshape(3, 20) * 7


@pytest.mark.parametrize(
    ("found", "fact"),
    [
        (EXPECTED * 0, "every value is zero"),
        (EXPECTED - 100, "those of the step before"),
        (np.where(np.arange(20) == 4, 0, EXPECTED), "only element 4 differs, in 3 of 3 frames"),
        (np.where(np.arange(20) >= 17, 0, EXPECTED), "only the last 3 of 20 elements"),
        (EXPECTED + (np.arange(20) % 3 - 1), "no value is off by more than 1"),
        (np.where(np.arange(60).reshape(3, 20) // 7 == 3, 0, EXPECTED), "only frame 1 of the 3"),
    ],
)
def test_the_pattern_of_the_values_says_where_to_look(found: np.ndarray, fact: str) -> None:
    assert fact in "".join(board_facts.pattern(EXPECTED, found.astype(np.int16), EXPECTED - 100))


def test_values_without_a_pattern_are_given_none() -> None:
    assert board_facts.pattern(EXPECTED, EXPECTED[::-1], EXPECTED - 100) == []


def index_of(graph: g.Graph, kind: type[g.Op], last: bool = False) -> int:
    found = [i for i, op in enumerate(graph.ops) if isinstance(op, kind)]
    return found[-1 if last else 0]


def in_call(operator: int, pattern: str, replacement: str) -> Change:
    """Change the kernel call of one operator in the C of the network."""

    def change(source: str) -> str:
        end = source.index(f"    TAP({operator},")
        begin = source.rindex("    nn_", 0, end)
        call = re.sub(pattern, replacement, source[begin:end], count=1)
        return source[:begin] + call + source[end:]

    return change


def test_a_kernel_that_forgets_the_last_elements(
    graph: g.Graph, samples: np.ndarray, tmp_path: Path
) -> None:
    """On the emulated STM32F405: the log-softmax of one fewer class leaves the last element as it
    was."""
    toy.need_emulator()
    last = index_of(graph, g.IntLut)
    count = (
        graph.frames_per_step(graph.ops[last].output)
        * graph.tensors[graph.ops[last].output].features
    )
    image, source = built(
        graph, tmp_path, "virtual-f405", in_call(last, rf", {count}\);", f", {count - 2});")
    )
    report = diagnosed(graph, open_board("virtual-f405", image, graph.hash()), samples, source)
    d = report["first_difference"]
    assert (d["operator"], d["module"]) == (last, graph.ops[last].module)
    assert (
        d["element"] >= graph.tensors[graph.ops[last].output].features - 2 and d["differing"] <= 2
    )
    assert "elements differ: what a kernel does after its blocks" in facts(
        report
    ) or "only element" in facts(report)
    assert "-mcpu=cortex-m4" in report["compiler"] and "-DMODEL_TAP" in report["compiler"]


def test_a_wrong_constant_is_its_row_from_the_first_step_on(
    graph: g.Graph, samples: np.ndarray, tmp_path: Path
) -> None:
    """One bias of one layer, with the checksums of the tables made to fit: an exporter's mistake,
    not a damaged image."""
    index = index_of(graph, g.IntDense, last=True)
    row = 3

    def change(source: str) -> str:
        begin = source.index("{", source.index(f"_{emit.build(graph).name(index)}_bias[")) + 1
        numbers = list(re.finditer(r"-?\d+", source[begin : source.index("}", begin)]))
        at = numbers[row]
        return source[: begin + at.start()] + str(int(at[0]) + 2**24) + source[begin + at.end() :]

    image, source = built(graph, tmp_path, "posix", change, "_tables")
    with pytest.raises(DamagedImageError, match="CRC-32 of the model's tables expected"):
        diagnosed(graph, open_process(image, graph.hash(), toy.QUICK), samples, source)
    found = re.search(r"found ([0-9a-f]{8})", _refusal(image, graph))
    assert found is not None
    header = source.with_suffix(".h")
    header.write_text(
        re.sub(r"_TABLES_CRC 0x\w+u", f"_TABLES_CRC 0x{found[1]}u", header.read_text())
    )
    image = build_project(source.parent.parent, "posix", extra_flags="-DMODEL_TAP")
    report = diagnosed(graph, open_process(image, graph.hash(), toy.QUICK), samples, source)
    d = report["first_difference"]
    assert (d["step"], d["operator"], d["frame"], d["element"], d["differing"]) == (
        0,
        index,
        0,
        row,
        1,
    )
    assert f"only element {row} differs" in facts(
        report
    ) and "wrong in the first step already" in facts(report)


def _refusal(image: Path, graph: g.Graph) -> str:
    with (
        open_process(image, graph.hash(), toy.QUICK) as board,
        pytest.raises(DamagedImageError) as error,
    ):
        board.link.handshake()
    return str(error.value)


def test_a_kernel_that_is_not_called(graph: g.Graph, samples: np.ndarray, tmp_path: Path) -> None:
    """Its output is what lay in the arena before."""
    index = index_of(graph, g.IntMeanPool)
    image, source = built(
        graph, tmp_path, "posix", in_call(index, r"nn_\w+\([^;]*;", r"if (samples == 0) { \g<0> }")
    )
    report = diagnosed(graph, open_process(image, graph.hash(), toy.QUICK), samples, source)
    d = report["first_difference"]
    assert (d["step"], d["operator"], d["repeated"]) == (0, index, False)
    assert "is it called, and for all elements?" in facts(report)


def test_a_state_that_somebody_writes_to(
    graph: g.Graph, samples: np.ndarray, tmp_path: Path
) -> None:
    """Right for some steps, then a state space differs although what it reads is right."""
    index = index_of(graph, g.IntStateSpace)
    call = emit.build(graph).calls_of(index)[0]
    place = call.arguments[1]

    def change(source: str) -> str:
        reset = "memset(self->state, 0, sizeof *self->state);"
        counted = source.replace(reset, f"{reset}\n    steps = 0;")
        counted = re.sub(r"(?=^void \w+_reset)", "static unsigned steps;\n", counted, flags=re.M)
        start = "    int16_t *const arena = self->arena->values;\n"
        return counted.replace(
            start, f"{start}    if (steps++ == 3)\n        *({place}) ^= 0x4000u;\n"
        )

    image, source = built(graph, tmp_path, "posix", change)
    report = diagnosed(graph, open_process(image, graph.hash(), toy.QUICK), samples, source)
    d = report["first_difference"]
    assert (d["step"], d["operator"]) == (3, index)
    assert "right for 3 steps: what is in the state" in facts(report)


def test_a_difference_that_does_not_come_back_is_said_to_be_none_of_the_code(
    graph: g.Graph, samples: np.ndarray, tmp_path: Path
) -> None:
    """A bit that falls over once in the life of the process."""

    def change(source: str) -> str:
        once = "static unsigned calls;\n\n_Static_assert"
        source = source.replace("_Static_assert", once, 1)
        changed = r"    if (calls++ == 2)\n        out[5] ^= 1;\n\1"
        return re.sub(r"(    TAP\(\d+, out, \d+\);.*\n\}\n)$", changed, source)

    image, source = built(graph, tmp_path, "posix", change)
    report = diagnosed(graph, open_process(image, graph.hash(), toy.QUICK), samples, source)
    d = report["first_difference"]
    assert (d["step"], d["operator"], d["repeated"]) == (2, len(graph.ops) - 1, False)
    assert "was right in this step: no constant and no kernel does that" in facts(report)


# --- as a user types it ---------------------------------------------------------------------------


def test_diagnose_on_a_board_writes_its_verdict(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.need("gcc", "make")
    del simulated
    arguments = ["diagnose", "--board", "posix", "--build", "build", "--seconds", "0.5"]
    assert tendon(arguments) == 0
    out = capsys.readouterr().out
    assert "all equal to the integer reference (by CRC-32)" in out and "diagnose.json" in out


def test_an_image_without_a_tap_says_how_to_load_the_one_with(
    graph: g.Graph, samples: np.ndarray, tmp_path: Path
) -> None:
    project = build.make_project(graph, Folder(tmp_path, "small", "w8a16"), "posix")
    image = build_project(project, "posix")
    with pytest.raises(
        NoTapError, match=r"built without -DMODEL_TAP.*make flash BOARD=posix TAP=1"
    ):
        diagnosed(graph, open_process(image, graph.hash(), toy.QUICK), samples, project)


def test_reference_crcs_are_those_of_the_tensors(graph: g.Graph, samples: np.ndarray) -> None:
    crcs = board_diagnosis.reference_crcs(graph, samples)
    for index in (0, len(graph.ops) // 2, len(graph.ops) - 1):
        last, before = board_diagnosis.reference_tensors(graph, samples, index)
        assert crcs[-1, index] == zlib.crc32(last.astype("<i2").tobytes())
        assert crcs[-2, index] == zlib.crc32(before.astype("<i2").tobytes())
