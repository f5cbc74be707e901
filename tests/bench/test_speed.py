"""`make bench`: every target is met, and CMSIS-NN is found where the user says it is, or what is
missing is named."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.speed import cmsis_nn, kernels, networks, peers, peers16
from bench.speed.cmsis_nn import CmsisNnError
from bench.speed.layers import LAYERS, Layer
from bench.speed.peers16 import Filters, Products, Shares
from bench.speed.rows import rows
from bench.tendon import main as tendon
from compress.data import datasets
from export import compilers
from tests import toy

TWIN = Path(__file__).parent / "cmsis_nn_twin"
SHAPES = (Layer("7→5", 7, 5), Layer("conv 3ch k2 s1 → 4, 3 outputs", 3, 4, 2, 1, 3))
SIXTEEN = (
    Filters("6ch k3, 4 frames", 6, 3, 4),
    Products("3 × 5, 2 × 7", 2, 3, 5, 7),
    Shares("3 × 9", 3, 9),
)
SOFT, HARD = "-mfloat-abi=soft", "-mfloat-abi=hard"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    toy.need("arm-none-eabi-gcc", compilers.clang())
    toy.need_emulator()
    with pytest.MonkeyPatch.context() as patch:
        # counts to a fraction of a percent; `make bench` counts until they are exact
        patch.setattr(kernels, "INSTRUCTIONS", 100_000)
        patch.setattr(kernels, "REPEATS", 4)
        return kernels.measure(tmp_path_factory.mktemp("tools"))


def test_every_kernel_meets_its_target_and_stands_on_its_floor(table: list[dict[str, Any]]) -> None:
    missed = [
        f"{r['core']} {r['precision']} {r['shape']}: {r['per_mac']} > {r['target_per_mac']}"
        for r in table
        if r["met"] is False
    ]
    assert missed == []
    for row in table:
        assert row["floor_per_mac"] is None or row["floor_per_mac"] <= row["per_mac"], row
        assert (row["floor"] is None) == (row["floor_per_mac"] is None)


def test_every_layer_with_a_target_is_a_row(table: list[dict[str, Any]]) -> None:
    found = {
        (r["shape"], r["core"], r["precision"]): r["target_per_mac"]
        for r in table
        if r["kernel"].startswith("linear")
    }
    for layer in LAYERS:
        for (core, precision), target in layer.targets.items():
            assert found[layer.shape, core, precision] == target
    states = {
        (r["core"], r["precision"]): r["target_per_mac"] for r in table if r["kernel"] == "s4d"
    }
    m4, m55 = ("cortex-m4", "w8a16"), ("cortex-m55", "w8a16")
    assert states == {m4: 14, ("cortex-m7", "w8a16"): 14, m55: 6, ("cortex-m55", "w8a8"): 6}
    steps = {
        (r["core"], r["precision"]): r["target_per_mac"]
        for r in table
        if r["kernel"] == "lstm step"
    }
    assert steps == {m4: 1.35, ("cortex-m7", "w8a16"): 1.35, m55: 0.4, ("cortex-m55", "w8a8"): 0.4}


def test_a_layer_of_several_calls_is_their_sum(table: list[dict[str, Any]]) -> None:
    """A step of an LSTM is its linear layer, a cell of 512 and two copies; it stands beside
    CMSIS-NN's and is ahead of it."""
    by = {
        (r["core"], r["precision"], r["kernel"]): r
        for r in table
        if r["kernel"] in ("lstm step", "lstm_cell", "tds conv")
    }
    for core in ("cortex-m4", "cortex-m7", "cortex-m55"):
        step, cell = by[core, "w8a16", "lstm step"], by[core, "w8a16", "lstm_cell"]
        assert step["macs"] == 596 * 2048 and step["ratio"] > 1.9
        assert step["floor_per_mac"] * step["macs"] + cell["instructions"] < step["instructions"]
        assert by[core, "w8a16", "tds conv"]["macs"] == 32 * 16 * 144 * 16


def test_filters_attention_and_softmax_take_half_of_cmsis_nn_on_armv7e_m(
    table: list[dict[str, Any]],
) -> None:
    beside = [r for r in table if r["peer"] and "int16" in r["peer"]]
    kernels_of = {(r["kernel"], r["core"]) for r in beside}
    names = {"depthwise conv", "attention_scores", "attention_context", "softmax"}
    cores = ("cortex-m4", "cortex-m7", "cortex-m55")
    assert kernels_of == {(name, core) for name in names for core in cores}
    assert all(r["ratio"] >= 2 for r in beside if r["core"] != "cortex-m55")
    assert all(r["ratio"] > 1.5 for r in beside)


def test_the_figures_of_a_row_fit_together(table: list[dict[str, Any]]) -> None:
    for row in table:
        assert row["per_mac"] == pytest.approx(row["instructions"] / row["macs"], abs=1e-4)
        assert (row["ratio"] is None) == (row["peer_per_mac"] is None) == (row["peer"] is None)
        if row["ratio"]:
            assert row["ratio"] == pytest.approx(
                row["peer_instructions"] / row["instructions"], abs=1e-3
            )
        assert f"-mcpu={row['core']}" in row["flags"] and "-O3" in row["flags"]
        assert "clang version" in row["clang"]
        if row["modelled_cycles"] is None:
            assert row["cycles_are"].startswith("not modelled: ")
        else:
            assert (
                row["cycles_least"] <= row["modelled_cycles"] <= row["cycles_most"]
                and "modelled, not measured" in row["cycles_are"]
            )
    page = kernels.format_table(table)
    assert all(layer.shape in page for layer in LAYERS) and "MISSED" not in page


def test_clang_takes_about_what_gcc_takes(table: list[dict[str, Any]]) -> None:
    """Its count stands in each line; sums over the dense layers are within 3 %."""
    page = kernels.format_table(table)
    for row in table:
        assert row["clang_instructions"] <= 1.25 * row["instructions"], row
        assert f"{row['instructions']:>10}{row['clang_instructions']:>10}" in page
    dense = [row for row in table if row["kernel"].startswith("linear")]
    sums = [sum(row[key] for row in dense) for key in ("clang_instructions", "instructions")]
    assert sums[0] <= 1.03 * sums[1]


def test_without_clang_gcc_is_counted_alone_and_it_is_said(
    table: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[bool] = []

    def alone(tools: Path, beside: Any, with_clang: bool) -> list[dict[str, Any]]:
        asked.append(with_clang)
        return [row | {"clang": None, "clang_instructions": None} for row in table]

    monkeypatch.setenv("CLANG", "no-such-clang")
    monkeypatch.setattr(kernels, "measure", alone)
    monkeypatch.setattr(networks, "measure", lambda build, with_clang: [])
    assert tendon(["bench", "--build", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert asked == [False]
    assert "no clang of 15 or later is installed: counts of gcc alone" in said.err
    assert "clang: none is installed that is new enough" in said.out


def test_a_large_table_is_streamed_from_flash_on_the_modelled_chip(
    table: list[dict[str, Any]],
) -> None:
    """Every 16 bytes of weights, a line of the flash's cache, wait for it once: 5 cycles on an
    STM32F405; every 32 on an STM32H743, 20 cycles of its faster clock, where instructions take less
    than one cycle each on top."""
    rows_of = {(r["core"], r["kernel"], r["shape"]): r for r in table}
    large, on_m7 = (
        rows_of["cortex-m4", "linear", "512→2048"],
        rows_of["cortex-m7", "linear", "512→2048"],
    )
    assert large["modelled_cycles"] > large["instructions"] + 5 * 512 * 2048 / 16
    assert 0.5 < (on_m7["modelled_cycles"] - 20 * 512 * 2048 / 32) / on_m7["instructions"] < 1


def test_a_missed_target_is_said_and_ends_with_1(
    table: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    worse = [
        row | {"met": False} if row["shape"] == "96→192" and row["core"] == "cortex-m4" else row
        for row in table
    ]
    monkeypatch.setattr(kernels, "measure", lambda tools, beside, with_clang: worse)
    monkeypatch.setattr(networks, "measure", lambda build, with_clang: [])
    assert tendon(["bench", "--build", str(tmp_path)]) == 1
    assert "MISSED" in capsys.readouterr().out and (tmp_path / "bench" / "kernels.json").is_file()


def test_a_network_is_counted_on_every_core_and_equals_the_reference(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.need_emulator()
    monkeypatch.setattr(datasets, "CALIBRATION_SECONDS", 10.0)
    (tmp_path / "recordings").symlink_to(simulated)
    found = networks.measure(tmp_path, ("TC_S4_small",), with_clang=False)
    assert {(r["core"], r["precision"]) for r in found} == set(networks.RUNS)
    monkeypatch.setattr(networks, "RUNS", networks.RUNS[-1:])  # `make bench` counts it on every one
    (beside,) = networks.measure(tmp_path, ("TC_S4_small",))
    assert beside["clang_instructions_per_s"] < 1.05 * beside["instructions_per_s"]
    assert beside["clang"] and found[-1] | {"clang": beside["clang"]} == beside | {
        "clang_instructions_per_s": None
    }
    assert all(r["met"] is not False and r["words_equal"] == networks.STEPS * 99 for r in found)
    assert all(
        r["instructions_per_s"]
        == pytest.approx(r["instructions_per_mac"] * r["macs_per_s"], rel=1e-3)
        for r in found
    )
    assert "TC_S4_small" in networks.format_table(found)


# --- CMSIS-NN -------------------------------------------------------------------------------------


def archive(folder: Path, flags: str, symbol: str = "arm_convolve_wrapper_s8") -> Path:
    """A static library of two objects for a core, the second of which defines one function."""
    toy.need("arm-none-eabi-gcc", "arm-none-eabi-ar")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("other", symbol):
        (folder / f"{name}.c").write_text(
            f"int {name}(int x);\nint {name}(int x) {{ return x; }}\n"
        )
        command = [
            "arm-none-eabi-gcc",
            *flags.split(),
            "-mthumb",
            "-c",
            f"{name}.c",
            "-o",
            f"{name}.o",
        ]
        subprocess.run(command, cwd=folder, check=True)
    subprocess.run(
        ["arm-none-eabi-ar", "rcs", "libnn.a", "other.o", f"{symbol}.o"], cwd=folder, check=True
    )
    return folder / "libnn.a"


def checkout(folder: Path) -> Path:
    """Headers without sources."""
    shutil.copytree(TWIN / "Include", folder / "nn" / "Include")
    return folder


@pytest.mark.parametrize(
    ("flags", "core", "calling"),
    [
        ("-mcpu=cortex-m4 -mfloat-abi=soft", "cortex-m4", {SOFT}),
        (
            "-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16",
            "cortex-m4",
            {HARD, "-mfpu=fpv4-sp-d16"},
        ),
        ("-mcpu=cortex-m7 -mfloat-abi=soft", "cortex-m4", {SOFT}),
        ("-mcpu=cortex-m55 -mfloat-abi=hard", "cortex-m55", {HARD}),
        ("-mcpu=cortex-m55 -mfloat-abi=softfp", "cortex-m55", {"-mfloat-abi=softfp"}),
        ("-mcpu=cortex-m55+nomve -mfloat-abi=soft", None, set()),
        ("-mcpu=cortex-m3", None, set()),
        ("-mcpu=cortex-m33 -mfloat-abi=soft", None, set()),
    ],
)
def test_the_core_of_a_library_is_read_from_its_objects(
    flags: str, core: str | None, calling: set[str], tmp_path: Path
) -> None:
    attributes = cmsis_nn.attributes_of(archive(tmp_path, flags))
    assert attributes is not None
    found = cmsis_nn.core_for(attributes)
    assert (found.name if found else None) == core
    if found:
        assert set(cmsis_nn.calling_flags(found, attributes)) == {
            f"-mcpu={core}",
            "-mthumb",
            *calling,
        }


def test_libraries_are_found_below_the_folder_the_nearest_first(tmp_path: Path) -> None:
    checkout(tmp_path)
    archive(tmp_path / "a" / "far" / "away", "-mcpu=cortex-m4")
    near = archive(tmp_path / "z", "-mcpu=cortex-m4")
    vectors = archive(tmp_path / "m55", "-mcpu=cortex-m55 -mfloat-abi=hard")
    archive(
        tmp_path / "a" / "something-else", "-mcpu=cortex-m55 -mfloat-abi=hard", symbol="arm_fir_q15"
    )
    found = cmsis_nn.find(tmp_path, tmp_path / "cache")
    assert [(library.core.name, library.archive) for library in found] == [
        ("cortex-m4", near),
        ("cortex-m55", vectors),
    ]
    assert all(library.include == tmp_path / "nn" / "Include" for library in found)
    assert found[0].made == "as built: z/libnn.a"


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        CmsisNnError, match=r"expected Include/arm_nnfunctions.h there or below it, found none"
    ):
        cmsis_nn.find(tmp_path, tmp_path)
    archive(checkout(tmp_path) / "m3", "-mcpu=cortex-m3")
    with pytest.raises(
        CmsisNnError,
        match=r"expected a library.*cortex-m4 or cortex-m55, or its sources.*found neither",
    ):
        cmsis_nn.find(tmp_path, tmp_path)
    assert tendon(["bench", "--build", str(tmp_path), "--cmsis-nn", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: expected Include/arm_nnfunctions.h" in capsys.readouterr().err


def test_a_damaged_library_is_an_error_and_other_files_are_not(tmp_path: Path) -> None:
    whole = archive(tmp_path / "made", "-mcpu=cortex-m4").read_bytes()
    at = whole.index(b"\x7fELF", whole.index(b"\x7fELF") + 1)
    damaged = tmp_path / "damaged.a"
    for content in (whole[:at] + b"nothing" + whole[at + 7 :], whole[: at - 30], whole[:40]):
        damaged.write_bytes(content)
        with pytest.raises(
            CmsisNnError,
            match=r"damaged\.a: expected a whole library of ELF objects, found .*; build it again",
        ):
            cmsis_nn.attributes_of(damaged)
    for content in (b"", b"!<arch>\n", b"!<thin>\n/ ", b"text"):
        damaged.write_bytes(content)
        assert cmsis_nn.attributes_of(damaged) is None


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_of_archives(content: bytes) -> None:
    for raw in (content, cmsis_nn.MAGIC + b"/ " + content):
        with contextlib.suppress(ValueError):
            cmsis_nn._defining_member(raw)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_sources_are_compiled_and_their_layers_counted_on_the_core(
    core: str, tmp_path: Path
) -> None:
    toy.need("arm-none-eabi-gcc", "arm-none-eabi-ar")
    toy.need_emulator()
    library = next(found for found in cmsis_nn.find(TWIN, tmp_path) if found.core.name == core)
    first = library.archive.stat().st_mtime_ns
    assert (
        cmsis_nn.find(TWIN, tmp_path)[0].archive.parent.parent == tmp_path
        and library.archive.stat().st_mtime_ns == first
    )
    found = peers.measure(library, SHAPES)
    assert found == peers.measure(library, SHAPES), "exact, so the same every time"
    for layer in SHAPES:
        assert 2 * layer.macs < found[layer.shape] < 40 * layer.macs + 1000


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_operators_of_16_bits_are_compiled_and_counted_on_the_core(
    core: str, tmp_path: Path
) -> None:
    toy.need("arm-none-eabi-gcc", "arm-none-eabi-ar")
    toy.need_emulator()
    library = next(found for found in cmsis_nn.find(TWIN, tmp_path) if found.core.name == core)
    assert peers16.there(library)
    found = peers16.measure(library, SIXTEEN)
    assert found == peers16.measure(library, SIXTEEN), "exact, so the same every time"
    work = {"6ch k3, 4 frames": 72, "3 × 5, 2 × 7": 210, "3 × 9": 27}
    for shape, least in work.items():
        assert 2 * least < found[shape] < 100 * least + 1000


def test_an_operator_that_answers_something_else_is_not_counted_and_an_old_library_not_asked(
    tmp_path: Path,
) -> None:
    toy.need("arm-none-eabi-gcc")
    toy.need_emulator()
    shutil.copytree(TWIN, tmp_path / "nn")
    source = tmp_path / "nn" / "Source" / "FullyConnectedFunctions" / "twin_s16.c"
    right = source.read_text()
    source.write_text(right.replace("+ 1) >> 1;", "+ 5) >> 1;"))
    with pytest.raises(CmsisNnError, match="6ch k3, 4 frames: expected TFLite's integers, found"):
        peers16.measure(cmsis_nn.find(tmp_path / "nn", tmp_path / "cache")[0], SIXTEEN)
    source.write_text(right.replace("arm_batch_matmul_s16", "arm_batch_matmul_s32"))
    assert not peers16.there(cmsis_nn.find(tmp_path / "nn", tmp_path / "cache")[0])


def test_a_layer_that_answers_something_else_is_not_counted(tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc")
    toy.need_emulator()
    shutil.copytree(TWIN, tmp_path / "nn")
    source = tmp_path / "nn" / "Source" / "FullyConnectedFunctions" / "twin_s8.c"
    source.write_text(re.sub(r"\+ offset;", "+ offset + 2;", source.read_text()))
    with pytest.raises(CmsisNnError, match="expected TFLite's integers, found 5 others"):
        peers.measure(cmsis_nn.find(tmp_path / "nn", tmp_path / "cache")[0], SHAPES)


@given(st.integers(-(2**24), 2**24), st.integers(2**30, 2**31 - 1), st.integers(1, 20))
def test_tflites_requantization_is_within_a_step_of_the_real_product(
    acc: int, multiplier: int, right: int
) -> None:
    exact = Fraction(acc * multiplier, 2**31 << right) + peers.OUTPUT_OFFSET
    found = int(peers.requantize(np.array([acc]), np.array([multiplier]), np.array([right]))[0])
    assert abs(found - min(max(exact, -128), 127)) <= Fraction(3, 4)


def test_peers_measured_now_replace_the_recorded_ones_and_say_so() -> None:
    row = next(row for row in rows() if row.peer is not None and row.core == "cortex-m7")
    recorded = kernels.RECORDED.of(row)
    assert recorded[0] == row.peer and "measured 2026-11" in str(recorded[1])
    measured = kernels.Peers({("cortex-m4", row.shape): 1234}, {"cortex-m4": "CMSIS-NN 12345678"})
    assert measured.of(row) == (1234, "CMSIS-NN 12345678")
