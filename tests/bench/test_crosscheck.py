"""The cross-check: no engine is left out silently, what is compared is compared word by word, and
the page shows all of it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from bench.crosscheck import command as crosscheck
from bench.crosscheck import page as crosscheck_page
from bench.crosscheck import text as crosscheck_text
from bench.crosscheck.command import Ran
from bench.tendon import main as tendon
from compress import graph as g
from compress.artifacts import Folder
from compress.errors import TendonError
from compress.graph.samples import Signal, to_real
from compress.tasks.recorded import Recorded
from compress.tasks.typing.task import Typed
from host import engines
from host.engines import Artifacts
from host.names import FLOAT
from tests.conftest import ROOT

FRAMES = 640


@pytest.fixture
def made(quantized, tmp_path):
    def make(name: str = "TC_S4_small") -> Artifacts:
        real, integer = quantized(name, "w8a16")
        return Artifacts(Folder(tmp_path, name, "w8a16"), tmp_path / "none.ckpt", real, integer)

    return make


def results(graph: g.Graph, wrong: str | None = None) -> dict[str, Ran]:
    """Every engine gives the same words, but one that may differ in a single word."""
    words = np.random.default_rng(0).integers(-20000, 0, (FRAMES, 99)).astype(np.int16)
    other = words.copy()
    other[17, 3] += 1
    return {
        name: Ran(
            [to_real(graph, other if name == wrong else words)],
            None if name in FLOAT else [other if name == wrong else words],
            f"{name} 1.0",
        )
        for name in crosscheck.TITLES
    }


def stretch(tmp_path, text: str = "") -> Recorded:
    path = tmp_path / "signal.npy"
    path.write_bytes(b"signal")
    return Recorded(path, Signal(np.zeros((FRAMES * 96, 32), np.float32)), Typed(text, []))


def test_all_eight_columns_are_in_the_table_the_json_and_the_page(made, tmp_path):
    artifacts = made()
    report = crosscheck.report_of(
        artifacts, [stretch(tmp_path, "some text " * 4)], "virtual-f405", results(artifacts.integer)
    )
    page, table = crosscheck_page.html(report), crosscheck_text.table(report)
    assert [c["engine"] for c in report["columns"]] == list(crosscheck.TITLES) and len(
        report["columns"]
    ) == 8
    for column in report["columns"]:
        assert column["title"] in page and column["title"] in table and column["version"] in table
        assert column["low"] <= column["cer"] <= column["high"]
    assert {c["engine"] for c in report["columns"] if c["bit_exact"]} == {*crosscheck.TITLES} - {
        *FLOAT
    }
    assert "<svg" in page and "src=" not in page and 'href="http' not in page
    assert "BIT-EXACT" in page and "NOT BIT-EXACT" not in page


@pytest.mark.parametrize("wrong", ["native", "board"])
def test_one_wrong_word_of_the_c_is_seen(wrong, made, tmp_path):
    artifacts = made()
    report = crosscheck.report_of(
        artifacts, [stretch(tmp_path)], "posix", results(artifacts.integer, wrong)
    )
    assert [c["engine"] for c in report["columns"] if c["bit_exact"] is False] == [wrong]
    assert "NOT BIT-EXACT" in crosscheck_page.html(report)
    assert all(c["cer"] is None for c in report["columns"])


@pytest.mark.parametrize("engine", sorted(crosscheck.PACKAGES))
def test_an_engine_that_is_not_there_is_an_error_and_not_an_empty_column(
    engine, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(engines, "LOCAL", tuple(set(crosscheck.TITLES) - {engine, "board"}))
    assert tendon(["crosscheck", "--build", str(tmp_path)]) == 1
    assert f"has no {engine}" in capsys.readouterr().err


def test_other_words_of_other_kernels_are_explained(made, tmp_path):
    artifacts = made()
    for wrong, said in (("litert", True), ("native", False)):
        ran = results(artifacts.integer, wrong)
        report = crosscheck.report_of(artifacts, [stretch(tmp_path)], "posix", ran)
        table = crosscheck_text.table(report)
        remark = "TFLite (LiteRT): last bits differ, for their kernels round differently"
        assert (remark in table) == said
        assert (remark in crosscheck_page.html(report)) == said


@pytest.mark.parametrize(("steps", "enough"), [(8, True), (7, False)])
def test_some_frames_are_enough_and_less_is_refused(made, steps, enough, tmp_path):
    artifacts, path = made(), tmp_path / "short.npy"
    step, begin = artifacts.integer.samples_per_step, artifacts.integer.start_up
    np.save(path, np.random.default_rng(0).normal(size=(step * (begin + steps), 2, 16)))
    args = SimpleNamespace(input=path, seconds=30.0, data=None, calibration=None)
    if enough:
        assert len(crosscheck._stretches(args, artifacts)) == 1
        return
    with pytest.raises(TendonError, match="at least 8 output frames behind the start-up"):
        crosscheck._stretches(args, artifacts)


def test_the_board_is_the_smallest_emulated_one_that_is_large_enough(made):
    assert crosscheck.first_board(made()) == "virtual-f405"
    assert crosscheck.first_board(made("S4_large")) == "virtual-m7"


def test_without_a_board_that_is_large_enough_each_one_s_shortfall_is_told(made, monkeypatch):
    monkeypatch.setattr(crosscheck.boards, "names", lambda: ["virtual-f405"])
    with pytest.raises(
        TendonError, match=r"no emulated board is large enough[^\n]*\n.*virtual-f405"
    ):
        crosscheck.first_board(made("S4_large"))


def test_the_shipped_network_agrees_in_all_eight_columns_over_half_a_minute(simulated, capsys):
    """On the same held-out recording, the board being a process of the same application."""
    build = ROOT / "build"
    assert tendon(["crosscheck", "--build", str(build), "--board", "posix"]) == 0
    report = json.loads((build / "TC_S4_small/w8a16/crosscheck.json").read_text())
    column = {c["engine"]: c for c in report["columns"]}
    assert (
        list(column) == list(crosscheck.TITLES) and report["seconds"] >= 30 and report["simulated"]
    )
    assert column["onnx"]["sqnr_db"] > 120 and column["onnx"]["agreement"] == 1.0
    for engine in ("onnx-qdq", "litert", "tflm", "integer", "native", "board"):
        assert column[engine]["sqnr_db"] > 50 and column[engine]["agreement"] >= 0.99
        assert abs(column[engine]["cer"] - column["torch"]["cer"]) <= 0.3
    assert column["native"]["bit_exact"] and column["board"]["bit_exact"]
    assert (
        build / "TC_S4_small/w8a16/crosscheck.html"
    ).is_file() and "TFLM interpreter" in capsys.readouterr().out
