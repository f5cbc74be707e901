"""A pose network streamed step by step is the published one; its integers are the same words
everywhere, from any first pose."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress import graph as g
from compress.errors import GraphError
from compress.frontend import checkpoint
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import build
from compress.frontend.lower import lower
from compress.graph.samples import Signal, to_int16, to_real
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export.boards import FAMILIES
from export.c import emit, memory
from host import native
from tests.compress.test_pose_networks import tiny
from tests.conftest import Cases

STEPS = 12
PUBLISHED = ("tracking_vemg2pose", "regression_vemg2pose")


def bursts(samples: int, seed: int = 0) -> np.ndarray:
    """(samples, 16): activity and rest."""
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0.1, 2.5, samples // 100 + 1), 100)[:samples, None]
    return (rng.standard_normal((samples, 16)) * envelope).astype(np.float32)


def pose(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, 20).astype(np.float32)


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """Hyper-parameters of what the published code can build, small: every module, decoder and size
    that has a streaming form."""
    h = tiny(draw(st.sampled_from(["StatePoseModule", "VEMG2PoseWithInitialState"])))
    conf = h["network_conf"]
    conv, stage = conf["network"]["conv_blocks"][0], conf["network"]["tds_stages"][0]
    conv |= {
        "kernel_size": draw(st.integers(4, 9)),
        "stride": 4,
        "norm_type": draw(st.sampled_from(["layer", "none"])),
    }
    stage |= {
        "in_conv_kernel_width": draw(st.integers(1, 12)),
        "num_blocks": draw(st.integers(1, 2)),
        "channels": draw(st.sampled_from([2, 4])),
        "feature_width": draw(st.sampled_from([3, 4])),
        "kernel_width": draw(st.sampled_from([1, 3, 5])),
    }
    conf["rollout_freq"] = draw(st.sampled_from([50, 100, 200]))
    conf["state_condition"] = draw(st.booleans())
    inputs = 6 + 20 * conf["state_condition"]
    if draw(st.booleans()):
        conf["decoder"] |= {
            "in_channels": inputs,
            "hidden_size": draw(st.integers(1, 9)),
            "num_layers": draw(st.integers(1, 3)),
        }
    else:
        conf["decoder"] = {
            "_target_": "emg2pose.networks.MLP",
            "in_channels": inputs,
            "layer_sizes": draw(st.sampled_from([[5], [8, 6]])),
            "out_channels": conf["decoder"]["out_channels"],
            "layer_norm": draw(st.booleans()),
            "scale": 0.1,
        }
    return h


def loaded(h: dict[str, Any], seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    return Checkpoint(build(h).eval(), "custom", h, "")


def published_stream(
    network: Checkpoint, graph: g.Graph, x: np.ndarray, first: np.ndarray
) -> np.ndarray:
    """(steps, 20) of the PyTorch network on the grid of a stream."""
    with torch.no_grad():
        emg, initial = torch.from_numpy(x.T.copy())[None], torch.from_numpy(first)[None]
        return network.model(emg, initial, "stream")[0].numpy().T


def streamed(graph: g.Graph, x: np.ndarray, first: np.ndarray) -> np.ndarray:
    machine = FloatInterpreter(graph)
    machine.begin_at({"pose": first[None]})
    return machine.run(x[None].astype(np.float64))[0]


def whole(graph: g.Graph, steps: int = STEPS) -> int:
    """Samples of the start-up and so many steps."""
    return (graph.start_up_steps + steps) * graph.samples_per_step


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(networks(), st.integers(0, 2**16))
def test_any_network_streamed_equals_pytorch_from_the_first_valid_step_on(
    h: dict[str, Any], seed: int
) -> None:
    network = loaded(h, seed)
    graph = lower(network)
    x, first = bursts(whole(graph), seed), pose(seed)
    expected, found = (
        published_stream(network, graph, x, first),
        streamed(graph, x, first)[graph.start_up :],
    )
    steps = min(len(expected), len(found))
    assert steps >= graph.chunk * (STEPS - 1)
    np.testing.assert_allclose(found[:steps], expected[:steps], atol=2e-5)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(networks(), st.integers(0, 2**16), st.sampled_from(["w8a16", "w8a8", "w4a16"]))
def test_native_c_of_any_network_equals_the_reference_word_for_word(
    tmp_path_factory: pytest.TempPathFactory, h: dict[str, Any], seed: int, precision: str
) -> None:
    graph = lower(loaded(h, seed))
    x, first = bursts(whole(graph, 40), seed), pose(seed)
    integer = quantize(graph, observe(graph, [Signal(x, {"pose": first})]), precision)
    signal, samples = Signal(x, {"pose": first}), to_int16(integer, x)
    samples[len(x) // 2 : len(x) // 2 + 200] = np.random.default_rng(seed).choice(
        [-32768, 32767], size=(200, 16)
    )
    machine = IntegerInterpreter(integer)
    machine.begin_with([signal])
    expected = machine.run(samples[None])[0]
    for family in FAMILIES:
        model = native.load(integer, tmp_path_factory.mktemp("native"), family=family)
        model.begin_with(signal)
        assert np.array_equal(model.run(samples), expected), family


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_streams_the_published_poses(
    name: str, published_checkpoint: Any, cases: Cases
) -> None:
    network = checkpoint.load(published_checkpoint(name))
    case = np.load(cases / f"{name}/io.npz")
    graph = lower(network)
    assert (graph.left_context, graph.chunk, graph.samples_per_step, float(graph.output.rate)) == (
        1790,
        2,
        80,
        50.0,
    )
    x = np.zeros((whole(graph, len(case["output"].T) // 2 + 1), 16), np.float32)
    x[: case["input"].shape[1]] = case["input"].T
    features: list[np.ndarray] = []
    machine, featurizer = FloatInterpreter(graph), "model.network.layers.3.linear_layer"
    machine.begin_at({"pose": case["initial_pos"][None]})
    poses = machine.run(
        x[None].astype(np.float64),
        lambda op, y: features.append(y[0]) if op.output == featurizer else None,
    )[0]
    known = case["features"].T
    begin = g.first_valid_frames(graph)[featurizer]
    np.testing.assert_allclose(
        np.concatenate(features)[begin : begin + len(known)], known, atol=1e-4
    )
    expected = published_stream(network, graph, x, case["initial_pos"])
    np.testing.assert_allclose(
        poses[graph.start_up :][: len(expected)], expected[: len(poses) - graph.start_up], atol=1e-4
    )
    window = case["output"].T
    apart = np.degrees(np.abs(window - poses[graph.start_up :][: len(window)])).mean()
    assert apart < 0.1, f"window and stream are {apart:.3f} degrees apart"


def test_the_integers_follow_the_floats_and_a_pose_begins_where_it_is_told_to() -> None:
    graph = lower(loaded(tiny()))
    x, first = bursts(whole(graph, 60)), pose(3)
    integer = quantize(graph, observe(graph, [Signal(x, {"pose": first})]), "w8a16")
    machine = IntegerInterpreter(integer)
    machine.begin_at({"pose": first[None]})
    found, real = (
        to_real(integer, machine.run(to_int16(integer, x)[None])[0]),
        streamed(graph, x, first),
    )
    assert np.degrees(np.abs(found - real)[graph.start_up :]).mean() < 0.2
    assert np.degrees(np.abs(found[graph.start_up] - first)).max() < 10.0


def test_an_integrated_pose_does_not_drift_from_the_sum_of_its_velocities() -> None:
    """Sums are exact: after a hundred thousand frames the pose is the sum of what was integrated,
    to half a step."""
    rng = np.random.default_rng(0)
    velocities = rng.integers(-300, 301, (1, 100_000, 20))
    op = g.IntIntegrate(("v",), "pose", "pose", 0, 9, initial="pose")
    tensors = {
        "v": g.Tensor("v", 20, Fraction(50)).scaled(1.0),
        "pose": g.Tensor("pose", 20, Fraction(50)).scaled(512.0),
    }
    machine = IntegerInterpreter(g.Graph("sum", tensors, (op,)))
    found = machine.run(velocities)[0, -1]
    assert np.abs(found - velocities[0].sum(0) / 512).max() <= 0.5


def test_the_state_says_where_a_stream_begins() -> None:
    graph = lower(loaded(tiny()))
    x, first = bursts(whole(graph)), pose(5)
    integer = quantize(graph, observe(graph, [Signal(x, {"pose": first})]), "w8a16")
    plan = memory.plan(integer)
    state = memory.initial_state(integer, {"pose": first})
    assert len(state) == plan.state_bytes
    words = np.frombuffer(state, "<i2", 20, plan.kept_offsets["model.pose"])
    np.testing.assert_allclose(
        to_real(integer, words), first, atol=float(integer.output.scale or 0)
    )
    assert (
        f"_INITIAL_POSE {plan.kept_offsets['model.pose']}\n"
        in next(iter(emit.files(emit.build(integer)).values())).decode()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rollout_freq": 75}, "rollout at a multiple of"),
        ({"predict_vel": False}, "fed back but not integrated"),
    ],
)
def test_what_has_no_streaming_form_is_refused_by_name(
    change: dict[str, Any], message: str
) -> None:
    h = tiny()
    h["network_conf"] |= change
    with pytest.raises(GraphError, match=message):
        lower(loaded(h))


def test_a_network_that_takes_no_pose_says_so() -> None:
    graph = lower(loaded(tiny() | {"provide_initial_pos": False}))
    with pytest.raises(GraphError, match="expected 20 values"):
        FloatInterpreter(graph).begin_at({"pose": np.zeros((1, 19))})
