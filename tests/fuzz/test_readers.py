"""Every reader refuses in one line what it cannot read, or reads it: some damaged files each. `make
fuzz` tries more."""

from __future__ import annotations

import pytest

from tests.fuzz import campaign
from tests.fuzz.campaign import Figures
from tests.fuzz.registry import readers

INPUTS, SECONDS = 20, 2.0  # of each reader


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figures]:
    """Of all readers, from one campaign."""
    folder = tmp_path_factory.mktemp("fuzz")
    return dict(campaign.run(sorted(readers()), folder, INPUTS, SECONDS))


@pytest.mark.parametrize("name", sorted(readers()))
def test_damaged_files_are_read_or_refused_in_one_line(
    figures: dict[str, Figures], name: str
) -> None:
    found = figures[name]
    assert not found.bad, "\n".join(found.failures)
    assert found.tried


def test_some_of_them_are_refused(figures: dict[str, Figures]) -> None:
    assert sum(found.refused for found in figures.values()) > INPUTS
