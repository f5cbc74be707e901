"""Pose networks as `.tflite`: the integers' poses in LiteRT and TFLite-Micro, in both forms of the
step, and no drift."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress import graph as g
from compress.errors import GraphError
from compress.graph.samples import Signal, to_int16
from compress.tasks import distances
from export.tflite import interpreter, step_bytes
from export.tflite.read import TfliteError, notes, parse
from export.tflm.build import build_step
from host import tflite_engines
from tests.export.test_pose_onnx import (
    LEAST_DB,
    few,
    integer,
    modules,
    network,
    published,
    recording,
    velocities,
    words_of,
)


def tflm(
    content: bytes,
    samples: np.ndarray,
    folder: Path,
    initial: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    path = folder / "step.tflite"
    path.write_bytes(content)
    return interpreter.run(path, samples, initial=initial)


@few
@given(module=modules, seed=st.integers(0, 99), variables=st.booleans())
def test_both_interpreters_give_the_poses_of_the_integers_from_the_first_step_on(
    tmp_path_factory, module, seed, variables
):
    """The start-up, the initial pose, the frames that give the pose itself, and the loop."""
    graph = integer(network(module, seed))
    signal = recording(graph, 60, seed)
    x, begin = to_int16(graph, signal.samples), tflite_engines.initial_words(graph, signal.initial)
    expected, content = words_of(graph, signal), step_bytes(graph, variables)
    for found in (
        tflite_engines.run_litert(content, x, module, begin),
        tflm(content, x, tmp_path_factory.mktemp("pose"), begin),
    ):
        assert distances.sqnr_db(expected.astype(float), found.astype(float)) > LEAST_DB


@pytest.mark.parametrize("fraction", [0, 9, 14])
@pytest.mark.parametrize("variables", [True, False])
def test_an_integration_is_that_of_the_integers_word_for_word(fraction, variables, tmp_path):
    graph = velocities(fraction)
    rng = np.random.default_rng(fraction)
    x = np.clip(rng.standard_normal((4000, 20)) * min(8000, 20 * 2**fraction), *g.INT16).astype(
        np.int16
    )
    x -= (x.astype(int).sum(0) // len(x)).astype(np.int16)
    initial = {name: rng.uniform(-1, 1, 20) for name in graph.initial}
    signal = Signal(x * graph.input.scale, initial)
    expected, begin = words_of(graph, signal), tflite_engines.initial_words(graph, signal.initial)
    assert (
        np.abs(expected).max() < 32767
    )  # beyond it the integers keep what is left of a step differently
    content = step_bytes(graph, variables)
    assert np.array_equal(tflite_engines.run_litert(content, x, "integration", begin), expected)
    assert np.array_equal(tflm(content, x, tmp_path, begin), expected)


def test_the_initial_pose_is_an_input_of_every_step_or_a_state_that_is_handed_on(tmp_path):
    graph = integer(network())
    signal = recording(graph, 5)
    path = tmp_path / "step.tflite"
    path.write_bytes(step_bytes(graph, variables=True))
    step = parse(path.read_bytes(), "step").subgraphs[0]
    begin = tflite_engines.initial_words(graph, signal.initial)
    assert (
        len(step.inputs) == 2
        and len(step.outputs) == 1
        and notes(path)["initial_pose"] == "1"
        and interpreter.initial_inputs(notes(path), begin, "step").keys() == {1}
    )
    io = parse(step_bytes(graph, variables=False), "io").subgraphs[0]
    assert len(io.inputs) == len(io.outputs)
    assert (
        interpreter.run(path, to_int16(graph, signal.samples)).shape
        == words_of(graph, signal).shape
    )
    with pytest.raises(TfliteError, match="begins with no pose"):
        interpreter.initial_inputs({}, begin, "typing.tflite")


@pytest.mark.parametrize("name", ["tracking_vemg2pose", "regression_neuropose"])
def test_the_published_network_is_written_and_runs_close_to_the_integers(
    name, published_checkpoint, tmp_path
):
    _, graph, signal, expected = published(published_checkpoint(name))
    x = to_int16(graph, signal.samples)
    begin = None if signal.initial is None else tflite_engines.initial_words(graph, signal.initial)
    content = step_bytes(graph, variables=True)
    for found in (
        tflite_engines.run_litert(content, x, name, begin),
        tflm(content, x, tmp_path, begin),
    ):
        assert np.degrees(np.abs(found - expected).max() * graph.output.scale) < 0.1
        assert distances.sqnr_db(expected.astype(float), found.astype(float)) > LEAST_DB


def test_a_project_around_the_interpreter_is_refused_with_what_to_do():
    with pytest.raises(
        GraphError, match=r"IntIntegrate has no FORMAT=tflm project yet; FORMAT=c runs it"
    ):
        build_step(integer(network()))
