"""An emg2pose network from the tree that its checkpoint describes it with, built from the classes
listed here and no others."""

from __future__ import annotations

from typing import Any, cast

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
        model = _instantiate(hyper_parameters["network_conf"], "network_conf")
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
        self.provide_initial_pos = bool(hyper_parameters.get("provide_initial_pos", False))

    def forward(
        self, emg: Tensor, initial: Tensor | None = None, resample: str = "window"
    ) -> Tensor:
        if initial is None:
            initial = torch.zeros(len(emg), 20, dtype=emg.dtype)
        return self.model(emg, initial, resample)


def _instantiate(value: Any, where: str) -> Any:
    """Modules in place of dicts with a `_target_`, from the innermost; CheckpointError names the
    place of what does not fit."""
    if isinstance(value, list):
        return [_instantiate(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, dict):
        return value
    arguments = {k: _instantiate(v, f"{where}.{k}") for k, v in value.items() if k != "_target_"}
    target = value.get("_target_")
    if target not in TARGETS:
        raise CheckpointError(
            f"{where}._target_: {target!r} is not supported; expected one of {', '.join(TARGETS)}"
        )
    try:
        return TARGETS[cast(str, target)](**arguments)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"{where}: {target} cannot be built: {type(error).__name__}: {error}"
        ) from error
