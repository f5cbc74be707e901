"""Published networks as plain PyTorch modules with the published state_dict keys."""

from __future__ import annotations

from typing import Any

from compress.errors import CheckpointError
from compress.models.hybrid import HybridNetwork
from compress.models.published import HYPER_PARAMETERS, PUBLISHED

__all__ = ["HYPER_PARAMETERS", "PUBLISHED", "HybridNetwork", "build"]


def build(hyper_parameters: dict[str, Any]) -> HybridNetwork:
    """The network that these saved hyper-parameters describe, untrained; CheckpointError names what is not supported."""
    missing = [k for k in ("mlp_features", "model_HF", "model_LF") if k not in hyper_parameters]
    if missing:
        raise CheckpointError(
            f"hyper_parameters lack {', '.join(missing)}; expected those of a hybrid-networks-emg2qwerty checkpoint, "
            f"found keys {', '.join(sorted(hyper_parameters)) or '(none)'}"
        )
    return HybridNetwork(hyper_parameters)
