"""The pose networks of emg2pose: the published outputs, the streaming form, what each option does,
and what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compress.errors import CheckpointError, TendonError
from compress.frontend import checkpoint, factored
from compress.frontend.deferred import Deferred
from compress.frontend.factored import FactoredConv1d, FactoredLinear, FactoredLSTM, factorize
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.frontend.families.emg2pose.pose import between

POSE = ("tracking_vemg2pose", "regression_vemg2pose", "regression_neuropose")


def tiny(module: str = "StatePoseModule", **changes: Any) -> dict[str, Any]:
    """Hyper-parameters of a network of the published kind that fits a test: 8 channels, 50 features
    a second, 100 steps."""
    conv = {
        "_target_": "emg2pose.networks.Conv1dBlock",
        "in_channels": 16,
        "out_channels": 8,
        "kernel_size": 4,
        "stride": 4,
    }
    stage = {
        "_target_": "emg2pose.networks.TdsStage",
        "in_channels": 8,
        "in_conv_kernel_width": 3,
        "in_conv_stride": 10,
        "num_blocks": 2,
        "channels": 2,
        "feature_width": 4,
        "kernel_width": 3,
        "out_channels": 6,
    }
    outputs = 40 if module == "VEMG2PoseWithInitialState" else 20
    decoder = {
        "_target_": "emg2pose.networks.SequentialLSTM",
        "in_channels": 26,
        "out_channels": outputs,
        "hidden_size": 7,
        "num_layers": 2,
        "scale": 0.1,
    }
    network = {
        "_target_": "emg2pose.networks.TdsNetwork",
        "conv_blocks": [conv],
        "tds_stages": [stage],
    }
    conf = {
        "_target_": f"emg2pose.pose_modules.{module}",
        "network": network,
        "decoder": decoder,
        "rollout_freq": 100,
    }
    if module == "StatePoseModule":
        conf["predict_vel"] = True
    if module == "VEMG2PoseWithInitialState":
        conf["num_position_steps"] = 60
    return {"network_conf": conf | changes, "provide_initial_pos": True}


def built(h: dict[str, Any], seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build(h).eval()


def signal(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 16, samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", POSE)
def test_published_network_matches_its_recorded_features_output_and_tail(
    name, cases, published_checkpoint
) -> None:
    loaded = checkpoint.load(published_checkpoint(name))
    case = np.load(cases / f"{name}/io.npz")
    model = loaded.model.model
    assert (loaded.name, loaded.task) == (name, "pose")
    initial = case["initial_pos"] if loaded.model.provide_initial_pos else None
    poses = checkpoint.forward(loaded, case["input"].T, initial)
    assert np.abs(poses.T - case["output"]).max() < 1e-4
    with torch.no_grad():
        assert (
            np.abs(
                model.network(torch.from_numpy(case["input"])[None])[0].numpy() - case["features"]
            ).max()
            < 1e-4
        )
        aligned = model.align(
            torch.from_numpy(poses.T.copy())[None], case["input"].shape[1] - model.left_context
        )
    assert np.abs(aligned[0, :, -400:].numpy() - case["aligned_tail"]).max() < 1e-4


@pytest.mark.parametrize("name", POSE)
def test_shipped_hyper_parameters_are_the_published_ones(name, published_checkpoint) -> None:
    assert checkpoint.load(published_checkpoint(name)).hyper_parameters == HYPER_PARAMETERS[name]


def test_the_published_featurizer_has_1790_samples_of_left_context_and_25_frames_a_second() -> None:
    network = built(HYPER_PARAMETERS["tracking_vemg2pose"]).model.network
    assert (network.left_context, network.stride) == (1790, 80)


@given(extra=st.integers(0, 90))
@settings(max_examples=20, deadline=None)
def test_a_frame_comes_with_the_first_sample_after_the_left_context_and_then_one_every_stride(
    extra: int,
) -> None:
    network = built(tiny()).model.network
    x = signal(network.left_context + 1 + extra)
    with torch.no_grad():
        y = network(x)
        assert y.shape == (1, 6, extra // network.stride + 1)
        last = network.left_context + (y.shape[-1] - 1) * network.stride
        x[..., last + 1 :] = (
            9.0  # frame k has seen samples 0…left_context + k · stride and no later one
        )
        torch.testing.assert_close(network(x), y)


@given(frames=st.integers(2, 9), steps=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_a_streams_steps_lie_on_the_line_from_one_feature_to_the_next(
    frames: int, steps: int
) -> None:
    x = torch.randn(1, 3, frames)
    y = between(x, steps)
    assert y.shape == (1, 3, steps * (frames - 1))
    for t in range(y.shape[-1]):
        k, j = divmod(t, steps)
        torch.testing.assert_close(y[..., t], x[..., k] + (x[..., k + 1] - x[..., k]) * j / steps)


@pytest.mark.parametrize("module", ["StatePoseModule", "VEMG2PoseWithInitialState"])
def test_a_stream_cut_in_two_goes_on_where_it_was(module: str) -> None:
    model = built(tiny(module)).model
    features, initial = torch.randn(2, 6, 9), torch.randn(2, 20)
    with torch.no_grad():
        whole, _ = model.rollout(features, initial)
        first, state = model.rollout(features[..., :4], initial)
        second, _ = model.rollout(features[..., 4:], first[..., -1], state, start=4)
    torch.testing.assert_close(torch.cat([first, second], -1), whole)


def test_window_and_stream_differ_only_in_where_features_are_read() -> None:
    """With as many steps as a window has frames, both read every frame itself."""
    h = tiny(rollout_freq=50)
    network = built(h)
    x, initial = signal(network.model.left_context + 400), torch.randn(1, 20)
    with torch.no_grad():
        window, stream = (network(x, initial, resample=how) for how in ("window", "stream"))
    assert window.shape[-1] == 10 and stream.shape[-1] == 9
    torch.testing.assert_close(window[..., :9], stream)


def test_positions_come_first_then_velocities() -> None:
    model = built(tiny("VEMG2PoseWithInitialState")).model
    assert model.position_steps == round(60 * 100 / 2000) == 3
    output, before = torch.randn(1, 40), torch.randn(1, 20)
    torch.testing.assert_close(model.pose(2, output, before), output[:, :20])
    torch.testing.assert_close(model.pose(3, output, before), before + output[:, 20:])


MLP = {
    "_target_": "emg2pose.networks.MLP",
    "in_channels": 26,
    "layer_sizes": [9, 5],
    "out_channels": 20,
    "scale": 0.01,
}


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"decoder": MLP}, ["mlp.0", "mlp.2", "mlp.4"]),
        ({"decoder": MLP | {"layer_norm": True}}, ["mlp.0", "mlp.1", "mlp.3", "mlp.4", "mlp.6"]),
    ],
)
def test_an_mlp_decodes_too(changes: dict[str, Any], keys: list[str]) -> None:
    network = built(tiny(predict_vel=False, **changes))
    found = {
        key.split("decoder.")[1].rsplit(".", 1)[0]
        for key in network.state_dict()
        if "decoder" in key
    }
    assert sorted(found) == keys
    pose = network.model.decoder(torch.ones(1, 26))
    with torch.no_grad():
        torch.testing.assert_close(
            network.model.rollout(torch.ones(1, 6, 1), torch.ones(1, 20))[0][..., 0], pose
        )


def test_without_state_condition_the_pose_before_is_not_seen() -> None:
    h = tiny(state_condition=False, predict_vel=False)
    h["network_conf"]["decoder"]["in_channels"] = 6
    network = built(h)
    x = signal(600)
    with torch.no_grad():
        torch.testing.assert_close(network(x, torch.zeros(1, 20)), network(x, torch.ones(1, 20)))


def test_a_pose_module_adds_up_velocities() -> None:
    h = tiny("PoseModule")
    conf = h["network_conf"]
    del conf["decoder"], conf["rollout_freq"]
    conf["network"]["tds_stages"][0]["out_channels"] = 20
    positions = built(h)
    conf["predict_vel"] = True
    velocities = built(h)
    x, initial = signal(600), torch.randn(1, 20)
    with torch.no_grad():
        expected = initial[..., None] + positions(x, initial).cumsum(-1)
        torch.testing.assert_close(velocities(x, initial), expected)


def test_blocks_without_a_norm_and_stages_without_a_projection() -> None:
    h = tiny()
    network = h["network_conf"]["network"]
    network["conv_blocks"][0]["norm_type"] = "none"
    del network["tds_stages"][0]["out_channels"]
    h["network_conf"]["decoder"]["in_channels"] = 28
    keys = set(built(h).state_dict())
    assert not any("layers.0.norm" in key or "linear_layer" in key for key in keys)


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(h: dict[str, Any]) -> None:
        target: Any = h["network_conf"]
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


CONV, STAGE = ("network", "conv_blocks", 0), ("network", "tds_stages", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _set("_target_", value="os.system"),
            r"network_conf\._target_: 'os\.system' is not supported; expected one of emg2pose",
        ),
        (
            _set(*STAGE, "_target_", value="emg2pose.networks.Rnn"),
            r"network_conf\.network\.tds_stages\[0\]\._target_",
        ),
        (_set("decoder", "_target_", value=None), r"network_conf\.decoder\._target_: None"),
        (_set("decoder", "bidirectional", value=True), r"network_conf\.decoder: .*bidirectional"),
        (_set(*CONV, "norm_type", value="batch"), "normalizes time steps in place of channels"),
        (_set(*CONV, "norm_type", value="group"), "expected layer or none, found 'group'"),
        (_set(*CONV, "in_channels", value=8), "expected 16 input channels, found 8"),
        (_set(*CONV, "out_channels", value=9), "block 0 gives 9 channels, block 1 takes 8"),
        (_set(*STAGE, "kernel_width", value=4), "expected an odd number as published, found 4"),
        (_set(*STAGE, "in_conv_kernel_width", value=0), "left context"),
        (
            _set("decoder", "in_channels", value=84),
            r"expected 26 \(6 features and 20 joints\), found 84",
        ),
        (_set("decoder", "out_channels", value=22), "expected 20, found 22"),
        (
            _set("network", value={"_target_": "emg2pose.networks.MLP"}),
            r"network_conf\.network: .*in_channels",
        ),
    ],
)
def test_what_is_not_supported_is_named_with_its_place(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    h = tiny()
    change(h)
    with pytest.raises(CheckpointError, match=message):
        build(h)


def test_what_has_no_stream_says_so() -> None:
    x, initial = signal(600), torch.zeros(1, 20)
    with pytest.raises(
        CheckpointError, match=r"expected a multiple of the features' 50 Hz, found 75 Hz"
    ):
        built(tiny(rollout_freq=75))(x, initial, resample="stream")
    with pytest.raises(TendonError, match="expected one of window, stream, found 'cubic'"):
        built(tiny())(x, initial, resample="cubic")


def test_a_regression_network_refuses_an_initial_pose_and_a_tracking_one_a_wrong_shape(
    published_checkpoint,
) -> None:
    x = np.zeros((2400, 16), np.float32)
    with pytest.raises(TendonError, match="trained without one"):
        checkpoint.forward(
            checkpoint.load(published_checkpoint("regression_vemg2pose")),
            x,
            np.zeros(20, np.float32),
        )
    with pytest.raises(TendonError, match="expected 20 angles"):
        checkpoint.forward(
            checkpoint.load(published_checkpoint("tracking_vemg2pose")), x, np.zeros(19, np.float32)
        )


def test_hyper_parameters_of_no_family_say_what_each_would_need() -> None:
    with pytest.raises(CheckpointError, match=r"network_conf \(emg2pose\) or .*; found keys model"):
        build({"model": "Transformer"})


def test_deferred_gradients_are_those_of_autograd() -> None:
    for ranks in ({}, {"model.decoder.lstm.l1": 3}):
        h = tiny() | {"tendon": {"ranks": ranks}}
        gradients = []
        for training in (False, True):
            model = built(h).model
            torch.manual_seed(1)
            features, initial = torch.randn(3, 6, 8, requires_grad=True), torch.randn(3, 20)
            model.rollout(features, initial, training=training)[0].square().mean().backward()
            found = {name: p.grad for name, p in model.decoder.named_parameters()}
            gradients.append(found | {"features": features.grad})
        for name, expected in gradients[0].items():
            torch.testing.assert_close(gradients[1][name], expected, msg=name)


def test_deferred_products_multiply() -> None:
    linear, x = nn.Linear(5, 4), torch.randn(3, 5)
    torch.testing.assert_close(Deferred(1)(factored.chain_of(linear), x), linear(x))


RANKS = {
    "model.network.layers.0.conv.0": 8,
    "model.network.layers.1.layers.conv1dblock.conv.0": 8,
    "model.network.layers.1.layers.tds_block.tds_conv_blocks.1.fc_block.0": 8,
    "model.decoder.lstm.l0": 28,
    "model.decoder.lstm.l1": 14,
    "model.decoder.mlp_out.1": 7,
}


def test_a_network_factored_at_full_rank_computes_what_it_did() -> None:
    network = built(tiny())
    changed = copy.deepcopy(network)
    factorize(changed, RANKS, {"model.decoder.lstm.l1": torch.eye(14) + 0.3})
    kinds = {type(dict(changed.named_modules())[path]) for path in RANKS}
    assert kinds == {FactoredConv1d, FactoredLinear} and isinstance(
        changed.model.decoder.lstm, FactoredLSTM
    )
    x, initial = signal(700), torch.randn(1, 20)
    with torch.no_grad():
        torch.testing.assert_close(changed(x, initial), network(x, initial), atol=1e-5, rtol=1e-4)


def test_a_factored_network_is_saved_and_built_again_from_its_ranks(tmp_path) -> None:
    ranks = {path: rank // 2 for path, rank in RANKS.items()}
    h = tiny() | {"tendon": {"ranks": ranks}}
    network = built(tiny())
    factorize(network, ranks)
    checkpoint.save(tmp_path / "a.ckpt", network, h)
    loaded = checkpoint.load(tmp_path / "a.ckpt")
    assert loaded.name == "custom" and loaded.hyper_parameters["tendon"]["ranks"] == ranks
    keys = set(loaded.model.state_dict())
    assert {f"model.decoder.lstm.l0.{k}" for k in ("u.weight", "v.weight", "bias")} <= keys
    assert (
        "model.network.layers.0.conv.0.v.weight" in keys
        and "model.decoder.lstm.weight_ih_l0" not in keys
    )
    x, initial = signal(700), torch.randn(1, 20)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(x, initial), network(x, initial))


def test_published_structure_with_ranks_is_no_longer_the_published_network() -> None:
    h = HYPER_PARAMETERS["tracking_vemg2pose"]
    assert checkpoint.name_of(h) == "tracking_vemg2pose"
    assert checkpoint.name_of(h | {"tendon": {"ranks": {"model.decoder.lstm.l0": 9}}}) == "custom"
    assert checkpoint.name_of(h | {"provide_initial_pos": False}) == "custom"


def test_factors_weighted_by_the_inputs_lose_least_on_those_inputs() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 12) @ torch.diag(torch.logspace(-2, 1, 12))
    network = nn.Sequential(nn.Linear(12, 10))
    losses = []
    for covariance in (None, {"0": x.t() @ x / len(x)}):
        changed = copy.deepcopy(network)
        factorize(changed, {"0": 4}, covariance)
        losses.append(float((changed(x) - network(x)).detach().square().mean()))
    assert losses[1] < 0.5 * losses[0]


def test_a_module_with_two_names_is_factored_under_both() -> None:
    h = copy.deepcopy(HYPER_PARAMETERS["TC_S4_small"])
    network = built(h | {"tendon": {"ranks": {"model_HF.layers.3": 5}}})
    keys = set(network.state_dict())
    assert {"model_HF.layers.3.u.weight", "model.4.layers.3.u.weight"} <= keys
    assert network.model_HF.layers[3] is network.model[4].layers[3]


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({"model.decoder.lstm.l2": 3}, "no module model.decoder.lstm.l2"),
        ({"model.decoder.lstm.l0": 0}, r"expected 1…28 for a matrix of \(28, 33\), found 0"),
        ({"model.decoder.lstm.l0": 29}, "found 29"),
        ({"model.decoder.lstm.l0": "half"}, "found 'half'"),
        ({"model.network.layers.0.norm": 3}, "found LayerNorm"),
        ([3], "expected a dict"),
    ],
)
def test_ranks_that_fit_no_module_are_refused(ranks: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        build(tiny() | {"tendon": {"ranks": ranks}})
