"""Recorded tables: written where that is asked for, with commit and date, the same for the same
figures, whole or not at all."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from pathlib import Path

import pytest

from bench import drift, results, tendon
from bench.results import Measurement, Table
from compress import files
from compress.cli import options
from compress.errors import TendonError
from tests.conftest import ROOT
from tests.test_makefile import called

COLUMNS = {"layer": "", "instructions": ",", "each": ".2f", "met": ""}
ROWS = [("dense", 20620, 1.119, True), ("a | b", 7, None, None)]
FOUND = Measurement("net", "A network", "counted", [Table("Layers", COLUMNS, ROWS)], {"gcc": "12"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    return tmp_path / "results"


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_record_argument(parser)
    return parser.parse_args([*words], argparse.Namespace(arguments=["bench", *words]))


def recorded(*words: str) -> Path:
    path = results.record(asked("--record", *words), FOUND)
    assert path is not None
    return path


def test_nothing_is_written_that_was_not_asked_for(folder: Path) -> None:
    assert results.record(asked(), FOUND) is None
    assert not folder.exists()


def test_a_table_names_the_command_the_date_the_commit_and_what_its_figures_are(
    folder: Path,
) -> None:
    text = recorded("make bench RECORD=1").read_text()
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    assert head and f"| {head}" in text
    assert re.search(r"\| date +\| \d{4}-\d\d-\d\d +\|", text)
    assert "`make bench RECORD=1`" in text and re.search(r"\| figures +\| counted +\|", text)
    content = json.loads((folder / "net.json").read_text())
    assert content["commit"].startswith(head) and content["gcc"] == "12"
    assert content["command"] == "make bench RECORD=1"


def test_without_make_the_command_is_the_one_that_was_typed(folder: Path) -> None:
    recorded()
    assert json.loads((folder / "net.json").read_text())["command"] == "tendon bench --record"


def test_figures_are_whole_in_one_file_and_rounded_for_a_reader_in_the_other(folder: Path) -> None:
    text = recorded().read_text()
    assert re.search(r"\| dense +\| +20,620 \| +1\.12 \| +yes \|", text)
    assert re.search(r"\| a \\\| b +\| +7 \| +– \| +– \|", text)
    (table,) = json.loads((folder / "net.json").read_text())["tables"]
    assert table["rows"] == [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


def test_the_same_figures_give_the_same_bytes_but_for_date_and_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both() -> list[str]:
        path = recorded()
        return [path.read_text(), path.with_suffix(".json").read_text()]

    first = both()
    assert both() == first
    monkeypatch.setattr(results, "_commit", lambda: "0123456789ab")
    for before, after in zip(first, both(), strict=True):
        pairs = zip(before.splitlines(), after.splitlines(), strict=True)
        other = [a for a, b in pairs if a.split() != b.split() and not set(a) <= set("|- ")]
        assert all("commit" in line for line in other)


@pytest.mark.parametrize("damaged", ["", "# half of a tab", "{"])
def test_what_is_damaged_or_half_written_is_replaced_whole(folder: Path, damaged: str) -> None:
    path = recorded()
    whole = {p: p.read_bytes() for p in (path, path.with_suffix(".json"))}
    for one in whole:
        one.write_text(damaged)
    recorded()
    assert {p: p.read_bytes() for p in whole} == whole
    assert sorted(folder.iterdir()) == sorted(whole)


def test_a_table_that_cannot_be_written_leaves_the_one_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded()
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(TendonError, match="No space left on device; nothing was changed"):
        recorded()
    assert path.read_bytes() == before and len(list(folder.iterdir())) == 2


def test_a_name_stays_in_the_folder(folder: Path) -> None:
    found = Measurement("../a b/c", "t", "counted", [])
    path = results.record(asked("--record"), found)
    assert path is not None and path.parent == folder and path.name == "..-a-b-c.md"


@pytest.mark.parametrize(
    "target",
    ["bench", "validate", "profile", "crosscheck", "pareto", "compress", "faults", "drift"],
)
def test_make_passes_on_what_was_typed_where_it_is_to_be_recorded(target: str) -> None:
    flash = {"FLASH": "2M"} if target == "compress" else {}
    words = called(target, {"RECORD": "1", **flash})
    parsed = tendon.parser().parse_args(words)
    said = f"make {target} RECORD=1"
    assert set(parsed.record.split()) == {*said.split(), *(f"{k}={v}" for k, v in flash.items())}
    for plain in ({}, {"RECORD": "0"}, {"RECORD": ""}):
        assert tendon.parser().parse_args(called(target, plain | flash)).record is None


def test_tables_that_are_kept_are_recorded_ones_with_commit_and_date() -> None:
    kept = sorted(results.FOLDER.glob("*.json"))
    assert kept
    for path in kept:
        content = json.loads(path.read_text())
        assert re.match(r"[0-9a-f]{12}(, with changes)?$", content["commit"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", content["date"])
        assert content["command"] and content["figures"]
        assert content["title"] in path.with_suffix(".md").read_text()


def test_a_loop_is_kept_minute_by_minute_with_its_verdict() -> None:
    task = drift.tasks.named("pose")
    minutes = [{"minute": n, "float": 8.0, "quantized": 8.0 + n, "apart": 0.1} for n in (1, 2)]
    found = {"model": "net", "precision": "w8a16", "graph": "g", "checkpoint": "c"}
    found |= {"simulated": True, "allowed": 0.2, "minutes": minutes, "recording": {"name": "r"}}
    kept = drift.measurement(found, task)
    assert kept.name == "drift-net-w8a16" and "simulated" in kept.figures
    assert [row[3] for row in kept.tables[0].rows] == [1.0, 2.0]
    assert kept.made_with["verdict"].startswith("DRIFT: ")
