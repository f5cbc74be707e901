"""The record of hybrid-networks-emg2qwerty: typing on a keyboard, two bands of electrodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from compress.frontend.families.hybrid.published import NETWORKS, REPORTED
from compress.frontend.families.record import Family
from compress.frontend.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from compress.frontend.builder import Builder
    from compress.frontend.checkpoint import Checkpoint
    from compress.frontend.families.hybrid.model import HybridNetwork


class Hybrid(Family):
    """Causal networks of state spaces, with or without convolutions before them. None of their
    matrices is factored: they are small, and four bits suffice."""

    task, source = "typing", "hybrid-networks-emg2qwerty"
    keys = ("mlp_features", "model_HF", "model_LF")
    options = (
        *("in_transform", "in_features", "loss", "input_mean_pooling"),
        *("pooling", "offsets", "non_linearity", "norm"),
    )
    networks, reported = NETWORKS, REPORTED
    shipped = ("TC_S4_small", "TC_S4_medium", "S4_large")
    features, sample_rate = 32, 2000  # two bands of 16 electrodes
    forward_is_stream = True

    def build(self, hyper_parameters: dict[str, Any]) -> HybridNetwork:
        from compress.frontend.families.hybrid.model import HybridNetwork

        return HybridNetwork(hyper_parameters)

    def check(self, hyper_parameters: dict[str, Any]) -> None:
        """A state space has a complex state for each two of its latent size."""
        for part in ("model_HF", "model_LF"):
            said = Settings(hyper_parameters[part], part)
            if "d_latent_space" in said.values:
                said.whole("d_latent_space", 2)

    def structure(self, hyper_parameters: dict[str, Any]) -> Any:
        """Sizes, strides and pools, not dropout or rates."""
        h = hyper_parameters
        high, low = h["model_HF"], h["model_LF"]
        layers = [high.get(k) for k in ("_target_", "out_channels", "strides", "kernel_sizes")]
        states = [low.get(k) for k in ("d_model", "d_latent_space", "n_layers")]
        modes = [low.get(f"{where}_layer_pool_mode", "none") for where in ("end", "mid")]
        pools = [
            low.get(f"{w}_layer_pools") if mode != "none" else None
            for w, mode in zip(("end", "mid"), modes, strict=True)
        ]
        inputs = [h.get(k) for k in ("mlp_features", "offsets", "input_mean_pooling")]
        return (inputs, layers, states, modes, pools, low.get("prenorm"))

    def lower(self, b: Builder, model: HybridNetwork, window: int | None) -> dict[str, Any]:
        from compress.frontend.families.hybrid.handlers import hybrid

        return hybrid(b, model)

    def forward(
        self, loaded: Checkpoint, samples: Tensor, initial: npt.NDArray[np.float32] | None
    ) -> Tensor:
        """(samples, 32) -> (frames, 99) log-probabilities."""
        frames: Tensor = loaded.model(samples.reshape(len(samples), 1, 2, -1))[:, 0]
        return frames

    def nothing_yet(self, outputs: int) -> float:
        """Every class is equally likely."""
        return -math.log(outputs)


FAMILY = Hybrid()
