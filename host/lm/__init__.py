"""The character model that is shipped: made from prompts of the simulator's train split; see
README.md in this folder."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "characters.arpa"
ORDER = 6  # as the published model
PROMPTS = 2500
