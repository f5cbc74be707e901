"""Budgets of the command that compresses: what the image takes beside its tables is measured, and
whatever four bits everywhere meet is met."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import footprint
from bench.compression import beside
from bench.tendon import main as tendon
from compress import artifacts, pipeline
from compress.artifacts import Folder, Sources
from compress.compression import choose
from compress.compression.budget import Budget, BudgetError
from compress.compression.candidates import Form, Layer
from compress.compression.cost import Matrix
from compress.frontend.own.named import named
from export import boards, build

BOARD = "virtual-f405"
FILE = """
import torch
from torch import nn

SAMPLE_RATE, ELECTRODES, TASK = 500, 8, "classes"

def network():
    return nn.Sequential(
        nn.Conv1d(8, 48, 5, stride=5), nn.GELU(),
        nn.Conv1d(48, 96, 1), nn.GELU(), nn.Conv1d(96, 96, 1), nn.GELU(), nn.Conv1d(96, 4, 1),
    )
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A network with large matrices and small ones, and two recordings."""
    path, rng = tmp_path / "small.py", np.random.default_rng(0)
    path.write_text(FILE)
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        emg, label = rng.normal(size=(4000, 8)), np.arange(4000) // 500 % 4
        np.savez(tmp_path / "data" / f"{name}.npz", emg=emg, rate=500, label=label)
    return path


def compress(file: Path, flash: int) -> tuple[int, dict[str, Any]]:
    options = f"--flash {flash} --board {BOARD} --steps 0 --data {file.parent / 'data'}"
    code = tendon(
        ["compress", "--model", str(file), "--build", str(file.parent / "build"), *options.split()]
    )
    found = file.parent / "build" / "small" / "compressed" / "compress.json"
    return code, json.loads(found.read_text()) if found.is_file() else {}


def in_four_bits(file: Path) -> int:
    """Flash of the image with four bits everywhere."""
    network = named(str(file))
    folder = Folder(file.parent / "build", "small", "w4a16", network=network)
    whole = artifacts.whole_checkpoint(folder, Sources())
    graph = pipeline.graphs(folder, whole, Sources(data=file.parent / "data"))
    image = build.make_firmware(graph, folder, BOARD)
    return footprint.read(image, boards.load_board(BOARD).memory).flash


def test_a_budget_that_four_bits_everywhere_meet_is_met(file: Path) -> None:
    flash = in_four_bits(file)
    code, found = compress(file, flash)
    assert code == 0 and found["measured"]["flash"] == flash
    assert all(row["forms"][row["chosen"]]["bits"] == 4 for row in found["layers"])


@pytest.mark.parametrize("more", [1 << 10, 6 << 10])
def test_a_budget_that_is_a_little_larger_is_not_missed(file: Path, more: int) -> None:
    flash = in_four_bits(file) + more
    code, found = compress(file, flash)
    assert code == 0 and found["measured"]["flash"] <= flash
    code = found["measured"]["flash"] - found["measured"]["tables"]
    assert code <= found["request"]["budget"]["code"] <= code + beside.EIGHT_BITS


def test_a_budget_below_four_bits_is_refused_with_what_they_take(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compress(file, in_four_bits(file) - 64) == (1, {})
    assert "the smallest that can be chosen takes" in capsys.readouterr().err


def test_matrices_of_the_same_bits_leave_code_to_spare() -> None:
    def layer(name: str, *sizes: int) -> Layer:
        forms = tuple(
            Form(bits, None, size, 0.0, 0.0) for bits, size in zip((8, 4), sizes, strict=False)
        )
        return Layer(name, Matrix(1, 1, 1.0, 1), 1, forms, {})

    budget = Budget(1000, code=500, one_width=100, other_tables=0, share=1.0)
    same = [layer("a", 500, 300), layer("b", 500, 300)]
    assert [f.bits for f in choose.choose(same, {}, budget).forms] == [4, 4]
    with pytest.raises(BudgetError, match="within 500 bytes"):
        choose.choose([layer("a", 500, 300), layer("b", 300)], {}, budget)
