"""The list of reports of a build folder: all that are there, newest first, whatever state they are
in, and never a reason for a command to fail."""

from __future__ import annotations

import html
import json
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from bench import index
from bench.tendon import main as tendon
from compress.errors import TendonError

METRIC = {"name": "CER", "unit": "%", "float": 9.1, "quantized": 9.25, "board": 9.5}
REPORTS: dict[str, tuple[Any, str]] = {
    "net/w8a16/quantize.json": (
        {"metric": METRIC, "simulated": True},
        "CER 9.25 % of integers, 9.10 % of floats, simulated recordings",
    ),
    "net/w8a16/c/virtual-f405/hil.json": (
        {
            "metric": METRIC,
            "simulated": False,
            "valid": True,
            "bit_exact": True,
            "latency": {"ms": {"p50": 7.25}, "counts": "instructions"},
        },
        "VALID, bit-exact, CER 9.50 %, 7.25 ms modelled",
    ),
    "net/w8a16/c/virtual-f405/profile.json": (
        {"bit_exact": False, "total": {"macc_per_s": 12.5e6, "instructions_per_s": None}},
        "NOT bit-exact, 12.50 million MACs per second",
    ),
    "net/w8a16/crosscheck.json": (
        {
            "columns": [
                {"engine": "native", "bit_exact": True},
                {"engine": "board", "bit_exact": False},
            ]
        },
        "NOT bit-exact: of board, against the integer reference",
    ),
    "net/compressed/compress.json": (
        {
            "missed": [],
            "simulated": False,
            "scores": {"metric": "CER", "unit": "%", "errors": {"float": 9.0, "integers": 9.4}},
        },
        "within budget, CER 9.40 %, integers",
    ),
    "net/w8a16/drift.json": (
        {
            "simulated": False,
            "allowed": 0.5,
            "minutes": [
                {"minute": 1, "float": 10.0, "quantized": 10.1},
                {"minute": 9, "float": 10.0, "quantized": 10.3},
            ],
        },
        "no drift: integers lose +0.2000 more in minute 9 than in minute 1",
    ),
    "net/w8a16/faults.json": (
        {"wrong": 0, "frames": {"damaged": 1200}},
        "0 wrong results accepted, 1,200 damaged frames",
    ),
    "net/w8a16/diagnose.json": ({"first_difference": None}, "no difference"),
    "pareto/pareto-pose.json": (
        [
            {
                "model": "net",
                "precision": "w8a16",
                "mae": 8.125,
                "simulated": False,
                "source": "recordings",
            },
            {
                "model": "net",
                "precision": "float",
                "mae": 1.0,
                "simulated": False,
                "source": "published, real recordings",
            },
        ],
        "1 point of 1 network, lowest MAE 8.12 of net w8a16",
    ),
    "bench/kernels.json": ([{"met": True}, {"met": None}], "1 of 1 targets met, 2 rows"),
    "fuzz.json": (
        {"total": {"wrong": 0, "crashes": 1, "hangs": 0}, "readers": {"a": {}}},
        "1 reader: 0 wrong, 1 crashes, 0 hangs",
    ),
}


def put(build: Path, name: str, content: Any, age: int = 0) -> Path:
    """A report of `age` seconds ago."""
    path = build / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    os.utime(path, (1.7e9 - age, 1.7e9 - age))
    return path


def listed(build: Path) -> str:
    return (build / index.NAME).read_text(encoding="utf-8")


def links(build: Path) -> list[str]:
    return [unquote(html.unescape(link)) for link in re.findall('href="([^"]*)"', listed(build))]


def test_every_kind_of_report_is_listed_with_its_headline_newest_first(tmp_path: Path) -> None:
    for age, (name, (content, _)) in enumerate(REPORTS.items()):
        put(tmp_path, name, content, age)
    index.renew(tmp_path)
    text = html.unescape(listed(tmp_path))
    assert links(tmp_path) == list(REPORTS)
    for _, headline in REPORTS.values():
        assert f"<td>{headline}</td>" in text


def test_a_page_is_linked_where_there_is_one(tmp_path: Path) -> None:
    report = put(tmp_path, "net/w8a16/drift.json", REPORTS["net/w8a16/drift.json"][0])
    report.with_suffix(".html").write_text("a page")
    index.renew(tmp_path)
    assert links(tmp_path) == ["net/w8a16/drift.html", "net/w8a16/drift.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"metric": 1}',
        '{"metric": {"unit": []}}',
        "[" * 5000,
        "\ufeff{}",
    ],
)
def test_a_damaged_report_is_listed_as_one(tmp_path: Path, content: str) -> None:
    good = REPORTS["net/w8a16/faults.json"]
    put(tmp_path, "net/w8a16/faults.json", good[0])
    for name in REPORTS:
        if name != "net/w8a16/faults.json":
            put(tmp_path, name, content)
    index.renew(tmp_path)
    text = listed(tmp_path)
    assert good[1] in text and text.count("cannot be read: ") >= len(REPORTS) - 3
    assert len(links(tmp_path)) == len(REPORTS)


def test_names_are_text_and_links_stay_links(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>\"'#?%41 ä"
    put(tmp_path, f"{name}/w8a16/faults.json", REPORTS["net/w8a16/faults.json"][0])
    put(tmp_path, "net/w8a16/diagnose.json", {"first_difference": {"module": f"</td>{name}"}})
    index.renew(tmp_path)
    assert (
        "<img" not in listed(tmp_path)
        and "</td><" not in listed(tmp_path).split("first dif")[1][:40]
    )
    assert all((tmp_path / link).is_file() for link in links(tmp_path))


def test_the_page_is_written_anew_only_when_a_report_came_changed_or_went(tmp_path: Path) -> None:
    first = put(tmp_path, "net/w8a16/faults.json", {"wrong": 1, "frames": {"damaged": 2}})
    index.renew(tmp_path)
    before = (tmp_path / index.NAME).stat().st_ino
    index.renew(tmp_path)
    assert (tmp_path / index.NAME).stat().st_ino == before
    put(tmp_path, "net/w8a8/faults.json", {"wrong": 0, "frames": {"damaged": 3}}, 9)
    index.renew(tmp_path)
    assert len(links(tmp_path)) == 2
    first.unlink()
    index.renew(tmp_path)
    assert links(tmp_path) == ["net/w8a8/faults.json"]
    (tmp_path / links(tmp_path)[0]).unlink()
    index.renew(tmp_path)
    assert links(tmp_path) == []


def test_a_folder_without_reports_gets_no_page(tmp_path: Path) -> None:
    index.renew(tmp_path)
    index.renew(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_somebody_elses_page_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "net/w8a16/faults.json", REPORTS["net/w8a16/faults.json"][0])
    (tmp_path / index.NAME).write_text("<h1>my own</h1>")
    index.renew(tmp_path)
    assert listed(tmp_path) == "<h1>my own</h1>"


def test_what_cannot_be_written_fails_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "net/w8a16/faults.json", REPORTS["net/w8a16/faults.json"][0])

    def full(*_: Any) -> None:
        raise TendonError("the disk is full")

    monkeypatch.setattr(index, "_write", full)
    index.renew(tmp_path)
    assert not (tmp_path / index.NAME).exists()
    monkeypatch.undo()
    (tmp_path / index.NAME).mkdir()
    index.renew(tmp_path)
    assert (tmp_path / index.NAME).is_dir()


def _report(build: Path, number: int) -> None:
    put(build, f"net{number}/w8a16/faults.json", REPORTS["net/w8a16/faults.json"][0])
    index.renew(build)


def test_commands_that_end_at_once_leave_all_their_reports_in_the_page(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    several = [context.Process(target=_report, args=(tmp_path, n)) for n in range(8)]
    for process in several:
        process.start()
    for process in several:
        process.join()
    assert sorted(links(tmp_path)) == [f"net{n}/w8a16/faults.json" for n in range(8)]
    assert not list(tmp_path.glob(f".{index.NAME}*"))


def test_a_command_with_a_build_folder_renews_the_page_also_when_it_fails(tmp_path: Path) -> None:
    put(tmp_path, "net/w8a16/faults.json", REPORTS["net/w8a16/faults.json"][0])
    assert tendon(["pareto", "--checkpoints", str(tmp_path), "--build", str(tmp_path)]) != 0
    assert links(tmp_path) == ["net/w8a16/faults.json"]
