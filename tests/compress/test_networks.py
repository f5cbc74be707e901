"""Whatever the published code can be configured to, within its state-space family, streams as it
computes whole sequences."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compress import graph as g
from compress.artifacts import Folder
from compress.errors import CheckpointError, GraphError
from compress.frontend import checkpoint
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.frontend.lower import lower
from compress.graph import macs
from compress.graph.samples import to_int16
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export import build as firmware
from export.c import emit
from host import native
from host.boards import open_board
from tests.toy import need, need_emulator

BASE = HYPER_PARAMETERS["TC_S4_small"]
QUICK = ("-std=c11", "-O0", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
slow = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def network(
    seed: int = 0,
    high: dict[str, Any] | None = None,
    low: dict[str, Any] | None = None,
    **changes: Any,
) -> Checkpoint:
    """A small untrained network: TC_S4_small's hyper-parameters with narrow layers and these
    changes."""
    h = BASE | {"mlp_features": [5], "input_mean_pooling": 2} | changes
    h["model_LF"] = (
        BASE["model_LF"] | {"d_model": 6, "n_layers": 2, "d_latent_space": 6} | (low or {})
    )
    shapes = {"out_channels": [6, 7], "strides": [2, 1], "kernel_sizes": [2, 1]}
    h["model_HF"] = (
        h["model_HF"] if "model_HF" in changes else BASE["model_HF"] | shapes | (high or {})
    )
    torch.manual_seed(seed)
    model = build(h).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return Checkpoint(model, checkpoint.name_of(h), h, "0" * 64)


def signal(samples: int) -> np.ndarray:
    """(samples, 32), each electrode of its own size."""
    rng = np.random.default_rng(samples)
    return (rng.standard_normal((samples, 32)) * rng.uniform(0.2, 2.0, 32)).astype(np.float32)


def pools(layers: int) -> st.SearchStrategy[dict[str, Any]]:
    factors, mode = (
        st.lists(st.integers(0, 3), min_size=layers, max_size=layers),
        st.sampled_from(["none", "mean", "max", "last"]),
    )
    return st.fixed_dictionaries(
        {
            "end_layer_pools": factors,
            "mid_layer_pools": factors,
            "end_layer_pool_mode": mode,
            "mid_layer_pool_mode": mode,
        }
    )


activations = st.sampled_from(
    ["relu", "gelu", "sparse_relu_10", "sparse_relu_tie_4", "sparse_sugar_2"]
)
norms = st.sampled_from(["batchnorm", "layernorm", "none"])


@st.composite
def state_spaces(draw: st.DrawFn, d_output: int) -> dict[str, Any]:
    layers = draw(st.integers(1, 2))
    sizes = {
        "d_model": draw(st.integers(2, 7)),
        "d_latent_space": 2 * draw(st.integers(1, 4)),
        "n_layers": layers,
    }
    kinds = {
        "activation": draw(activations),
        "decoder_non_linearity": draw(st.sampled_from(["relu", "gelu", "none"])),
    }
    return (
        BASE["model_LF"]
        | sizes
        | kinds
        | {"prenorm": draw(st.booleans()), "d_output": d_output}
        | draw(pools(layers))
    )


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    layers = draw(st.integers(1, 3))
    sizes = {
        k: [draw(st.integers(1, most)) for _ in range(layers)]
        for k, most in (("strides", 3), ("kernel_sizes", 5))
    }
    channels = [draw(st.integers(2, 7)) for _ in range(layers)]
    kinds = {"norm": draw(norms), "activation": draw(st.one_of(activations, st.just("binary_3")))}
    return BASE["model_HF"] | sizes | {"out_channels": channels} | kinds


@st.composite
def networks(draw: st.DrawFn) -> Checkpoint:
    features = draw(st.lists(st.integers(2, 6), max_size=2))
    high = draw(
        st.one_of(convolutions(), st.just({"_target_": "identity"}), state_spaces(d_output=5))
    )
    loaded = network(
        draw(st.integers(0, 99)),
        low=draw(state_spaces(d_output=draw(st.sampled_from([-1, 4])))),
        model_HF=high,
        mlp_features=features,
        offsets=draw(st.sampled_from([[0], [], [1], [-1, 0, 1], [0, 5]])),
        pooling=draw(st.sampled_from(["mean", "max"])),
        non_linearity=draw(st.one_of(activations, st.just("binary_10"))) if features else "none",
        norm=draw(norms),
        input_mean_pooling=draw(st.sampled_from([1, 2, 4])),
    )
    assume(lower(loaded).samples_per_step <= 96)
    return loaded


def streamed(graph: g.Graph, x: np.ndarray) -> np.ndarray:
    """The float graph step by step."""
    machine = FloatInterpreter(graph)
    step = graph.samples_per_step
    return np.concatenate(
        [machine.run(x[None, i : i + step].astype(float))[0] for i in range(0, len(x), step)]
    )


@slow
@given(loaded=networks())
def test_after_its_start_up_a_stream_is_the_published_whole_sequence_frame_for_frame(
    loaded: Checkpoint,
) -> None:
    graph = lower(loaded)
    x = signal(graph.samples_per_step * (graph.start_up + 9))
    expected = checkpoint.forward(loaded, x)
    assert len(expected) == 9
    np.testing.assert_allclose(streamed(graph, x)[graph.start_up :], expected, atol=2e-5)


def integer(loaded: Checkpoint, precision: str = "w8a16") -> g.Graph:
    real = lower(loaded)
    return quantize(real, observe(real, [signal(real.samples_per_step * 40)]), precision)


def on_this_machine(graph: g.Graph) -> native.NativeModel:
    """The exported C, compiled quickly and without a warning."""
    folder = Path(tempfile.mkdtemp(prefix="tendon-network-"))
    try:
        return native.NativeModel(native.build(graph, folder, flags=QUICK), graph)
    finally:
        shutil.rmtree(folder)


@slow
@given(loaded=networks(), precision=st.sampled_from(["w8a16", "w8a8", "w4a16"]))
def test_the_exported_c_equals_the_integer_reference_from_the_first_step_on(
    loaded: Checkpoint, precision: str
) -> None:
    graph = integer(loaded, precision)
    x = to_int16(graph, signal(graph.samples_per_step * (graph.start_up + 12)))
    x[len(x) // 2 :] = np.random.default_rng(3).choice([-32768, 32767], x[len(x) // 2 :].shape)
    machine, model = IntegerInterpreter(graph), on_this_machine(graph)
    half = 5 * graph.samples_per_step
    expected = np.concatenate([machine.run(x[None, :half])[0], machine.run(x[None, half:])[0]])
    np.testing.assert_array_equal(
        np.concatenate([model.run(x[:half]), model.run(x[half:])]), expected
    )


RICH: dict[str, dict[str, Any]] = {
    "overlap": {
        "high": {"kernel_sizes": [7, 4], "strides": [2, 3]},
        "offsets": [-1, 0, 1],
        "mlp_features": [6, 4],
    },
    "pools": {
        "high": {
            "kernel_sizes": [1, 5],
            "strides": [2, 2],
            "norm": "layernorm",
            "activation": "relu",
        },
        "low": {
            "mid_layer_pools": [2, 0],
            "mid_layer_pool_mode": "last",
            "end_layer_pools": [0, 3],
            "end_layer_pool_mode": "max",
            "prenorm": True,
        },
        "offsets": [0, 3],
        "pooling": "max",
        "norm": "batchnorm",
        "non_linearity": "binary_10",
    },
}


@pytest.mark.parametrize("case", RICH)
def test_the_integers_stay_close_to_the_float_network(case: str) -> None:
    loaded = network(**RICH[case] | ({"non_linearity": "gelu"} if case == "pools" else {}))
    real, graph = lower(loaded), integer(loaded)
    x = signal(graph.samples_per_step * 40)
    expected = FloatInterpreter(real).run(x[None].astype(float))[0]
    found = IntegerInterpreter(graph).run(to_int16(graph, x)[None])[0] * float(
        graph.output.scale or 0
    )
    expected, found = (
        y - y.mean() for y in (expected, found)
    )  # what differs between classes, not their common level
    assert 10 * math.log10(np.square(expected).sum() / np.square(found - expected).sum()) > 30


@pytest.mark.parametrize("case", RICH)
def test_an_emulated_board_answers_the_words_of_the_reference(case: str, tmp_path: Path) -> None:
    need("arm-none-eabi-gcc", "make")
    need_emulator()
    graph = integer(network(**RICH[case]))
    x = to_int16(graph, signal(graph.samples_per_step * (graph.start_up + 12)))
    image = firmware.make_firmware(graph, Folder(tmp_path, "custom", "w8a16"), "virtual-f405")
    with open_board("virtual-f405", image, graph.hash()) as board:
        board.link.handshake()
        board.link.reset()
        outputs = board.link.stream(x).outputs
    np.testing.assert_array_equal(outputs, IntegerInterpreter(graph).run(x[None])[0])


def test_a_stream_of_overlapping_windows_starts_when_the_first_one_is_full() -> None:
    """Kernel 7, stride 2, then kernel 4, stride 3 over 1 kHz: 13 frames fill the first window, the
    third step of 6 frames."""
    graph = lower(network(high={"kernel_sizes": [7, 4], "strides": [2, 3]}))
    assert (graph.samples_per_step, graph.start_up) == (12, 2)
    assert lower(network(high={"kernel_sizes": [2, 3], "strides": [2, 3]})).start_up == 0
    assert lower(network(high={"kernel_sizes": [1, 2], "strides": [2, 3]})).start_up == 0


def test_copies_of_a_band_count_their_multiply_accumulates_and_windows_none() -> None:
    one, three = (
        macs.report(lower(network(offsets=offsets)))["layers"][0] for offsets in ([0], [-1, 0, 1])
    )
    assert three["macs_per_frame"] == 3 * one["macs_per_frame"]
    layers = macs.report(lower(network(high={"kernel_sizes": [7, 1], "strides": [2, 1]})))["layers"]
    assert [m["macs_per_frame"] for m in layers if m["module"] == "model.4.layers.0"] == [
        6 * 7 * 10
    ]


def test_equal_rotations_share_their_weights_on_the_board() -> None:
    def weights(offsets: list[int]) -> int:
        tables = emit.build(integer(network(offsets=offsets, mlp_features=[5, 5]))).tables
        return sum(
            t.nbytes for name, t in tables.items() if "weights" in name and name.startswith("op3")
        )

    assert weights([-1, 0, 1]) == weights([0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(in_transform="log_spectrogram"), "in_transform: expected 'raw_signal'"),
        (lambda h: h.update(in_features=528), "in_features: expected 16, found 528"),
        (lambda h: h.update(loss="cross_entropy_loss"), "loss: expected 'ctc_loss'"),
        (lambda h: h.update(non_linearity="swish"), "non_linearity: activation 'swish'"),
        (lambda h: h.update(mlp_features="auto_2"), "auto_<factor>_<least>_<most>"),
        (
            lambda h: h["model_HF"].update(_target_="emg2qwerty.modules.SJ_SNN"),
            "model_HF._target_: 'emg2qwerty.modules.SJ_SNN'",
        ),
        (
            lambda h: h["model_LF"].update(upscale_last_layer=2),
            "model_LF.upscale_last_layer: expected 1, found 2",
        ),
        (
            lambda h: h["model_LF"].update(reduce_time_dimension=True),
            "one answer for a whole recording is no stream",
        ),
        (
            lambda h: h["model_LF"].update(end_layer_pool_mode="median"),
            "model_LF.end_layer_pool_mode",
        ),
        (
            lambda h: h["model_LF"].update(mid_layer_pool_mode="max", mid_layer_pools=[2]),
            "expected 8 factors of 0 or more",
        ),
    ],
)
def test_what_has_no_stream_is_refused_with_what_was_found_and_why(
    change: Callable[[Any], None], message: str
) -> None:
    h = {k: dict(v) if isinstance(v, dict) else v for k, v in BASE.items()}
    change(h)
    with pytest.raises(CheckpointError) as error:
        build(h)
    assert message in str(error.value)


def test_automatic_sizes_of_the_mlp_follow_what_comes_next() -> None:
    loaded = network(mlp_features="auto_2_none_8", high={"out_channels": [12, 7]})
    assert loaded.model.model[2].mlps[0].linear_layers[0].out_features == 6
    assert (
        network(mlp_features="auto_2_none_4").model.model[2].mlps[0].linear_layers[0].out_features
        == 3
    )


def test_groups_that_would_not_begin_with_the_first_valid_frame_are_refused() -> None:
    graph = lower(network(high={"kernel_sizes": [3, 1], "strides": [2, 1]}))
    ops = tuple(op for op in graph.ops if not isinstance(op, g.Unfold1d))
    with pytest.raises(GraphError):
        g.verify(g.Graph(graph.name, graph.tensors, ops))
