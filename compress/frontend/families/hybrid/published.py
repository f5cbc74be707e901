"""Hyper-parameters of the published hybrid networks, as saved in their checkpoints, and what was
reported for them.

Source: Neuro-Robotic-Touch-Laboratory/hybrid-networks-emg2qwerty.
"""

from __future__ import annotations

from typing import Any

from compress.frontend.families.record import Published


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


NETWORKS: dict[str, dict[str, Any]] = {
    "TC_S4_small": _network(36, _temporal(96, 192, 150), _s4(96)),
    "TC_S4_medium": _network(72, _temporal(192, 384, 150), _s4(96)),
    "S4_large": _network(
        60,
        {"_target_": "identity"},
        _s4(
            256, d_output=150, end_layer_pools=[2, 2, 2, 2, 1, 1, 1, 1], end_layer_pool_mode="mean"
        ),
    ),
}

# Character error rates, greedy decoding, and with a 6-gram character model.
_SOURCE = "hybrid-networks-emg2qwerty, real emg2qwerty recordings, mean of 8 fine-tuned users"
REPORTED = {
    "TC_S4_small": Published("CER", "%", 9.36, 4.3, 0.0125, _SOURCE),
    "TC_S4_medium": Published("CER", "%", 8.41, 3.8, 0.032, _SOURCE),
    "S4_large": Published("CER", "%", 6.97, 3.5, 0.19, _SOURCE),
}
