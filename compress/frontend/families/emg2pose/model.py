"""An emg2pose network from the tree that its checkpoint describes it with, built from the classes
listed here and no others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.frontend.families.emg2pose.decoders import MLP, SequentialLSTM
from compress.frontend.families.emg2pose.neuropose import (
    DecoderBlock,
    EncoderBlock,
    NeuroPose,
    ResidualBlock,
)
from compress.frontend.families.emg2pose.pose import (
    BasePoseModule,
    PoseModule,
    StatePoseModule,
    VEMG2PoseWithInitialState,
)
from compress.frontend.families.emg2pose.tds import Conv1dBlock, TdsNetwork, TdsStage
from compress.frontend.settings import MOST_KERNEL, MOST_WIDTH, Settings
from compress.frontend.stored.words import shown

ELECTRODES = 16
TARGETS: dict[str, type[nn.Module]] = {
    f"emg2pose.{module}.{target.__name__}": target
    for module, targets in {
        "pose_modules": (PoseModule, StatePoseModule, VEMG2PoseWithInitialState),
        "networks": (
            *(Conv1dBlock, TdsStage, TdsNetwork, MLP, SequentialLSTM),
            *(EncoderBlock, ResidualBlock, DecoderBlock, NeuroPose),
        ),
    }.items()
    for target in targets
}


class PoseNetwork(nn.Module):
    """sEMG (B, 16, samples) at 2 kHz, initial pose (B, 20) rad -> poses (B, 20, steps) rad.

    `provide_initial_pos` says whether the network was trained with the true initial pose (tracking)
    or from zeros (regression).
    """

    def __init__(self, hyper_parameters: dict[str, Any]) -> None:
        super().__init__()
        said = Settings(hyper_parameters)
        if _classes(said.values["network_conf"]) > _MOST:
            raise CheckpointError(f"network_conf: expected at most {_MOST} classes, found more")
        model = _instantiate(said.values["network_conf"], "network_conf")
        if not isinstance(model, BasePoseModule):
            raise CheckpointError(
                f"network_conf: expected a pose module, found {type(model).__name__}"
            )
        network = model.network
        if isinstance(network, TdsNetwork) and network.in_channels != ELECTRODES:
            raise CheckpointError(
                f"network_conf.network: expected {ELECTRODES} input channels, found"
                f" {network.in_channels}"
            )
        self.model = model
        self.provide_initial_pos = said.flag("provide_initial_pos", False)

    def forward(
        self, emg: Tensor, initial: Tensor | None = None, resample: str = "window"
    ) -> Tensor:
        if initial is None:
            initial = torch.zeros(len(emg), 20, dtype=emg.dtype)
        return self.model(emg, initial, resample)


# What each argument of these classes is, by its name.
_WHOLE: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("in_channels", "out_channels", "hidden_size"), (1, MOST_WIDTH)),
    **dict.fromkeys(("channels", "feature_width", "linear_in_channels"), (1, MOST_WIDTH)),
    **dict.fromkeys(("stride", "in_conv_stride", "kernel_width"), (1, MOST_KERNEL)),
    **dict.fromkeys(("rollout_freq", "in_conv_kernel_width"), (-1, MOST_KERNEL)),
    **dict.fromkeys(("num_blocks", "num_layers", "num_convs"), (1, 50)),
    "num_position_steps": (0, MOST_WIDTH),
}
_WHOLES = ("max_pool_size", "upsampling", "layer_sizes")
_FLAGS = ("predict_vel", "state_condition", "layer_norm")
_NUMBERS = {"dropout": (0, 1), "dropout_rate": (0, 1), "scale": (-1e9, 1e9)}
_LISTS = ("conv_blocks", "tds_stages", "encoder_blocks", "residual_blocks", "decoder_blocks")
_MOST, _DEEPEST = 200, 20  # classes in all, and in each other


def _instantiate(value: Any, where: str) -> nn.Module:
    """The module that a dict with a `_target_` describes, after those inside of it; CheckpointError
    names the place of what does not fit."""
    said = Settings(value, where)
    if where.count(".") > _DEEPEST:
        raise CheckpointError(f"network_conf: expected at most {_DEEPEST} classes in each other")
    target = said.values.get("_target_")
    if not isinstance(target, str) or target not in TARGETS:
        raise CheckpointError(
            f"{where}._target_: {shown(target)} is not supported; expected one of"
            f" {', '.join(TARGETS)}"
        )
    arguments = {str(key): _argument(said, key) for key in said.values if key != "_target_"}
    try:
        return TARGETS[target](**arguments)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), "")[:200]
        raise CheckpointError(
            f"{where}: {target} cannot be built: {type(error).__name__}: {first}"
        ) from error


def _classes(value: Any) -> int:
    """How many dicts there are in a tree."""
    if isinstance(value, dict):
        return 1 + sum(map(_classes, value.values()))
    return sum(map(_classes, value)) if isinstance(value, list) else 0


def _argument(said: Settings, key: Any) -> Any:
    """One argument, checked by its name; the classes refuse those of other names."""
    value = said.values[key]
    if isinstance(value, dict):
        return _instantiate(value, said.name(key))
    if key in _LISTS:
        if not isinstance(value, list):
            raise said.refuse(key, "a list")
        return [_instantiate(v, f"{said.name(key)}[{i}]") for i, v in enumerate(value)]
    if key in _WHOLE:
        return None if value is None and key == "out_channels" else said.whole(key, *_WHOLE[key])
    if key in _WHOLES or (key == "kernel_size" and isinstance(value, list)):
        return said.wholes(key, 1, MOST_WIDTH if key == "layer_sizes" else MOST_KERNEL)
    if key == "kernel_size":
        return said.whole(key, 1, MOST_KERNEL)
    if key in _NUMBERS:
        return said.number(key, *_NUMBERS[key])
    if key in _FLAGS:
        return said.flag(key)
    return said.text(key) if key == "norm_type" else value
