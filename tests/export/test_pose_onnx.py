"""Pose networks as ONNX step models: fed with their own poses, from the pose a stream begins with,
through the start-up."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compress import graph as g
from compress.errors import GraphError, TendonError
from compress.frontend import checkpoint
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import build
from compress.frontend.lower import lower
from compress.graph.samples import Signal, to_int16, to_real
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.tasks import distances
from export.check import check
from export.onnx import float_form, qdq_form
from host import onnx_engine
from tests.compress.test_networks import slow
from tests.compress.test_pose_networks import tiny

# of other people's rounding between two frames, which an integration adds up; measured 77 and more
LEAST_DB = 60.0
few = settings(slow, max_examples=3)


def network(
    module: str = "StatePoseModule", seed: int = 0, hidden: int = 16, layers: int = 2
) -> Checkpoint:
    """A small untrained pose network of the published kind: windows, TDS blocks, interpolation,
    LSTM, poses fed back."""
    h = tiny(module)
    h["network_conf"]["decoder"] |= {"hidden_size": hidden, "num_layers": layers}
    torch.manual_seed(seed)
    return Checkpoint(build(h).eval(), "tiny_pose", h, "0" * 64)


def recording(graph: g.Graph, steps: int, seed: int = 0) -> Signal:
    """So many steps behind the start-up, and a pose to begin with."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(
        (graph.samples_per_step * (graph.start_up_steps + steps), 16)
    ) * rng.uniform(0.3, 2.0, 16)
    return Signal(samples.astype(np.float32), {"pose": rng.uniform(-1.0, 1.0, 20)})


def integer(loaded: Checkpoint, precision: str = "w8a16") -> g.Graph:
    real = lower(loaded)
    return quantize(real, observe(real, [recording(real, 60)]), precision)


def words_of(graph: g.Graph, signal: Signal) -> np.ndarray:
    machine = IntegerInterpreter(graph)
    machine.begin_with([signal])
    return machine.run(to_int16(graph, signal.samples)[None])[0]


def real_of(graph: g.Graph, signal: Signal) -> np.ndarray:
    machine = FloatInterpreter(graph)
    machine.begin_with([signal])
    return machine.run(signal.samples[None].astype(float))[0]


modules = st.sampled_from(["StatePoseModule", "VEMG2PoseWithInitialState"])


@slow
@given(module=modules, seed=st.integers(0, 99), hidden=st.integers(2, 16), layers=st.integers(1, 2))
def test_float_onnx_is_the_float_network_frame_for_frame_from_the_first_step_on(
    module, seed, hidden, layers
):
    graph = lower(network(module, seed, hidden, layers))
    signal = recording(graph, 60, seed)
    found = onnx_engine.run(float_form.write(graph), signal.samples, initial=signal.initial)
    assert np.abs(found - real_of(graph, signal)).max() < 1e-4


@few
@given(module=modules, seed=st.integers(0, 99), precision=st.sampled_from(["w8a16", "w4a16"]))
def test_qdq_onnx_gives_the_poses_of_the_integers(module, seed, precision):
    graph = integer(network(module, seed), precision)
    signal = recording(graph, 60, seed)
    found = onnx_engine.run(qdq_form.write(graph), signal.samples, initial=signal.initial)
    assert distances.sqnr_db(to_real(graph, words_of(graph, signal)), found) > LEAST_DB


def test_eight_bit_activations_stay_close_to_the_integers():
    graph = integer(network(), "w8a8")
    signal = recording(graph, 60)
    found = onnx_engine.run(qdq_form.write(graph), signal.samples, initial=signal.initial)
    assert np.degrees(np.abs(found - to_real(graph, words_of(graph, signal))).max()) < 0.5


def velocities(fraction: int) -> g.Graph:
    """Integration alone: what comes in are velocities, finer than the pose by so many bits."""
    rate = Fraction(50)
    tensors = {
        "x": g.Tensor("x", 20, rate).scaled(2.0 ** -(12 + fraction)),
        "pose": g.Tensor("pose", 20, rate).scaled(2.0**-12),
    }
    initial = {"first": g.Tensor("first", 20, Fraction(0)).scaled(2.0**-12)}
    ops = (g.IntIntegrate(("x",), "pose", "pose", 0, fraction, initial="first"),)
    return g.verify(g.Graph("integration", tensors, ops, initial=initial))


@pytest.mark.parametrize("fraction", [0, 9, 14])
def test_an_integration_does_not_drift(fraction):
    graph = velocities(fraction)
    rng = np.random.default_rng(fraction)
    x = np.clip(rng.standard_normal((4000, 20)) * min(8000, 20 * 2**fraction), *g.INT16).astype(
        np.int16
    )
    x -= (x.astype(int).sum(0) // len(x)).astype(np.int16)
    signal = Signal(x * graph.input.scale, {"first": rng.uniform(-1, 1, 20)})
    found = onnx_engine.run(qdq_form.write(graph), signal.samples, initial=signal.initial) * 2**12
    assert np.abs(found - words_of(graph, signal)).max() <= 1


def test_the_metadata_names_the_input_that_begins_with_a_pose():
    graph = lower(network())
    model = float_form.write(graph)
    about = {p.key: p.value for p in model.metadata_props}
    states = {s["in"]: s for s in json.loads(about["states"])}
    assert about["initial_pose"] == "model.pose.initial.in" and states[about["initial_pose"]][
        "shape"
    ] == [1, 20]
    assert {o.name for o in model.graph.output} == {"pose", *(s["out"] for s in states.values())}
    samples = recording(graph, 1).samples
    with pytest.raises(TendonError, match="no 'pose', or not with one of 7 values"):
        onnx_engine.run(model, samples, initial={"pose": np.zeros(7)})
    with pytest.raises(TendonError, match="no 'first'"):
        onnx_engine.run(model, samples, initial={"first": np.zeros(20)})


def test_every_sum_of_a_pose_network_fits_32_bits_and_a_row_that_does_not_is_named(tmp_path):
    graph, path = integer(network()), tmp_path / "qdq.onnx"
    onnx.save(qdq_form.write(graph), path)
    layers = [op for op in graph.ops if isinstance(op, g.IntDense)]
    assert "fit 32 bits" in check(path) and all(
        any(t.name == f"{op.module}/weight" for t in onnx.load(path).graph.initializer)
        for op in layers
    )
    gates = next(op for op in layers if op.module.endswith("l0.gates"))
    bad = dataclasses.replace(gates, bias=np.full_like(gates.bias, 2**31 - 1))
    with pytest.raises(GraphError, match=r"could overflow:\n  model\.decoder\.lstm\.l0\.gates"):
        qdq_form.write(
            dataclasses.replace(graph, ops=tuple(bad if op is gates else op for op in graph.ops))
        )


@cache
def published(path: Path) -> tuple[g.Graph, g.Graph, Signal, np.ndarray]:
    """A published size: float and integer graph, twenty poses behind the start-up (NeuroPose: one
    window), words of them."""
    loaded = checkpoint.load(path)
    real = lower(loaded)
    signal = recording(real, 1 if "neuropose" in loaded.name else 10)
    signal = signal if "vemg2pose" in loaded.name else Signal(signal.samples)
    graph = quantize(real, observe(real, [signal], products=False), "w8a16")
    machine = IntegerInterpreter(graph)
    machine.begin_with([signal])
    return real, graph, signal, machine.run(to_int16(graph, signal.samples)[None])[0]


@pytest.mark.parametrize("name", ["tracking_vemg2pose", "regression_neuropose"])
def test_the_published_network_runs_in_both_forms(name, published_checkpoint):
    real, graph, signal, words = published(published_checkpoint(name))
    machine = FloatInterpreter(real)
    machine.begin_with([signal])
    expected = machine.run(signal.samples[None].astype(float))[0]
    assert (
        np.abs(
            onnx_engine.run(float_form.write(real), signal.samples, initial=signal.initial)
            - expected
        ).max()
        < 1e-4
    )
    found, integers = (
        onnx_engine.run(qdq_form.write(graph), signal.samples, initial=signal.initial),
        to_real(graph, words),
    )
    assert (
        np.degrees(np.abs(found - integers).max()) < 0.1
        and distances.sqnr_db(integers, found) > LEAST_DB
    )
