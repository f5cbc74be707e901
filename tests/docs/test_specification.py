"""The pages of docs/spec/ say what the code says: versions, kernels; and they stand alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench.crosscheck import command as crosscheck
from bench.hil import schema as hil
from bench.profile import schema as profile
from compress import scoring
from compress.artifacts import intention, memory
from compress.compression import fit as compression
from compress.graph import file as graph_file
from compress.report import users
from compress.tasks import train
from export import version
from export.onnx import writer
from host import protocol
from tests.conftest import ROOT
from tests.docs.pages import Page
from tests.docs.test_documentation import broken, none

FOLDER = ROOT / "docs" / "spec"
PAGES = [Page(path) for path in sorted(FOLDER.glob("*.md"))]
LONGEST = 20 * 1024  # bytes
VERSIONS: dict[str, Any] = {  # what a row of the table names -> what the code says
    "graph file": graph_file.FORMAT_VERSION,
    "kernels": version.NN_VERSION,
    "serial line": protocol.VERSION,
    "ONNX": f"opset {writer.OPSET}, IR {writer.IR_VERSION}",
    "quantize.json": scoring.REPORT_VERSION,
    "hil.json": hil.VERSION,
    "crosscheck.json": crosscheck.VERSION,
    "profile.json": profile.VERSION,
    "compress.json": compression.VERSION,
    "users.json": users.VERSION,
    "sources.json": memory.VERSION,
    "intended.json": intention.VERSION,
    "training": train.VERSION,
}


@pytest.mark.parametrize("name", VERSIONS)
def test_the_version_of_a_format_is_the_code_s(name: str) -> None:
    rows = re.findall(r"^\| (.*) \| (.*) \| .* \|$", Page(FOLDER / "README.md").text, re.MULTILINE)
    assert [said for about, said in rows if name in about] == [str(VERSIONS[name])]


def test_pages_that_name_a_version_name_that_one() -> None:
    said = {
        "serial-line.md": f"# The serial line, version {protocol.VERSION}",
        "graph-file.md": f"`version`: {graph_file.FORMAT_VERSION}.",
        "kernels.md": f"NN_VERSION {version.NN_VERSION}.",
        "onnx.md": f"Opset {writer.OPSET}, IR {writer.IR_VERSION},",
    }
    assert [name for name, words in said.items() if words not in Page(FOLDER / name).text] == []


def test_every_kernel_of_the_header_is_declared() -> None:
    declared = re.compile(r"^ *(?:void|int\w*) (nn_\w+)\(", re.MULTILINE)
    header = (ROOT / "firmware" / "nn" / "nn.h").read_text(encoding="utf-8")
    found = set(declared.findall(header))
    assert len(found) > 30
    assert set(declared.findall(Page(FOLDER / "kernels.md").text)) == found


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_short_and_leads_only_to_others(page: Page) -> None:
    """Exported projects carry the folder alone."""
    assert len(page.text.encode()) <= LONGEST
    none(broken(page, FOLDER))


def test_every_page_is_in_the_table() -> None:
    listed = {link for link in Page(FOLDER / "README.md").links if "#" not in link}
    assert listed == {page.path.name for page in PAGES} - {"README.md"}
