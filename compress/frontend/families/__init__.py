"""Published networks as plain PyTorch modules with the published state_dict keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from compress.errors import CheckpointError
from compress.frontend import factored
from compress.frontend.families.emg2pose.model import PoseNetwork
from compress.frontend.families.hybrid.model import HybridNetwork
from compress.frontend.published import HYPER_PARAMETERS, PUBLISHED

__all__ = [
    "FAMILIES",
    "HYPER_PARAMETERS",
    "PUBLISHED",
    "Family",
    "HybridNetwork",
    "PoseNetwork",
    "build",
    "family_of",
    "name_of",
]


@dataclass(frozen=True)
class Family:
    """Networks that one published code base describes: its source, the keys that tell it, and how
    to build it from them."""

    task: str
    source: str
    keys: tuple[str, ...]
    build: Callable[[dict[str, Any]], nn.Module]
    structure: Callable[[dict[str, Any]], Any]


def _hybrid_structure(h: dict[str, Any]) -> Any:
    """What makes a typing network this one: sizes, strides and pools, not dropout or rates."""
    high, low = h.get("model_HF", {}), h.get("model_LF", {})
    layers = [high.get(k) for k in ("_target_", "out_channels", "strides", "kernel_sizes")]
    states = [low.get(k) for k in ("d_model", "d_latent_space", "n_layers")]
    modes = [low.get(f"{where}_layer_pool_mode", "none") for where in ("end", "mid")]
    pools = [
        low.get(f"{w}_layer_pools") if mode != "none" else None
        for w, mode in zip(("end", "mid"), modes, strict=True)
    ]
    inputs = [h.get(k) for k in ("mlp_features", "offsets", "input_mean_pooling")]
    return (inputs, layers, states, modes, pools, low.get("prenorm"))


def _pose_structure(h: dict[str, Any]) -> Any:
    """What makes a pose network this one: the whole tree but dropout, and whether the initial pose
    is given."""

    def without_dropout(value: Any) -> Any:
        if isinstance(value, list):
            return [without_dropout(v) for v in value]
        if isinstance(value, dict):
            return {k: without_dropout(v) for k, v in value.items() if not k.startswith("dropout")}
        return value

    return (without_dropout(h["network_conf"]), bool(h.get("provide_initial_pos", False)))


FAMILIES = (
    Family(
        "typing",
        "hybrid-networks-emg2qwerty",
        ("mlp_features", "model_HF", "model_LF"),
        HybridNetwork,
        _hybrid_structure,
    ),
    Family("pose", "emg2pose", ("network_conf",), PoseNetwork, _pose_structure),
)


def family_of(hyper_parameters: dict[str, Any]) -> Family:
    """The family whose keys are all there; CheckpointError says what would be needed."""
    for family in FAMILIES:
        if all(key in hyper_parameters for key in family.keys):
            return family
    expected = " or ".join(f"{', '.join(f.keys)} ({f.source})" for f in FAMILIES)
    found = ", ".join(map(str, hyper_parameters)) or "(none)"
    raise CheckpointError(
        f"hyper_parameters lack what describes a network: expected {expected}; found keys {found}"
    )


def build(hyper_parameters: dict[str, Any]) -> nn.Module:
    """The network that these saved hyper-parameters describe, untrained; CheckpointError names what
    is not supported."""
    model = family_of(hyper_parameters).build(hyper_parameters)
    factored.shape(model, ranks(hyper_parameters))
    return model


def ranks(hyper_parameters: dict[str, Any]) -> dict[str, int]:
    """Which modules are stored as two factors, and of which rank (see `factored`); none in
    published checkpoints."""
    own = hyper_parameters.get("tendon", {})
    found = own.get("ranks", {}) if isinstance(own, dict) else own
    if not isinstance(found, dict):
        raise CheckpointError(
            f"tendon.ranks: expected a dict of module path to rank, found {found!r}"
        )
    return found


def name_of(hyper_parameters: dict[str, Any]) -> str:
    """The published network with this structure, else "custom"."""
    family = family_of(hyper_parameters)
    if not ranks(hyper_parameters):
        for name, published in HYPER_PARAMETERS.items():
            same_family = family_of(published) is family
            if same_family and family.structure(published) == family.structure(hyper_parameters):
                return name
    return "custom"
