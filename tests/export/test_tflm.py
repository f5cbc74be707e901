"""FORMAT=tflm: the project around TFLite-Micro's interpreter. What needs the user's library runs
when TFLM= says where it is."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema

from bench.tendon import main as tendon
from compress import graph as g
from compress.artifacts import Folder
from compress.data.simulator.session import simulate, write
from compress.errors import GraphError, TendonError
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS
from compress.frontend.families import build as build_network
from export.boards import FIRMWARE, load_board
from export.tflite import interpreter, step_file
from export.tflite.model import OP, File
from export.tflm import build, library, operators
from export.tflm.state import plan_state
from host import protocol
from host.boards import open_board, open_process
from host.errors import DamagedImageError, ModelFaultError, UnknownRequestError
from tests import toy
from tests.export.test_exported_text import unfit

BOARD = "virtual-m7"
SECONDS = 5.0


@pytest.fixture(scope="module")
def project(quantized, tmp_path_factory) -> tuple[g.Graph, Path]:
    """TC_S4_small's graph and its project."""
    _, integer = quantized("TC_S4_small", "w8a16")
    return integer, build.make_tflm(
        integer, Folder(tmp_path_factory.mktemp("tflm"), "TC_S4_small", "w8a16"), BOARD
    )


def used_operators(path: Path) -> set[int]:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return {model.operatorCodes[op.opcodeIndex].builtinCode for op in model.subgraphs[0].operators}


def test_the_resolver_lists_exactly_the_operators_of_the_file_and_the_array_is_the_file(project):
    graph, folder = project
    main, file = (folder / "model/main.cc").read_text(), folder / "model/model.tflite"
    added = re.findall(r"resolver->(Add\w+)\(", main)
    assert sorted(added) == sorted(operators.METHODS[code] for code in used_operators(file))
    assert f"MicroMutableOpResolver<{len(added)}>" in main
    array = bytes(
        int(b, 16)
        for b in re.findall(r"0x([0-9a-f]{2}),", (folder / "model/model_tables.c").read_text())
    )
    assert array == file.read_bytes()
    header = (folder / "model/model.h").read_text()
    assert f"0x{zlib.crc32(array):08x}u" in header and f'MODEL_HASH "{graph.hash()}"' in header
    assert f"Graph {graph.hash()}" in " ".join(main.replace("\n *", "\n").split())


def test_the_project_holds_application_and_port_and_nothing_of_tflite_micro(project):
    _, folder = project
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {
        "app/app.c",
        "model/model.cc",
        "model/operators.h",
        f"port/{BOARD}/port.c",
        "Makefile",
        "README.md",
        "docs/spec/serial-line.md",
    } <= present
    assert (
        not any(p.startswith(("nn/", "tensorflow/")) for p in present)
        and "app/main.c" not in present
    )


def test_its_files_suit_every_editor(project):
    _, folder = project
    assert list(unfit(folder)) == []


def test_the_same_graph_gives_the_same_bytes(project, tmp_path):
    graph, folder = project
    again = build.make_tflm(graph, Folder(tmp_path / "again", "TC_S4_small", "w8a16"), BOARD)
    first, second = (
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (folder, again)
    )
    assert first == second


def test_the_state_lies_at_the_beginning_of_the_arena_and_stays_there(project):
    """Each state's input and output have one offset, states lie end to end, and no other tensor has
    a fixed place."""
    _, folder = project
    model = schema.ModelT.InitFromPackedBuf((folder / "model/model.tflite").read_bytes(), 0)
    step = model.subgraphs[0]
    entry = next(m for m in model.metadata if m.name == b"OfflineMemoryAllocation")
    plan = np.frombuffer(bytes(model.buffers[entry.buffer].data), "<i4")
    version, subgraph, count, offsets = plan[0], plan[1], plan[2], plan[3:]
    assert (version, subgraph, count) == (1, 0, len(step.tensors)) and len(offsets) == count
    states = list(zip(step.inputs[1:], step.outputs[1:], strict=True))
    assert [offsets[i] for i, _ in states] == [offsets[o] for _, o in states]
    sizes = [2 * int(np.prod(step.tensors[i].shape)) for i, _ in states]
    assert [offsets[i] for i, _ in states] == list(np.cumsum([0, *sizes[:-1]])) and all(
        size % 16 == 0 for size in sizes
    )
    fixed = {i for pair in states for i in pair}
    assert all(offset == -1 for i, offset in enumerate(offsets) if i not in fixed)


def tiny(code: int, reads_late: bool = False) -> File:
    """x and one state: state' = state ∘ x, y = state' + x, or y = state + x read after state' is
    written."""
    file = File("tiny", variables=False)
    step = file.step

    def tensor(name: str) -> Any:
        return step.tensor(name, (1, 1, 1, 8), np.int16, 2.0**-15)

    x, new, y = tensor("x"), tensor("new"), tensor("y")
    step.content.inputs.append(x.index)
    state = file.read_state("s", (1, 1, 1, 8), 2.0**-15)
    step.op(code, [state.value, x], [new])
    step.op(OP.ADD, [state.value if reads_late else new, x], [y], schema.AddOptionsT())
    file.write_state(state, new)
    step.content.outputs.insert(0, y.index)
    return file


def test_a_state_that_is_still_needed_when_it_is_overwritten_is_refused():
    assert plan_state(tiny(OP.MUL)).size == 16
    with pytest.raises(
        GraphError, match=r"state s.*: it is still read when its new value is written"
    ):
        plan_state(tiny(OP.MUL, reads_late=True))
    with pytest.raises(GraphError, match=r"state s.*: it is still read"):
        plan_state(tiny(OP.BATCH_MATMUL))


def test_an_operator_tflite_micro_is_not_known_to_have_is_named():
    with pytest.raises(GraphError, match="GELU: not among the operators FORMAT=tflm knows"):
        operators.additions(tiny(OP.GELU))


def test_only_int16_kernels_are_linked_where_all_activations_are_16_bits_wide(
    quantized,
):
    _, integer = quantized("TC_S4_small", "w8a16")
    added = operators.additions(step_file(integer, variables=False))
    assert "AddConv2D(tflite::Register_CONV_2D_INT16())" in added
    assert "AddAdd()" in added, "LayerNorm adds in float32, so the general kernel is needed"


@pytest.mark.parametrize(
    ("tflm", "said"),
    [
        (None, "needs TFLM=path of a TFLite-Micro checkout"),
        (
            "empty",
            "expected a TFLite-Micro checkout with tensorflow/lite/micro/micro_interpreter.h",
        ),
        (
            "unbuilt",
            (
                "expected"
                " gen/cortex_m_generic_cortex-m7_release_cmsis_nn_gcc/lib/libtensorflow-microlite.a"
            ),
        ),
    ],
)
def test_without_the_library_the_error_says_how_to_build_it(tflm, said, tmp_path):
    path = None if tflm is None else tmp_path / tflm
    if tflm == "unbuilt":
        (path / library.INTERPRETER).parent.mkdir(parents=True)
        (path / library.INTERPRETER).touch()
    with pytest.raises(TendonError) as error:
        library.find(path, load_board(BOARD))
    assert said in str(error.value)
    assert (
        "TARGET=cortex_m_generic TARGET_ARCH=cortex-m7 OPTIMIZED_KERNEL_DIR=cmsis_nn"
        " BUILD_TYPE=release" in str(error.value)
    )


def test_the_projects_own_makefile_says_the_same(project):
    toy.need("make", "arm-none-eabi-gcc")
    _, folder = project
    with pytest.raises(
        TendonError, match="expected a TFLite-Micro checkout with its library built"
    ) as error:
        build.project.build_project(folder, BOARD, variables={"TFLM": "/nowhere"})
    assert "libstdc++-arm-none-eabi-newlib" in str(error.value) and "microlite" in str(error.value)


def test_its_makefile_finds_the_library_where_blanks_are(project, tmp_path):
    toy.need("make", "arm-none-eabi-gcc")
    _, folder = project
    tflm = tmp_path / "mein; TFLM"
    (tflm / library.path_of("cortex-m4")).parent.mkdir(parents=True)
    (tflm / library.path_of("cortex-m4")).touch()
    command = ["make", "-n", "-C", folder, f"TFLM={tflm}", f"OUT={tmp_path / 'out 1'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    link = re.search(r"-isystem (build/link-\d+)", done.stdout)
    assert done.returncode == 0 and link, done.stderr
    assert (folder / link[1]).resolve() == tflm


def around_another_model(project: Path, folder: Path, **variables: str) -> Path:
    """The image of a project whose interpreter is another model, and whose libraries are empty."""
    toy.need("make", "arm-none-eabi-gcc", "arm-none-eabi-g++", "arm-none-eabi-ar")
    changed, tflm = folder / "project", folder / "tflm"
    if not changed.exists():
        shutil.copytree(project, changed)
        shutil.rmtree(changed / "model")
        (changed / "model").mkdir()
        for name, content in toy.model_files().items():
            (changed / "model" / name).write_bytes(content)
        shutil.copy(FIRMWARE / "app/main.c", changed / "app")
        for path in (tflm / library.path_of("cortex-m7"), tflm / "libstdc++.a"):
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["arm-none-eabi-ar", "rc", path], check=True)
    return build.project.build_project(
        changed, BOARD, variables={"TFLM": str(tflm), "EXTRA": f"-L{tflm}"} | variables
    )


def test_its_image_carries_the_crc_of_all_of_it(project, tmp_path):
    """Its Makefile, linker script, application and port; of the interpreter nothing is needed."""
    toy.need_emulator()
    image = around_another_model(project[1], tmp_path)
    with open_board(BOARD, image) as board:
        hello = board.link.handshake()
        assert hello.crc_covers == protocol.COVERS_IMAGE
        assert hello.crc_found == hello.crc_expected != 0
        assert board.link.begin(None) == 0 and len(board.link.snapshot()) > 0
    flipped, text = tmp_path / "flipped.elf", bytearray(image.read_bytes())
    at = text.index(b"virtual-m7\0")  # a constant
    text[at] ^= 1
    flipped.write_bytes(text)
    with open_board(BOARD, flipped) as board, pytest.raises(DamagedImageError, match="CRC-32"):
        board.link.handshake()


def test_its_makefile_locks_the_image(project, tmp_path):
    """Also where it was built before without."""
    toy.need_emulator()
    around_another_model(project[1], tmp_path)
    with open_board(BOARD, around_another_model(project[1], tmp_path, LOCKED="1")) as board:
        assert "-DAPP_LOCKED" in board.link.handshake().compiler
        board.link.reset()
        with pytest.raises(UnknownRequestError):
            board.link.snapshot()


def test_a_library_for_the_smaller_core_does_and_the_boards_own_is_preferred(tmp_path):
    (tmp_path / library.INTERPRETER).parent.mkdir(parents=True)
    (tmp_path / library.INTERPRETER).touch()
    for core in ("cortex-m4", "cortex-m7"):
        path = tmp_path / library.path_of(core)
        path.parent.mkdir(parents=True)
        path.touch()
        assert library.find(tmp_path, load_board(BOARD)) == path


def test_boards_without_a_cortex_m_core_are_refused():
    with pytest.raises(
        TendonError, match="posix: FORMAT=tflm is for boards with a Cortex-M4 or -M7 core"
    ):
        library.cores(dataclasses.replace(load_board("posix")))


def test_hil_without_tflm_ends_with_the_message(tmp_path, capsys, monkeypatch):
    """Before anything is streamed: exit code 2, one error."""
    monkeypatch.setattr("export.tflm.build.make_tflm", lambda *_: pytest.fail("nothing is built"))
    monkeypatch.setattr(
        "host.engines.prepare_scored", lambda *_: pytest.fail("nothing is prepared")
    )
    assert tendon(["hil", "--format", "tflm", "--board", BOARD, "--build", str(tmp_path)]) == 2
    assert "error: FORMAT=tflm needs TFLM=path" in capsys.readouterr().err
    assert tendon(["firmware", "--format", "tflm", "--board", BOARD, "--build", str(tmp_path)]) == 2
    assert "error: FORMAT=tflm needs TFLM=path" in capsys.readouterr().err


def test_a_board_whose_model_cannot_start_says_why_and_infers_nothing():
    """The application with a model that reports a fault, as a process."""
    image = toy.posix_image("-O1 -DMODEL_FAULT=2u -DMODEL_ARENA_USED=0u")
    with (
        open_process(image) as board,
        pytest.raises(ModelFaultError, match="cannot start: tensors cannot be allocated"),
    ):
        board.link.handshake()


@pytest.mark.skipif(
    not os.environ.get("TFLM"),
    reason="no TFLM=path of a TFLite-Micro checkout with its library was given",
)
def test_five_seconds_on_the_emulated_chip_equal_the_interpreter_here(tmp_path):
    """Builds the project with the user's library; every word from QEMU against tflite-micro's
    interpreter on the same file."""
    toy.need_emulator()
    assert shutil.which("arm-none-eabi-g++"), "the library was built with it"
    for number in range(2):
        write(
            tmp_path / "data" / f"session-{number}.hdf5",
            simulate("heldout", 80 + number, 8.0),
            f"session-{number}",
        )
    torch.manual_seed(5)
    hyper = HYPER_PARAMETERS["TC_S4_small"]
    checkpoint.save(tmp_path / "net.ckpt", build_network(hyper).eval(), hyper)
    arguments = [
        "--checkpoint",
        str(tmp_path / "net.ckpt"),
        "--data",
        str(tmp_path / "data"),
        "--build",
        str(tmp_path / "build"),
    ]
    arguments += [
        "--board",
        BOARD,
        "--format",
        "tflm",
        "--tflm",
        os.environ["TFLM"],
        "--seconds",
        str(SECONDS),
    ]
    assert tendon(["hil", *arguments]) == 0
    report = json.loads((tmp_path / f"build/TC_S4_small/w8a16/tflm/{BOARD}/hil.json").read_text())
    assert (report["valid"], report["format"], report["mismatches"], report["bit_exact"]) == (
        True,
        "tflm",
        0,
        True,
    )
    assert (
        "TFLite-Micro's interpreter" in report["reference"] and report["seconds"] >= SECONDS - 0.048
    )
    assert report["against_integers"]["agreement"] >= 0.99
    assert 0 < report["arena_used"] <= report["footprint"]["regions"]["ram"]["purposes"]["arena"]
    assert report["stack"]["used"] < report["stack"]["size"]
    a_snapshot_goes_on_where_it_was_taken(tmp_path / f"build/TC_S4_small/w8a16/tflm/{BOARD}")


def a_snapshot_goes_on_where_it_was_taken(target: Path) -> None:
    """Three steps, a snapshot, a board that knows nothing: its next steps are those of an unbroken
    run."""
    content = toy.samples(6, seed=3)
    expected = interpreter.run(target / "project/model/model.tflite", content)
    with open_board(BOARD, target / "firmware.elf") as first:
        assert first.link.handshake().crc_covers == protocol.COVERS_IMAGE
        first.link.reset()
        assert np.array_equal(first.link.stream(content[: 3 * toy.PER_STEP]).outputs, expected[:3])
        snapshot = first.link.snapshot()
    with open_board(BOARD, target / "firmware.elf") as second:
        second.link.handshake()
        assert second.link.restore(snapshot) == 3
        assert np.array_equal(second.link.stream(content[3 * toy.PER_STEP :]).outputs, expected[3:])
