"""A network of a published family that is built, saved and read in milliseconds, and checkpoints of
it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compress.errors import CheckpointError
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS

_PUBLISHED = HYPER_PARAMETERS["TC_S4_small"]
SMALL: dict[str, Any] = _PUBLISHED | {
    "mlp_features": [4],
    "model_HF": _PUBLISHED["model_HF"] | {"out_channels": [4, 5, 6]},
    "model_LF": _PUBLISHED["model_LF"] | {"d_model": 6, "n_layers": 2, "d_latent_space": 4},
}


def low(**changes: Any) -> dict[str, Any]:
    """Its state spaces, with some hyper-parameters changed."""
    return SMALL["model_LF"] | changes


def is_loaded(path: Path, published: dict[str, Any]) -> bool:
    """Whether the weights are those that were saved, and the network the published one."""
    found = checkpoint.load(path)
    same = [torch.equal(v, published["state_dict"][k]) for k, v in found.model.state_dict().items()]
    return all(same) and found.name == "custom"


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        checkpoint.load(path)
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)
    return str(error.value)
