"""docs/networks.md says what the networks say."""

from __future__ import annotations

from bench import networks
from compress.frontend.families import HYPER_PARAMETERS

TEXT = networks.PAGE.read_text(encoding="utf-8")
SMALL = "TC_S4_small"  # the others take seconds each to make


def test_the_page_of_networks_is_not_an_old_one() -> None:
    assert networks.INTRO in TEXT and f"\n{networks.row(SMALL)}\n" in TEXT, "run `make docs`"


def test_every_network_that_is_known_by_name_has_its_row() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(HYPER_PARAMETERS)
