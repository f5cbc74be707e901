"""The families of published networks: a folder each, with the published modules and keys, the
hyper-parameters of the published configurations, and how its networks become operators.

To add one: a folder whose `family.py` holds a `FAMILY` (see `record`), and a line in FOLDERS.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from compress.errors import CheckpointError
from compress.frontend.families.record import Family, Published
from compress.frontend.stored.words import names, shown

if TYPE_CHECKING:
    from torch import nn

FOLDERS = (
    "hybrid",
    "emg2pose",
    "networkfile",
)
_MOST_RANKS = 1_000
HYPER_PARAMETERS: dict[str, dict[str, Any]]  # of every published network, by its name
PUBLISHED: dict[str, Published]  # what their authors report


@cache
def load(folder: str) -> Family:
    """The record of a folder."""
    family: Family = import_module(f"{__name__}.{folder}.family").FAMILY
    return family


def with_networks() -> list[str]:
    """The folders whose networks are published, and so have modules here."""
    return [folder for folder in FOLDERS if load(folder).networks]


def every() -> list[Family]:
    """The records of all folders."""
    return [load(folder) for folder in FOLDERS]


@cache
def _hyper_parameters() -> dict[str, dict[str, Any]]:
    return {name: h for family in every() for name, h in family.networks.items()}


@cache
def _published() -> dict[str, Published]:
    return {name: p for family in every() for name, p in family.reported.items()}


def __getattr__(name: str) -> Any:
    """What all families have together, when it is first asked for, and their networks' classes."""
    together = {"HYPER_PARAMETERS": _hyper_parameters, "PUBLISHED": _published}
    if name in together:
        return together[name]()
    for folder in [] if name.startswith("_") else with_networks():
        module = import_module(f"{__name__}.{folder}.model")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def leaves() -> dict[type[nn.Module], Any]:
    """The modules of all families that stay whole when a network is traced (`frontend/layers.py`),
    from their `handlers.py`."""
    found: dict[type[nn.Module], Any] = {}
    for folder in with_networks():
        found |= getattr(import_module(f"{__name__}.{folder}.handlers"), "LEAVES", {})
    return found


def family_of(hyper_parameters: dict[str, Any]) -> Family:
    """The record of the family whose keys are all there; CheckpointError says what is needed."""
    for family in every():
        if all(key in hyper_parameters for key in family.keys):
            return family.of(hyper_parameters)
    expected = " or ".join(f"{', '.join(f.keys)} ({f.source})" for f in every())
    found = names(hyper_parameters, 10) or "(none)"
    raise CheckpointError(
        f"hyper_parameters lack what describes a network: expected {expected}; found keys {found}"
    )


def describing() -> tuple[str, ...]:
    """Names of the hyper-parameters that describe a network of any family; all others are for a
    training alone."""
    return ("tendon", *(key for family in every() for key in (*family.keys, *family.options)))


def outline(hyper_parameters: dict[str, Any]) -> nn.Module | None:
    """The network that these describe without memory for its weights (on the meta device): its
    shapes. None for one that the user's own code builds. CheckpointError as `build`."""
    import torch

    if not family_of(hyper_parameters).networks:
        return None
    with torch.device("meta"):
        return build(hyper_parameters)


def build(hyper_parameters: dict[str, Any]) -> nn.Module:
    """The network that these saved hyper-parameters describe, untrained; CheckpointError names what
    is not supported."""
    from compress.frontend import factored

    model = family_of(hyper_parameters).build(hyper_parameters)
    factored.shape(model, ranks(hyper_parameters))
    return model


def ranks(hyper_parameters: dict[str, Any]) -> dict[str, int]:
    """Which modules are stored as two factors, and of which rank (see `factored`); none in
    published checkpoints."""
    own = hyper_parameters.get("tendon", {})
    found = own.get("ranks", {}) if isinstance(own, dict) else own
    paths = found if isinstance(found, dict) and len(found) <= _MOST_RANKS else [None]
    if not all(isinstance(path, str) for path in paths):
        raise CheckpointError(
            f"tendon.ranks: expected a dict of module path to rank, found {shown(found)}"
        )
    return found


def name_of(hyper_parameters: dict[str, Any]) -> str:
    """The published network with this structure, else the name that the network has, else
    "custom"."""
    family = family_of(hyper_parameters)
    if not ranks(hyper_parameters):
        for name, published in _hyper_parameters().items():
            same_family = family_of(published) is family
            if same_family and family.structure(published) == family.structure(hyper_parameters):
                return name
    return family.named(hyper_parameters) or "custom"
