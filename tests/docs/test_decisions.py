"""The pages of docs/decisions: short, of one form, and each found from the list."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "decisions"
LIST = FOLDER / "README.md"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path != LIST)
LONGEST = 6_000  # bytes: a page is read in two minutes


def test_the_list_has_every_page_once() -> None:
    listed = re.findall(r"^- \[([\w-]+)\]\(\1\.md\): .", LIST.read_text(), re.MULTILINE)
    assert sorted(listed) == [path.stem for path in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_the_choice_its_reason_and_where_it_is(page) -> None:
    text = page.read_text()
    assert re.match(r"# \S.*\n\n(.*\n)*?\*\*Choice\.\*\* ", text)
    assert re.search(r"^\*\*Reason\.\*\* ", text, re.MULTILINE)
    assert re.search(r"^See: ", text, re.MULTILINE)
    assert len(text.encode()) <= LONGEST
