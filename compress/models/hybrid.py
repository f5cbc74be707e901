"""The networks of hybrid-networks-emg2qwerty: S4_large, TC_S4_medium, TC_S4_small and any other of their sizes.

Source: Neuro-Robotic-Touch-Laboratory/hybrid-networks-emg2qwerty; module and key names follow its checkpoints, in which
`model_HF` and `model_LF` appear a second time inside the sequential `model` and share its storage.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.models.activations import activation
from compress.models.s4d import S4Model

BANDS, ELECTRODES, SAMPLE_RATE, CLASSES = 2, 16, 2000, 99
_TEMPORAL_CONVOLUTION, _S4 = "emg2qwerty.modules.TemporalConvolution", "emg2qwerty.modules.S4Model"


class InputMeanPooling(nn.Module):
    """Mean of `factor` samples. (time, batch, band, electrode) -> (time // factor, batch, band, electrode)."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        frames = x.shape[0] // self.factor
        return x[: frames * self.factor].reshape(frames, self.factor, *x.shape[1:]).mean(1)


def _norm(kind: str, features: int, where: str) -> nn.Module:
    if kind == "batchnorm":
        return nn.BatchNorm1d(features)
    if kind == "layernorm":
        return nn.LayerNorm(features)
    if kind == "none":
        return nn.Identity()
    raise CheckpointError(f"{where}: norm {kind!r} is not supported; expected batchnorm, layernorm or none")


class RotationInvariantMLP(nn.Module):
    """One band's MLP over electrodes rotated by each offset, pooled over offsets. (time, batch, 16) -> (time, batch, F)."""

    def __init__(
        self, in_features: int, mlp_features: Sequence[int], pooling: str, offsets: Sequence[int], act: str, norm: str
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "max"):
            raise CheckpointError(f"pooling: expected mean or max, found {pooling!r}")
        self.pooling, self.offsets = pooling, tuple(offsets) or (0,)
        sizes = [in_features, *mlp_features]
        self.linear_layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(_norm(norm, size, "norm") for size in mlp_features)
        self.non_linearities = nn.ModuleList(activation(act, "non_linearity") for _ in mlp_features)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.stack([x.roll(offset, dims=2) for offset in self.offsets], dim=2).flatten(start_dim=3)
        for linear, norm, act in zip(self.linear_layers, self.norms, self.non_linearities, strict=True):
            x = linear(x)
            x = act(norm(x.flatten(0, 2)).reshape(x.shape))  # norms see (time·batch·offset, features)
        return x.amax(2) if self.pooling == "max" else x.mean(2)


class MultiBandRotationInvariantMLP(nn.Module):
    """An MLP for each band. (time, batch, bands, 16) -> (time, batch, bands, F)."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.mlps = nn.ModuleList(RotationInvariantMLP(**config) for _ in range(BANDS))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([mlp(band) for mlp, band in zip(self.mlps, x.unbind(2), strict=True)], dim=2)


class TemporalConvolution(nn.Module):
    """Strided convolutions, each with a norm and an activation. (time, batch, C) -> (time / stride, batch, C')."""

    def __init__(self, d_input: int, config: dict[str, Any]) -> None:
        super().__init__()
        if config.get("padding", 0) != 0:
            raise CheckpointError(f"model_HF.padding: expected 0 (causal streaming), found {config['padding']!r}")
        self.d_output = int(config["out_channels"][-1])
        self.layers = nn.ModuleList()
        sizes = zip(config["out_channels"], config["strides"], config["kernel_sizes"], strict=True)
        for channels, stride, kernel in sizes:
            self.layers.append(nn.Conv1d(d_input, channels, kernel, stride))
            if config["norm"] != "none":
                self.layers.append(_norm(config["norm"], channels, "model_HF.norm"))
            self.layers.append(activation(config["activation"], "model_HF.activation"))
            d_input = channels

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 2, 0)
        for layer in self.layers:
            x = layer(x.transpose(-1, -2)).transpose(-1, -2) if isinstance(layer, nn.LayerNorm) else layer(x)
        return x.permute(2, 0, 1)


class HybridNetwork(nn.Module):
    """sEMG at 2 kHz, (time, batch, 2, 16) float32 -> log-probabilities (frames, batch, 99)."""

    def __init__(self, hyper_parameters: dict[str, Any]) -> None:
        super().__init__()
        h = hyper_parameters
        if h.get("in_transform", "raw_signal") != "raw_signal":
            raise CheckpointError(f"in_transform: expected 'raw_signal', found {h['in_transform']!r}")
        width = BANDS * h["mlp_features"][-1] if h["mlp_features"] else BANDS * h["in_features"]
        self.model_HF: nn.Module = nn.Identity()
        if h["model_HF"]["_target_"] == _TEMPORAL_CONVOLUTION:
            self.model_HF = TemporalConvolution(width, h["model_HF"])
            width = self.model_HF.d_output
        elif h["model_HF"]["_target_"] != "identity":
            raise CheckpointError(f"model_HF: {h['model_HF']['_target_']!r} is not supported")
        if h["model_LF"]["_target_"] != _S4:
            raise CheckpointError(f"model_LF: {h['model_LF']['_target_']!r} is not supported; expected {_S4}")
        low = dict(h["model_LF"])
        low["d_output"] = width if low["d_output"] == -1 else low["d_output"]
        self.model_LF = S4Model(width, low)
        self.model = nn.Sequential(
            nn.Identity(),
            InputMeanPooling(int(h.get("input_mean_pooling", 1))),
            self._mlp(h),
            nn.Flatten(start_dim=2),
            self.model_HF,
            self.model_LF,
            nn.Linear(self.model_LF.d_output, CLASSES),
            nn.LogSoftmax(dim=-1),
        )

    @staticmethod
    def _mlp(h: dict[str, Any]) -> nn.Module:
        return MultiBandRotationInvariantMLP(
            in_features=int(h["in_features"]),
            mlp_features=list(h["mlp_features"]),
            pooling=h["pooling"],
            offsets=list(h["offsets"]),
            act=h["non_linearity"],
            norm=h["norm"],
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
