"""The networks of hybrid-networks-emg2qwerty: S4_large, TC_S4_medium, TC_S4_small and any other of
their sizes.

Source: Neuro-Robotic-Touch-Laboratory/hybrid-networks-emg2qwerty; module and key names follow its
checkpoints, in which `model_HF` and `model_LF` appear a second time inside the sequential `model`
and share its storage.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.frontend.families.hybrid.activations import activation
from compress.frontend.families.hybrid.gru import GRULayer, GRULayerPooled
from compress.frontend.families.hybrid.s4d import S4Model
from compress.frontend.settings import MOST_KERNEL, Settings, fix
from compress.frontend.stored.words import shown

BANDS, ELECTRODES, CLASSES = 2, 16, 99
_TEMPORAL_CONVOLUTION, _S4 = "emg2qwerty.modules.TemporalConvolution", "emg2qwerty.modules.S4Model"
_GRU, _GRU_POOLED = "emg2qwerty.modules.GRULayer", "emg2qwerty.modules.GRULayerPooled"


class InputMeanPooling(nn.Module):
    """Mean of `factor` samples. (time, batch, band, electrode) -> (time // factor, batch, band,
    electrode)."""

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
    raise CheckpointError(
        f"{where}: norm {kind!r} is not supported; expected batchnorm, layernorm or none"
    )


class RotationInvariantMLP(nn.Module):
    """One band's MLP over electrodes rotated by each offset, pooled over offsets. (time, batch, 16)
    -> (time, batch, F).

    Without layers it pools the rotated electrodes themselves.
    """

    def __init__(
        self,
        in_features: int,
        mlp_features: Sequence[int],
        pooling: str,
        offsets: Sequence[int],
        act: str,
        norm: str,
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
        x = torch.stack([x.roll(offset, dims=2) for offset in self.offsets], dim=2)
        for linear, norm, act in zip(
            self.linear_layers, self.norms, self.non_linearities, strict=True
        ):
            x = linear(x)
            x = act(
                norm(x.flatten(0, 2)).reshape(x.shape)
            )  # norms see (time·batch·offset, features)
        return x.amax(2) if self.pooling == "max" else x.mean(2)


class MultiBandRotationInvariantMLP(nn.Module):
    """An MLP for each band. (time, batch, bands, 16) -> (time, batch, bands, F)."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.mlps = nn.ModuleList(RotationInvariantMLP(**config) for _ in range(BANDS))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [mlp(band) for mlp, band in zip(self.mlps, x.unbind(2), strict=True)], dim=2
        )


class TemporalConvolution(nn.Module):
    """Strided convolutions, each with a norm and an activation. (time, batch, C) -> (time / stride,
    batch, C'). Padding is on both sides: a stream's answers come later by it."""

    def __init__(self, d_input: int, config: dict[str, Any]) -> None:
        super().__init__()
        said = Settings(config, "model_HF")
        padding = said.whole("padding", 0, MOST_KERNEL, default=0)
        norm, act = said.text("norm"), said.text("activation")
        self.layers = nn.ModuleList()
        sizes = _convolutions(said)
        self.d_output = sizes[-1][0]
        for i, (channels, stride, kernel) in enumerate(sizes):
            self.layers.append(nn.Conv1d(d_input, channels, kernel, stride, padding))
            if norm != "none":
                self.layers.append(_norm(norm, channels, "model_HF.norm"))
            last_of_binary = "binary" in act and i == len(sizes) - 1
            self.layers.append(activation("gelu" if last_of_binary else act, "model_HF.activation"))
            d_input = channels

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 2, 0)
        for layer in self.layers:
            x = (
                layer(x.transpose(-1, -2)).transpose(-1, -2)
                if isinstance(layer, nn.LayerNorm)
                else layer(x)
            )
        return x.permute(2, 0, 1)


def _convolutions(said: Settings) -> list[tuple[int, int, int]]:
    """Channels, stride and kernel of each convolution."""
    channels, strides = said.wholes("out_channels"), said.wholes("strides", most=MOST_KERNEL)
    kernels = said.wholes("kernel_sizes", most=MOST_KERNEL)
    if not channels or not len(channels) == len(strides) == len(kernels):
        raise CheckpointError(
            "model_HF: expected one of out_channels, strides and kernel_sizes for each convolution,"
            f" found {len(channels)}, {len(strides)} and {len(kernels)}"
        )
    return list(zip(channels, strides, kernels, strict=True))


def _check(h: dict[str, Any]) -> None:
    fixed = {
        "in_transform": ("raw_signal", "spectrograms are not computed on a microcontroller here"),
        "in_features": (ELECTRODES, "a raw sample has one value for each electrode of a band"),
        "loss": ("ctc_loss", "the answers of another loss are no log-probabilities with a blank"),
    }
    fix(Settings(h), fixed)


def mlp_features(h: dict[str, Any]) -> list[int]:
    """Sizes of the MLP's layers; `auto_<factor>_<least>_<most>` is the width of what follows,
    divided and held to a range."""
    said = Settings(h)
    if not isinstance(h["mlp_features"], str):
        return said.wholes("mlp_features")
    sizes = said.text("mlp_features")
    high = said.part("model_HF")
    of = {_TEMPORAL_CONVOLUTION: "out_channels", _GRU: "d_hidden"}.get(high.text("_target_"))
    key = of or "d_model"
    width = None if key not in high.values else _width(high, key)
    found = re.fullmatch(r"auto_(\d{1,9}(?:\.\d{1,9})?)_(\d{1,7}|none)_(\d{1,7}|none)", sizes)
    if found is None or width is None or float(found[1]) == 0:
        raise CheckpointError(
            "mlp_features: expected a list, or auto_<factor>_<least>_<most> before a model_HF that"
            f" has a width; found {shown(sizes)}"
        )
    size = max(int(width / float(found[1])), 0 if found[2] == "none" else int(found[2]))
    size = size if found[3] == "none" else min(size, int(found[3]))
    return Settings({"mlp_features": [size]}).wholes("mlp_features")


def _width(high: Settings, key: str) -> int:
    """The width of what follows the MLP: its first one, where it has several."""
    if key != "out_channels":
        return high.whole(key)
    return (high.wholes(key) or [0])[0]


def _high(config: dict[str, Any], width: int) -> nn.Module:
    """model_HF for `width` features: nothing, convolutions or a first stack of state-space
    layers."""
    said = Settings(config, "model_HF")
    target = said.text("_target_")
    if target == "identity":
        return nn.Identity()
    if target == _TEMPORAL_CONVOLUTION:
        return TemporalConvolution(width, config)
    if target == _GRU:
        return GRULayer(width, config)
    if target == _S4 and said.whole("d_output", -1) > 0:
        return S4Model(width, config, "model_HF")
    expected = f"identity, {_TEMPORAL_CONVOLUTION}, {_GRU} or {_S4} with a d_output"
    raise CheckpointError(
        f"model_HF._target_: {shown(target)} (d_output {shown(config.get('d_output'))}) is not"
        f" supported; expected {expected}"
    )


def _low(config: dict[str, Any], width: int) -> S4Model | GRULayer | GRULayerPooled:
    """model_LF for `width` features: a stack of state-space or GRU layers."""
    said = Settings(config, "model_LF")
    target = said.text("_target_")
    if target == _GRU:
        return GRULayer(width, config)
    if target == _GRU_POOLED:
        return GRULayerPooled(width, config)
    if target != _S4:
        raise CheckpointError(
            f"model_LF._target_: {shown(target)} is not supported; expected {_S4}, {_GRU} or"
            f" {_GRU_POOLED}"
        )
    output = said.whole("d_output", -1)
    return S4Model(width, config | {"d_output": width if output <= 0 else output})


class HybridNetwork(nn.Module):
    """sEMG at 2 kHz, (time, batch, 2, 16) float32 -> log-probabilities (frames, batch, 99)."""

    def __init__(self, hyper_parameters: dict[str, Any]) -> None:
        super().__init__()
        h, said = hyper_parameters, Settings(hyper_parameters)
        _check(h)
        features = mlp_features(h)
        width = BANDS * (features[-1] if features else ELECTRODES)
        self.model_HF = _high(dict(said.part("model_HF").values), width)
        if isinstance(self.model_HF, TemporalConvolution | S4Model | GRULayer):
            width = self.model_HF.d_output
        self.model_LF = _low(dict(said.part("model_LF").values), width)
        self.model = nn.Sequential(
            nn.Identity(),
            InputMeanPooling(said.whole("input_mean_pooling", 1, MOST_KERNEL, default=1)),
            MultiBandRotationInvariantMLP(
                in_features=ELECTRODES,
                mlp_features=features,
                pooling=said.text("pooling", "mean"),
                offsets=said.wholes("offsets", -MOST_KERNEL, MOST_KERNEL, default=(-1, 0, 1)),
                act=said.text("non_linearity", "relu"),
                norm=said.text("norm", "none"),
            ),
            nn.Flatten(start_dim=2),
            self.model_HF,
            self.model_LF,
            nn.Linear(self.model_LF.d_output, CLASSES),
            nn.LogSoftmax(dim=-1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
