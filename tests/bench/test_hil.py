"""Hardware in the loop: what the board answers is compared word by word, scored and timed; what
makes a run invalid is named."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.hil import assemble, language, measurement, page, schema, streaming, text
from bench.hil.formats import C
from bench.tendon import main as tendon
from compress.artifacts import Folder, Sources
from compress.data import datasets
from compress.data.simulator.session import simulate, write
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.tasks.typing import scores
from compress.tasks.typing.simulated import COLLECTION as TYPING
from compress.tasks.typing.text import TypedText
from export.c.project import build_project
from host import engines
from host.boards import Board, ProcessBoard, open_board
from host.decode import StreamDecoder
from host.lm import SHIPPED
from tests import toy
from tests.conftest import Cases

SECONDS = 6.5  # of each session
STREAMED = 4.0  # `make demo` streams 15
FRAMES = 84  # of 48 ms, the first number that makes 4 s


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions of a user's own, and an untrained checkpoint: what is tested holds whatever the
    weights."""
    folder = tmp_path_factory.mktemp("hil")
    for number in range(2):
        write(
            folder / "data" / f"session-{number}.hdf5",
            simulate("heldout", 70 + number, SECONDS),
            f"session-{number}",
        )
    torch.manual_seed(5)
    checkpoint.save(
        folder / "net.ckpt",
        build(HYPER_PARAMETERS["TC_S4_small"]).eval(),
        HYPER_PARAMETERS["TC_S4_small"],
    )
    return folder


def bench(here: Path, command: str, board: str, seconds: float, *more: str) -> int:
    arguments = [
        "--checkpoint",
        str(here / "net.ckpt"),
        "--data",
        str(here / "data"),
        "--build",
        str(here / "build"),
    ]
    return tendon([command, *arguments, "--board", board, "--seconds", str(seconds), *more])


def written(here: Path, board: str, name: str = "hil") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (here / "build/TC_S4_small/w8a16/c" / board / f"{name}.json").read_text()
    )
    return content


@functools.cache
def short_run(here: Path) -> dict[str, Any]:
    """hil.json of three seconds on the posix board."""
    assert bench(here, "hil", "posix", 3.0) == 0
    return written(here, "posix")


def made(here: Path) -> engines.Artifacts:
    return engines.prepare_scored(
        Folder(here / "build", "TC_S4_small", "w8a16"), Sources(here / "net.ckpt", here / "data")
    )


def test_seconds_on_the_emulated_chip_are_valid_and_equal_to_the_last_word(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.need_emulator()
    assert bench(here, "hil", "virtual-f405", STREAMED) == 0
    report = written(here, "virtual-f405")
    assert (report["valid"], report["why_invalid"], report["bit_exact"], report["mismatches"]) == (
        True,
        [],
        True,
        0,
    )
    assert (
        report["frames"] == report["frames_expected"] == FRAMES and report["words"] == FRAMES * 99
    )
    assert report["seconds"] > STREAMED - 0.048
    assert report["graph"] == report["graph_on_board"] and report[
        "checkpoint"
    ] == checkpoint.sha256(here / "net.ckpt")
    assert (
        report["metric"]["quantized"] == report["metric"]["board"]
        and report["metric"]["float"] is not None
    )
    assert report["simulated"] and "simulated" in capsys.readouterr().out
    within_the_limits(report)


def within_the_limits(report: dict[str, Any]) -> None:
    latency = report["latency"]
    assert latency["counts"] == "instructions" and "modelled" in latency["ms_is"]
    assert (
        latency["instructions"]["p50"]
        <= latency["instructions"]["p99"]
        <= latency["instructions"]["max"]
    )
    assert (
        latency["least_ms"]
        <= latency["ms"]["p50"]
        <= latency["most_ms"]
        < latency["deadline_ms"]
        == 48.0
    )
    assert sum(latency["per_frame"]) / report["seconds"] <= 32_000_000
    regions = report["footprint"]["regions"]
    assert regions["flash"]["bytes"] <= 480 * 1024 and regions["ram"]["bytes"] <= 96 * 1024
    assert 0 < report["stack"]["used"] < report["stack"]["size"]
    assert report["plan_differences"] == []
    assert report["line"]["overruns"] == report["line"]["bytes_dropped"] == 0


def test_the_page_needs_nothing_else_and_names_what_its_figures_are(here: Path) -> None:
    short_run(here)
    page = (here / "build/TC_S4_small/w8a16/c/posix/hil.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!#)|<script|<link|@import|url\((?!#)""", page)
    assert page.count("<svg") == page.count("</svg>") >= 3
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert (
        "simulated" in page
        and "real recordings" in page
        and "VALID" in page
        and "BIT-EXACT" in page
    )


def test_with_a_character_model_the_same_seconds_are_read_once_more(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = short_run(here)
    assert plain["language"] is None
    assert bench(here, "hil", "posix", 3.0, "--lm", str(SHIPPED)) == 0
    report, page = (
        written(here, "posix"),
        (here / "build/TC_S4_small/w8a16/c/posix/hil.html").read_text(),
    )
    found = report["language"]
    assert report["valid"] and report["metric"] == plain["metric"]
    assert found["sha256"] == checkpoint.sha256(SHIPPED) and "train prompts" in found["caveat"]
    assert found["text"]["board"] == found["text"]["quantized"] and len(
        found["text"]["float"]
    ) == len(report["text"])
    assert (
        found["metric"]["board"] == found["metric"]["quantized"]
        and found["metric"]["float"] is not None
    )
    assert found["metric"]["low"] <= found["metric"]["board"] <= found["metric"]["high"]
    out = capsys.readouterr().out
    assert all(
        text.count("with language model") >= 2 and found["caveat"] in text for text in (out, page)
    )


def test_whole_sessions_are_scored_with_the_model_as_its_decoder_reads_them(cases: Cases) -> None:
    read = json.loads((cases / "typing/decode.json").read_text())
    frames, targets = np.load(cases / "typing/decode.npz"), [case["target"] for case in read]
    real = [frames[case["emissions"]] for case in read]
    words = [np.maximum(np.round(f * 256), -32768).astype(np.int16) for f in real]
    found = language.heldout(
        TypedText(),
        cases / "typing/reuters-3-gram-char-lm.arpa",
        targets,
        real,
        words,
        1 / 256,
    )
    texts = [case["beam50_top10_lm2_bonus2"] for case in read]
    assert found["float"] == scores.score_texts(texts, targets).cer
    assert (
        found["low"] <= found["native"] - found["float"] <= found["high"]
        and abs(found["native"] - found["float"]) < 2.0
    )


def test_a_model_that_is_none_is_known_before_anything_runs(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made(here)
    monkeypatch.setattr(measurement, "stream", lambda *_: pytest.fail("streamed"))
    assert bench(here, "hil", "posix", 3.0, "--lm", str(here / "net.ckpt")) == 1
    assert "net.ckpt: KenLM cannot read it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"graph_on_board": "0" * 64}, "model hash: expected .*, the board carries 0000"),
        ({"frames": 61}, "output frames: expected 63, received 61"),
        ({"words": 100}, "output words: expected 6237 to compare, found 100"),
        (
            {
                "mismatches": 2059,
                "first_mismatch": "recording 0, frame 1, word 3: expected 0, found 7",
            },
            "output words: 2,059 of 6,237 differ from the integer reference; recording 0, frame 1,",
        ),
        ({"seconds": 2.0}, "seconds: 3 were requested, the recordings gave 2"),
        ({"stack": {"used": 4096, "size": 4096}}, "stack: 4096 of 4096 bytes were used"),
        ({"plan_differences": ["arena: planned 8 bytes, the image has 16"]}, "memory plan: arena"),
    ],
)
def test_whatever_makes_a_run_prove_nothing_is_named(
    here: Path, change: dict[str, Any], reason: str
) -> None:
    report = short_run(here)
    assert schema.validity(report) == []  # type: ignore[arg-type]
    assert re.match(reason, schema.validity(report | change)[0])  # type: ignore[arg-type, operator]


def test_a_board_without_a_counter_has_no_latency_and_says_so(here: Path) -> None:
    assert bench(here, "hil", "posix", 2.0) == 0
    report = written(here, "posix")
    assert report["latency"]["ms"] is None and "counts nothing" in report["latency"]["ms_is"]
    assert (
        report["footprint"] is None and report["real_time_factor"] is None and report["bit_exact"]
    )


def test_the_demo_adds_the_held_out_sessions_and_prints_where_the_report_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(here, "demo", "posix", 2.0) == 0
    printed = capsys.readouterr().out
    held = written(here, "posix", "demo")["heldout"]
    assert held["amount"] > 0 and held["low"] <= held["native"] - held["float"] <= held["high"]
    assert re.search(r"report: .*demo\.html\n$", printed)
    assert "held-out characters" in printed and "GMAC/s" in printed


def test_fewer_seconds_than_asked_for_make_the_run_invalid(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(here, "hil", "posix", 60.0) == 1
    report = written(here, "posix")
    assert not report["valid"] and report["bit_exact"]
    assert report["why_invalid"] == ["seconds: 60 were requested, the recordings gave 6.48"]
    assert "INVALID: seconds: 60 were requested" in capsys.readouterr().out


def test_a_run_survives_the_loss_of_its_board(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards: list[ProcessBoard] = []
    monkeypatch.setattr(streaming, "StreamDecoder", decoder_that(lambda: boards[0].kill(), at=9))
    monkeypatch.setattr(measurement, "open_board", remembering(boards))
    artifacts = made(here)
    outcome = measurement.run(
        artifacts, datasets.find(here / "data", here / "build", TYPING), "posix", None, 2.0
    )
    assert len(boards) == 2 and outcome.report["line"]["resumed"] == 1
    (reset,) = outcome.report["resets"]
    assert (reset["frames"], reset["cause"]) == (10, "unknown") and "does not say" in reset["text"]
    assert (
        outcome.report["valid"] and outcome.report["bit_exact"] and outcome.report["frames"] == 42
    )


def test_a_fault_in_the_middle_of_a_run_is_in_its_report(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first image faults at its 100th frame of the line; the run ends on the right one."""
    toy.need_emulator()
    artifacts, board = made(here), "virtual-f405"
    image = C().build(artifacts, board)
    shutil.copytree(image.parent / "project", tmp_path / "p")
    app = tmp_path / "p/app/app.c"
    counted = "        counts.frames_good++;\n"
    assert counted in app.read_text()
    fault = f"{counted}        if (counts.frames_good == 100)\n            __builtin_trap();\n"
    app.write_text(app.read_text().replace(counted, fault))
    images = [build_project(tmp_path / "p", board), image]

    def opened(name: str, _: Path, *arguments: Any, **options: Any) -> Board:
        return open_board(name, images.pop(0), *arguments, **options)

    monkeypatch.setattr(measurement, "open_board", opened)
    recordings = datasets.find(here / "data", here / "build", TYPING)
    report = measurement.run(artifacts, recordings, board, None, 1.0).report
    assert report["valid"] and report["bit_exact"] and report["line"]["resumed"] == 1
    (reset,) = report["resets"]
    assert (reset["cause"], reset["function"], reset["file"]) == ("fault", "app_turn", "app/app.c")
    assert reset["frames"] > 5 and "undefined instruction, in app_turn (app/app.c" in reset["text"]


def test_why_a_board_was_reset_is_told_on_console_and_page(here: Path) -> None:
    plain = short_run(here)
    assert (plain["resets"], plain["fault_before"], plain["external_memory"]) == ([], "", "")
    fault = "the board was reset by a fault: HardFault, division by zero, in f (nn/f.c:3)"
    told = {"cause": "fault", "text": fault, "function": "f", "file": "nn/f.c", "line": 3, "pc": 8}
    before, memory = "2 starts ago there was a fault", "octal flash at 200 MB/s"
    report = plain | {
        "resets": [{"frames": 1250, **told}],
        "fault_before": before,
        "external_memory": memory,
    }
    console = text.console_report(report)  # type: ignore[arg-type]
    facts = page._told(report)  # type: ignore[arg-type]
    for said in (fault, before, memory):
        assert said in console and any(said in str(fact) for fact in facts.values())
    assert "lost after 1,250 frames" in console and "after 1,250 frames" in facts["lost, 1"]


def decoder_that(act: Callable[[], None], at: int) -> type[StreamDecoder]:
    """A decoder that does something when its n-th frame arrives."""

    class Acting(StreamDecoder):
        def push(self, frame: Any) -> str:
            if self.frames == at:
                act()
            return super().push(frame)

    return Acting


def remembering(boards: list[ProcessBoard]) -> Callable[..., ProcessBoard]:
    def opened(*arguments: Any, **options: Any) -> ProcessBoard:
        board = open_board(*arguments, **options)
        assert isinstance(board, ProcessBoard)
        boards.append(board)
        return board

    return opened


def test_less_than_one_frame_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(here, "hil", "posix", 0.01) == 1
    assert "expected at least one output frame" in capsys.readouterr().err


def test_one_wrong_word_is_found_and_named() -> None:
    expected = [np.arange(20, dtype=np.int16).reshape(4, 5), np.zeros((2, 5), np.int16)]
    found = [e.copy() for e in expected]
    assert assemble.comparison(expected, found) == {
        "words": 30,
        "mismatches": 0,
        "first_mismatch": None,
        "bit_exact": True,
    }
    found[1][1, 3] = 7
    compared = assemble.comparison(expected, found)
    assert (compared["bit_exact"], compared["mismatches"]) == (False, 1)
    assert compared["first_mismatch"] == "recording 1, frame 1, word 3: expected 0, found 7"


def test_missing_frames_are_not_bit_exact() -> None:
    expected = [np.zeros((4, 5), np.int16)]
    compared = assemble.comparison(expected, [expected[0][:3]])
    assert (compared["bit_exact"], compared["words"], compared["mismatches"]) == (False, 15, 0)
