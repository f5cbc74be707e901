"""What the front end refuses: what was found, and what would work instead."""

from __future__ import annotations


class Refused(Exception):
    """Something in a network that has no meaning in the graph; whoever walks the trace adds the
    module and the line."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(found)
        self.found, self.advice = found, advice


class Longer(Exception):
    """A stream pads more than the traced signal shows; a longer one has to be traced."""
