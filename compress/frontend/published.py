"""Hyper-parameters of the published networks, as saved in their checkpoints, and what was reported
for them.

Sources: Neuro-Robotic-Touch-Laboratory/hybrid-networks-emg2qwerty; facebookresearch/emg2pose, whose
repository states no figures, so its networks have no entry in PUBLISHED.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """What the authors report on real data: mean over 8 fine-tuned users, greedy decoding, and with
    a 6-gram character model."""

    metric: str
    unit: str
    value: float
    value_with_lm: float
    gmacs_per_s: float
    source: str = (
        "hybrid-networks-emg2qwerty, real emg2qwerty recordings, mean of 8 fine-tuned users"
    )


def _s4(d_model: int, **changes: Any) -> dict[str, Any]:
    config = {
        "_target_": "emg2qwerty.modules.S4Model",
        "S4_model": "S4D",
        "d_input": -1,
        "d_model": d_model,
        "d_latent_space": 32,
        "d_output": -1,
        "n_layers": 8,
        "lr": 0.0005,
        "dt_min": 0.04,
        "dt_max": 4.0,
        "dropout_inner": 0.1,
        "dropout_outer": 0.1,
        "dropout_tie": True,
        "prenorm": False,
        "decoder_non_linearity": "gelu",
        "reduce_time_dimension": False,
        "permuteLBHtoBLH": True,
        "activation": "gelu",
        "reg_timescale": 0.0,
        "reg_timescale_mode": "real",
        "end_layer_pools": [0],
        "end_layer_pool_mode": "none",
        "mid_layer_pools": [0],
        "mid_layer_pool_mode": "none",
        "sparsity_post_actv_S4D": 0.0,
        "delta_pre_activation": False,
        "delta_post_activation": False,
        "des": "",
        "upscale_last_layer": 1,
    }
    return config | changes


def _temporal(*out_channels: int) -> dict[str, Any]:
    return {
        "_target_": "emg2qwerty.modules.TemporalConvolution",
        "d_input": -1,
        "activation": "gelu",
        "norm": "batchnorm",
        "out_channels": list(out_channels),
        "strides": [4, 3, 2],
        "kernel_sizes": [4, 3, 2],
        "padding": 0,
    }


def _network(mlp: int, high: dict[str, Any], low: dict[str, Any]) -> dict[str, Any]:
    return {
        "in_transform": "raw_signal",
        "in_features": 16,
        "mlp_features": [mlp],
        "model_HF": high,
        "model_LF": low,
        "decoder": {"_target_": "emg2qwerty.decoder.CTCGreedyDecoder"},
        "loss": "ctc_loss",
        "train_on_longer_every": 10,
        "non_linearity": "sparse_relu_10",
        "pooling": "mean",
        "offsets": [0],
        "sparsity_RotInvMLP_after_non_linearity": 0.0,
        "norm": "layernorm",
        "input_mean_pooling": 4,
    }


def _tds() -> dict[str, Any]:
    """The featurizer of emg2pose: 256 channels from 2 kHz to 25 Hz, 64 features."""
    conv: dict[str, Any] = {
        "_target_": "emg2pose.networks.Conv1dBlock",
        "in_channels": 16,
        "out_channels": 256,
    }
    stage = {
        "_target_": "emg2pose.networks.TdsStage",
        "in_channels": 256,
        "num_blocks": 2,
        "channels": 16,
        "feature_width": 16,
    }
    return {
        "_target_": "emg2pose.networks.TdsNetwork",
        "conv_blocks": [
            conv | {"kernel_size": 11, "stride": 5},
            conv | {"in_channels": 256, "kernel_size": 5, "stride": 2},
        ],
        "tds_stages": [
            stage | {"in_conv_kernel_width": 17, "in_conv_stride": 4, "kernel_width": 9},
            stage
            | {
                "in_conv_kernel_width": 9,
                "in_conv_stride": 2,
                "kernel_width": 5,
                "out_channels": 64,
            },
        ],
    }


def _lstm(out_channels: int) -> dict[str, Any]:
    return {
        "_target_": "emg2pose.networks.SequentialLSTM",
        "in_channels": 84,
        "out_channels": out_channels,
        "hidden_size": 512,
        "num_layers": 2,
        "scale": 0.01,
    }


def _neuropose() -> dict[str, Any]:
    def block(kind: str, in_channels: int, out_channels: int, **sizes: Any) -> dict[str, Any]:
        target = f"emg2pose.networks.{kind}Block"
        shared = {
            "_target_": target,
            "in_channels": in_channels,
            "out_channels": out_channels,
            "kernel_size": [3, 2],
        }
        return shared | sizes | {"dropout_rate": 0.05}

    return {
        "_target_": "emg2pose.networks.NeuroPose",
        "linear_in_channels": 32,
        "out_channels": 20,
        "encoder_blocks": [
            block("Encoder", 1, 32, max_pool_size=[10, 2]),
            block("Encoder", 32, 128, max_pool_size=[8, 2]),
            block("Encoder", 128, 256, max_pool_size=[4, 4]),
        ],
        "residual_blocks": [block("Residual", 256, 256, num_convs=3) for _ in range(5)],
        "decoder_blocks": [
            block("Decoder", 256, 128, upsampling=[10, 4]),
            block("Decoder", 128, 32, upsampling=[8, 4]),
            block("Decoder", 32, 1, upsampling=[4, 2]),
        ],
    }


def _pose(module: str, provide_initial_pos: bool, **config: Any) -> dict[str, Any]:
    return {
        "network_conf": {"_target_": f"emg2pose.pose_modules.{module}", **config},
        "optimizer_conf": {"_target_": "torch.optim.Adam", "lr": 0.001},
        "lr_scheduler_conf": None,
        "provide_initial_pos": provide_initial_pos,
        "loss_weights": {"mae": 1, "fingertip_distance": 0.01},
    }


HYPER_PARAMETERS: dict[str, dict[str, Any]] = {
    "TC_S4_small": _network(36, _temporal(96, 192, 150), _s4(96)),
    "TC_S4_medium": _network(72, _temporal(192, 384, 150), _s4(96)),
    "S4_large": _network(
        60,
        {"_target_": "identity"},
        _s4(
            256, d_output=150, end_layer_pools=[2, 2, 2, 2, 1, 1, 1, 1], end_layer_pool_mode="mean"
        ),
    ),
    "tracking_vemg2pose": _pose(
        "StatePoseModule",
        True,
        predict_vel=True,
        state_condition=True,
        network=_tds(),
        decoder=_lstm(20),
    ),
    "regression_vemg2pose": _pose(
        "VEMG2PoseWithInitialState",
        False,
        state_condition=True,
        num_position_steps=500,
        network=_tds(),
        decoder=_lstm(40),
    ),
    "regression_neuropose": _pose("PoseModule", False, predict_vel=False, network=_neuropose()),
}

PUBLISHED = {
    "TC_S4_small": Published("CER", "%", 9.36, 4.3, 0.0125),
    "TC_S4_medium": Published("CER", "%", 8.41, 3.8, 0.032),
    "S4_large": Published("CER", "%", 6.97, 3.5, 0.19),
}
