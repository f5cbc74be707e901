"""Shared fixtures.

Reference cases lie in ../shared/fixtures. Anyone can hold others against the project: the
environment variable CASES names their folder, SALT the salt of the weights that their outputs were
computed with (default 0). What is missing there comes from ../shared/fixtures. Without a case a
test says so, and fails in CI.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from compress.data import recordings
from compress.report import logs, said
from compress.tasks.typing.simulated import COLLECTION as TYPING

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "fixtures"
LONG = (  # files that take half a minute and more, the longest first
    "test_accuracy",
    "test_kernels",
    "test_speed",
    "test_examples",
    "test_own_network_page",
    "test_tflite",
    "test_pose_accuracy",
    "test_stack",
    "test_compilers",
    "test_hil",
    "test_chips",
    "test_project",
    "test_faults",
    "test_artifacts",
    "test_networks",
    "test_native",
    "test_board_diagnosis",
    "test_pareto",
    "test_pareto_pose",
    "test_dask_cluster",
    "test_compression",
)
ACCURACY = os.environ.get("ACCURACY") == "all"  # on longer stretches: make accuracy
HYBRID = ("TC_S4_small", "TC_S4_medium", "S4_large")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first, so that two processes end together and not one long after the
    other."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(autouse=True)
def _heard() -> None:
    """What library code says is on standard error, as in a command, whatever ran before."""
    logs.listen(logging.INFO)
    said.begin()


@dataclass(frozen=True)
class Cases:
    """Files of reference cases by their path, `TC_S4_small/io.npz`: of `given`, else of
    `usual`."""

    given: Path
    usual: Path = SHARED
    given_salt: int = 0

    def __truediv__(self, path: str) -> Path:
        """Where a file lies; a test without it is skipped, in CI it fails."""
        for folder in (self.given, self.usual):
            if (folder / path).is_file():
                return folder / path
        missing = f"reference cases are missing: no {path} in {self.given} or ../shared/fixtures"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)

    def salt(self, model: str) -> int:
        """Of the weights that the recorded output of this model was computed with: the given salt
        belongs to the outputs in `given`; those of `usual` have salt 0."""
        return self.given_salt if (self.given / model / "io.npz").is_file() else 0

    def checkpoint(self, model: str, folder: Path) -> Path:
        """Write a checkpoint of this model with the weights of its recorded output."""
        path, made_from = folder / f"{model}.ckpt", folder / f"{model}.from"
        (made_from / model).mkdir(parents=True, exist_ok=True)
        shutil.copy(self / f"{model}/spec.json", made_from / model)  # the script reads beside it
        script = shutil.copy(self / "make_checkpoint.py", made_from)
        command = [sys.executable, str(script), model, str(path), "--salt", str(self.salt(model))]
        subprocess.run(command, check=True, capture_output=True)
        return path


@pytest.fixture(scope="session")
def cases() -> Cases:
    """The reference cases: `cases / "TC_S4_small/io.npz"`."""
    given = ROOT / (os.environ.get("CASES") or SHARED)
    return Cases(given, given_salt=int(os.environ.get("SALT") or 0))


@pytest.fixture(scope="session")
def simulated() -> Path:
    """build/recordings with calibration and held-out sessions; made by one test process while the
    others wait."""
    root = ROOT / "build" / "recordings"
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".lock"):
        for split in ("calibration", "heldout"):
            recordings.ensure(root, split, TYPING)
    return root


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the test processes of one run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def published_checkpoint(cases: Cases, shared_folder: Path):
    """name -> path of a checkpoint in the published format with untrained weights, those of its
    reference case; made by one test process while the others wait."""

    def make(name: str) -> Path:
        folder = shared_folder / f"checkpoint-{name}"
        with FileLock(f"{folder}.lock"):
            path = folder / f"{name}.ckpt"
            if not path.exists():
                folder.mkdir(exist_ok=True)
                cases.checkpoint(name, folder)
        return path

    return make


@pytest.fixture(scope="session")
def quantized(published_checkpoint, shared_folder: Path):
    """(name, precision) -> (float graph, integer graph), calibrated on 10 s; made by one test
    process while the others wait."""
    from compress import graph as g
    from compress.frontend import checkpoint
    from compress.frontend.lower import lower
    from compress.quantization.calibrate import observe
    from compress.quantization.quantize import quantize
    from tests.compress.test_streaming import signal

    @functools.cache
    def observed(name: str):
        real = lower(checkpoint.load(published_checkpoint(name)))
        return real, observe(real, [signal(20000)])

    @functools.cache
    def make(name: str, precision: str):
        paths = [shared_folder / f"{name}-{kind}.npz" for kind in ("float", precision)]
        with FileLock(shared_folder / f"{name}.lock"):
            if not all(path.exists() for path in paths):
                real, found = observed(name)
                g.save(real, paths[0])
                g.save(quantize(real, found, precision), paths[1])
        return g.load(paths[0]), g.load(paths[1])

    return make
