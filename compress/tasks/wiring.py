"""What somebody must know who feeds a network and reads it without Tendon around it."""

from __future__ import annotations

from dataclasses import dataclass

OWN_SAMPLES = (
    "in the unit, and behind the filters, of the recordings that the network was calibrated with;"
    " Tendon changed nothing of them"
)
OWN_ELECTRODES = "in the order that those recordings have them"


@dataclass(frozen=True)
class Wiring:
    """In words, for a header.

    Args:
        samples: unit of a sample's values and the filters it must have been through.
        electrodes: which value of a sample is which electrode.
        outputs: what the values of a frame mean.
        names: of them, in order; () where they have none.
    """

    samples: str = OWN_SAMPLES
    electrodes: str = OWN_ELECTRODES
    outputs: str = "values as the network gives them"
    names: tuple[str, ...] = ()
