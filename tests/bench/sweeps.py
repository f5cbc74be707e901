"""A small sweep, and what of its points does not depend on where it ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.pareto import FLOAT
from bench.tendon import main as tendon
from compress.data.simulator import pose
from compress.frontend import checkpoint
from compress.frontend.families import build
from tests import toy
from tests.compress.test_pose_networks import tiny

NAME = "tiny"


def make(folder: Path) -> Path:
    """Three short sessions and an untrained network that fits the smallest board."""
    toy.need("arm-none-eabi-gcc", "qemu-system-arm")
    for number in range(3):
        path = folder / "data" / f"pose-{number}.hdf5"
        pose.write(path, pose.simulate("heldout", number, 3.0, seed=5), path.stem)
    torch.manual_seed(2)
    config = tiny("StatePoseModule") | {"provide_initial_pos": True}
    checkpoint.save(folder / f"{NAME}.ckpt", build(config).eval(), config)
    return folder


def arguments(folder: Path, to: str, *more: str) -> list[str]:
    """Of a sweep of that network, into a build folder of that name."""
    places = ["--checkpoints", str(folder), "--data", str(folder / "data")]
    chosen = ["--models", NAME, "--precisions", FLOAT, "w8a16"]
    return ["pareto", *places, *chosen, "--build", str(folder / to), *more]


def points(folder: Path, to: str, *more: str) -> list[dict[str, Any]]:
    """All that stands in the points file but times."""
    assert tendon(arguments(folder, to, *more)) == 0
    found = json.loads((folder / to / "pareto" / "pareto-pose.json").read_text())
    return [{key: value for key, value in point.items() if key != "pace"} for point in found]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a sweep needs."""
    return make(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def alone(here: Path) -> list[dict[str, Any]]:
    """Its points without a cluster."""
    return points(here, "alone", "--backend", "threading")
