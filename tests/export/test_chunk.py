"""Several output frames a step: the same words, later by what the user allows, and exactly once
over any line."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compress import graph as g
from compress.artifacts import Folder
from compress.errors import GraphError, TendonError
from compress.frontend.checkpoint import Checkpoint
from compress.graph.samples import to_int16
from compress.interpreter.integer import IntegerInterpreter
from export import build
from export.boards import load_board
from export.c import emit
from host.boards import ProcessBoard, open_board, open_process
from host.errors import BoardLostError, SnapshotError
from host.link import Link
from host.run import Run
from tests import toy
from tests.compress.test_networks import integer, network, networks, on_this_machine, signal, slow

FRAMES = 3


def together() -> Path:
    """The application with a model that computes three output frames a step."""
    return toy.posix_image(f"{toy.SANITIZE} -DMODEL_FRAMES_PER_STEP={FRAMES}")


def opened() -> ProcessBoard:
    board = open_process(together(), toy.MODEL_HASH, toy.QUICK)
    board.link.handshake()
    return board


@functools.cache
def small() -> g.Graph:
    return integer(network())


# --- the network ----------------------------------------------------------------------------------


@slow
@given(
    loaded=networks(),
    frames=st.integers(2, 5),
    precision=st.sampled_from(["w8a16", "w8a8", "w4a16"]),
)
def test_the_exported_c_says_the_same_words_however_many_frames_a_step_computes(
    loaded: Checkpoint, frames: int, precision: str
) -> None:
    alone = integer(loaded, precision)
    assume(alone.start_up == 0)
    x = to_int16(alone, signal(alone.samples_per_step * frames * 4))
    graph = g.in_chunks(alone, frames)
    assert (
        graph.hash() == alone.hash() and graph.samples_per_step == frames * alone.samples_per_step
    )
    expected = IntegerInterpreter(alone).run(x[None])[0]
    np.testing.assert_array_equal(on_this_machine(graph).run(x), expected)
    np.testing.assert_array_equal(IntegerInterpreter(graph).run(x[None])[0], expected)


def test_a_layer_of_kernels_for_several_frames_is_one_call_and_others_go_frame_by_frame() -> None:
    graph = g.in_chunks(small(), FRAMES)
    model = emit.build(graph)
    for index, op in enumerate(graph.ops):
        if (
            isinstance(op, g.IntDense)
            and op.weight.shape[0] == 1
            and graph.frames_per_step(op.output) == FRAMES
        ):
            out, inputs = op.weight.shape[1], op.weight.shape[2] * op.weight.shape[3]
            together = out % 2 == 0 and inputs % 4 == 0
            assert len(model.calls_of(index)) == (1 if together else FRAMES), (out, inputs)


def test_a_network_with_a_start_up_keeps_to_one_frame() -> None:
    graph = integer(network(high={"kernel_sizes": [7, 4], "strides": [2, 3]}))
    assert graph.start_up and build.in_longest_steps(graph, "posix", 1000.0).chunk == 1
    with pytest.raises(GraphError, match="start-up"):
        g.in_chunks(graph, 2)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(latency_ms=st.floats(0, 400))
def test_steps_are_as_long_as_latency_and_memory_allow_and_no_longer(latency_ms: float) -> None:
    graph = small()
    chosen = build.in_longest_steps(graph, "virtual-f405", latency_ms)
    assert build.added_latency_ms(graph, chosen.chunk) <= latency_ms
    longer = g.in_chunks(graph, chosen.chunk + 1)
    if build.added_latency_ms(graph, longer.chunk) <= latency_ms:
        with pytest.raises(TendonError, match="does not fit"):
            build.check_fit(emit.build(longer), "virtual-f405")


def test_latency_is_not_negative() -> None:
    with pytest.raises(TendonError, match="LATENCY=-1: expected milliseconds of 0 or more"):
        build.in_longest_steps(small(), "posix", -1)


@pytest.mark.parametrize("board_name", ["virtual-f405", "virtual-m55"])
def test_an_emulated_board_answers_every_frame_of_a_step_and_the_plan_says_so(
    board_name: str, tmp_path: Path
) -> None:
    toy.need("arm-none-eabi-gcc", "make")
    toy.need_emulator()
    graph = g.in_chunks(small(), FRAMES)
    folder = Folder(tmp_path, "custom", "w8a16")
    image = build.make_firmware(graph, folder, board_name)
    plan = build.memory_plan(emit.build(graph, load_board(board_name).kernels), board_name)
    assert (plan["frames_per_step"], plan["added_latency_ms"]) == (
        FRAMES,
        build.added_latency_ms(graph, FRAMES),
    )
    x = to_int16(graph, signal(graph.samples_per_step * 5))
    with open_board(board_name, image, graph.hash()) as board:
        hello = board.link.handshake()
        board.link.reset()
        result = board.link.stream(x)
    assert (hello.frames_per_step, hello.samples_per_step, hello.results_kept) == (
        FRAMES,
        graph.samples_per_step,
        2 * FRAMES,
    )
    np.testing.assert_array_equal(result.outputs, IntegerInterpreter(small()).run(x[None])[0])
    assert len(set(result.cycles[:FRAMES])) == 1, "the count is the step's"


# --- the line -------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    outward=st.lists(
        st.tuples(st.sampled_from((toy.GOOD, *toy.FAULTS)), st.integers(0, 10_000)), max_size=40
    ),
    inward=st.lists(
        st.tuples(st.sampled_from((toy.GOOD, *toy.FAULTS)), st.integers(0, 10_000)), max_size=40
    ),
)
def test_whatever_the_line_does_every_frame_comes_once_and_is_right(
    outward: list[tuple[str, int]], inward: list[tuple[str, int]]
) -> None:
    content = toy.samples(4 * FRAMES)
    with opened() as board:
        board.link.reset()
        link = Link(
            toy.HarmfulLine(board.line, toy.Tamper(outward), toy.Tamper(inward)),
            toy.MODEL_HASH,
            toy.QUICK,
        )
        link.hello = board.link.hello
        link.open(board.link.session)
        np.testing.assert_array_equal(link.stream(content).outputs, toy.run(content))
        status = link.status()
    assert status.frames == 4 * FRAMES


def test_a_run_resumes_from_a_snapshot_taken_at_any_length_of_steps() -> None:
    """Snapshots count output frames: one of single frames goes on in steps of three, after a
    multiple of three."""
    content = toy.samples(6 * FRAMES)
    expected = toy.run(content)
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        board.link.handshake()
        board.link.reset()
        board.link.stream(content[: 2 * FRAMES * toy.PER_STEP])
        fitting = board.link.snapshot()
        board.link.stream(content[2 * FRAMES * toy.PER_STEP : (2 * FRAMES + 1) * toy.PER_STEP])
        between = board.link.snapshot()
    with opened() as board:
        assert board.link.restore(fitting) == 2 * FRAMES
        later = board.link.stream(content[2 * FRAMES * toy.PER_STEP :]).outputs
        with pytest.raises(
            SnapshotError,
            match=f"after {2 * FRAMES + 1} output frames: the board computes {FRAMES} at a time",
        ):
            board.link.restore(between)
    np.testing.assert_array_equal(later, expected[2 * FRAMES :])


def test_a_lost_board_is_replaced_and_nothing_is_computed_twice_for_the_caller() -> None:
    content = toy.samples(8 * FRAMES)
    run, seen = Run(content, snapshot_every=2 * FRAMES + 1), []  # rounded up to whole steps
    board = opened()

    def until(index: int, outputs: np.ndarray, ticks: int) -> None:
        seen.append(index)
        if index == 5 * FRAMES:
            board.kill()

    with board, pytest.raises(BoardLostError):
        run.start(board.link, until)
    with opened() as other:
        result = run.resume(other.link, lambda index, outputs, ticks: seen.append(index))
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert seen == list(range(8 * FRAMES))
