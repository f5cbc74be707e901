"""Doing one job of a sweep, whatever kind it is; its errors are its own."""

from __future__ import annotations

import contextlib
import io
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.bare import model_steps
from bench.pareto import fitting, reading
from bench.pareto.jobs import FLOAT, Job, Outcome, Result, Setting, remembered
from compress import artifacts, checkpoint, macs, pipeline
from compress import graph as g
from compress.artifacts import Folder
from compress.data import datasets
from compress.data.session import SAMPLE_RATE
from compress.errors import TendonError
from compress.reference import IntegerMachine
from compress.samples import to_int16
from export import build
from export.boards import load_board
from host import native

STEPS = 24  # reference, native C and emulated core are compared on the first of them, and their instructions counted


def run(setting: Setting, job: Job) -> Outcome:
    """Do one job; whatever goes wrong is part of the outcome, so that it cannot take other jobs with it."""
    try:
        with _silence():
            return Outcome(job, _do(setting, job))
    except TendonError as error:
        return Outcome(job, None, str(error))
    except Exception as error:  # a bug in one job: named, and the other jobs go on
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(job, None, f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")


def _do(setting: Setting, job: Job) -> Result:
    if job.session is not None:
        return reading.read_session(setting, job, job.session)
    return place(setting, job) if job.precision else quantize(setting, job)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No lines between those of the one progress bar. Standard output belongs to the whole process: threads leave it alone."""
    if threading.current_thread() is threading.main_thread():
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    else:
        yield


def quantize(setting: Setting, job: Job) -> Result:
    """Integer graphs of a model at every precision, calibrated once; counts the MACs."""
    path = setting.checkpoints[job.model]
    folders = [setting.folder(job.model, precision) for precision in setting.precisions if precision != FLOAT]
    pipeline.family(folders, path, list(setting.calibration))
    key = artifacts.key(what="macs", checkpoint=path, code=artifacts.code_hash("compress"))
    return remembered(setting, key, lambda: _count_macs(job.model, path))


def _count_macs(model: str, path: Path) -> Result:
    return {"macs_per_s": macs.report(pipeline.load_float(model, path))["macs_per_s"], "checkpoint": checkpoint.sha256(path)}


def place(setting: Setting, job: Job) -> Result:
    """Build for this machine and for the smallest board, prove a few steps equal and count their instructions."""
    folder = setting.folder(job.model, job.precision)
    integer = g.load(folder.graph)
    native.build(integer, folder.path / "native")
    key = artifacts.key(
        graph=integer.hash(),
        recording=setting.heldout[0],
        boards=[b.name for b in fitting.by_size(setting.boards)],
        steps=STEPS,
        code=artifacts.code_hash("compress", "export", "firmware", "host/native", "bench/pareto", "bench/bare"),
    )
    return remembered(setting, key, lambda: _measure(setting, integer, folder))


def _measure(setting: Setting, integer: g.Graph, folder: Folder) -> Result:
    placed = fitting.place(integer, folder, fitting.by_size(setting.boards))
    seconds = (STEPS + 1) * integer.samples_per_step / SAMPLE_RATE
    samples = to_int16(integer, datasets.samples(setting.heldout[0], seconds))[: STEPS * integer.samples_per_step]
    counted = model_steps.count(integer, folder.target(placed.board) / "project", placed.board, samples)
    _prove(integer, folder, samples, counted.words)
    board = load_board(placed.board)
    return {
        "graph": integer.hash(),
        "board": board.name,
        "board_is": f"{board.title}; {board.status}",
        "compiler": f"{build.compiler_version(board.name)}; {' '.join(board.flags)}",
        "flash": placed.flash,
        "ram": placed.ram,
        "instructions_per_s": float(np.mean(counted.instructions)) * float(integer.output.rate),
        "counted_steps": len(counted.instructions),
        "words_equal": int(counted.words.size),
    }


def _prove(integer: g.Graph, folder: Folder, samples: g.Array, on_core: g.Array) -> None:
    """The same steps by the reference, the native C and the emulated core: equal to the last word, or an error."""
    reference = IntegerMachine(integer).run(samples[None])[0].astype(np.int16)
    answers = {"native C": native.load(integer, folder.path / "native").run(samples), "emulated core": on_core}
    for engine, words in answers.items():
        wrong = np.argwhere(words != reference)
        if len(wrong):
            raise TendonError(
                f"{engine}: expected the words of the integer reference, found another first at frame {wrong[0][0]}, "
                f"word {wrong[0][1]}; make diagnose shows the operator"
            )
