"""A network of a published family that is built, saved and read in milliseconds."""

from __future__ import annotations

from typing import Any

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
