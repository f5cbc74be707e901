"""Shared fixtures. Reference cases lie in ../shared/fixtures; without them a test says so, and
fails in CI."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compress.data import recordings
from compress.tasks.typing.simulated import COLLECTION as TYPING

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "fixtures"
LONG = (  # files that take minutes, the longest first
    "test_accuracy",
    "test_chips",
    "test_project",
    "test_pose_accuracy",
    "test_hil",
    "test_tflite",
    "test_kernels",
    "test_shrink",
)
HYBRID = ("TC_S4_small", "TC_S4_medium", "S4_large")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first, so that two processes end together and not one long after the
    other."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference cases."""
    if not SHARED.is_dir():
        if os.environ.get("CI"):
            pytest.fail(
                f"reference cases are missing: expected {SHARED.name} in the folder `shared` beside"
                " the checkout"
            )
        pytest.skip("reference cases are not beside this checkout (../shared/fixtures)")
    return SHARED


@pytest.fixture(scope="session")
def simulated() -> Path:
    """build/recordings with calibration and held-out sessions; made by one test process while the
    others wait."""
    root = ROOT / "build" / "recordings"
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for split in ("calibration", "heldout"):
            recordings.ensure(root, split, TYPING)
    return root


@pytest.fixture(scope="session")
def published_checkpoint(shared: Path, tmp_path_factory: pytest.TempPathFactory):
    """name -> path of a checkpoint in the published format with untrained weights."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(name: str) -> Path:
        path = folder / f"{name}.ckpt"
        if not path.exists():
            script = shared / "make_checkpoint.py"
            subprocess.run(
                [sys.executable, str(script), name, str(path)], check=True, capture_output=True
            )
        return path

    return make


@pytest.fixture(scope="session")
def quantized(published_checkpoint):
    """(name, precision) -> (float graph, integer graph), calibrated on 10 s."""
    from compress.frontend import checkpoint
    from compress.frontend.lower import lower
    from compress.quantization.calibrate import observe
    from compress.quantization.quantize import quantize
    from tests.compress.test_streaming import signal

    made = {}

    def make(name: str, precision: str):
        if (name, precision) not in made:
            real = lower(checkpoint.load(published_checkpoint(name)))
            made[name, precision] = real, quantize(real, observe(real, [signal(20000)]), precision)
        return made[name, precision]

    return make
