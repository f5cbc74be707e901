"""Hyper-parameters of the published networks of emg2pose, as saved in their checkpoints.

Source: facebookresearch/emg2pose, whose repository states no figures.
"""

from __future__ import annotations

from typing import Any


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


NETWORKS: dict[str, dict[str, Any]] = {
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
