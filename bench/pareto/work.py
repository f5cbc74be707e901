"""Doing one job of a sweep, whatever kind it is; its errors are its own."""

from __future__ import annotations

import contextlib
import io
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.bare import model_steps
from bench.pareto import FLOAT, fitting, reading
from bench.pareto.jobs import Job, Outcome, Result, Setting, remembered
from compress import artifacts, pipeline, tasks
from compress import graph as g
from compress.artifacts import COMPRESSED, Folder
from compress.errors import TendonError
from compress.frontend import checkpoint
from compress.frontend.own import named
from compress.graph import macs
from compress.graph.samples import Signal, to_int16
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.signals import refuse_shared
from export import build
from export.boards import load_board
from host import native

# behind the start-up; reference, native C and emulated core are compared on them, and their
# instructions counted
STEPS = 24
COUNTED_S = 2.0  # of signal at most: a network over windows has long steps


def run(setting: Setting, job: Job) -> Outcome:
    """Do one job; whatever goes wrong is part of the outcome, so that it cannot take other jobs
    with it."""
    for file in setting.networks.values():
        named.allow(file)
    try:
        with _silence():
            return Outcome(job, _do(setting, job))
    except TendonError as error:
        return Outcome(job, None, str(error))
    except Exception as error:  # a bug in one job: named, and the other jobs go on
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(
            job,
            None,
            f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})",
        )


def _do(setting: Setting, job: Job) -> Result:
    if job.session is not None:
        return reading.read_session(setting, job, job.session)
    return place(setting, job) if job.precision else quantize(setting, job)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No lines between those of the one progress bar. Standard output belongs to the whole process:
    threads leave it alone."""
    if threading.current_thread() is threading.main_thread():
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    else:
        yield


def quantize(setting: Setting, job: Job) -> Result:
    """Integer graphs of a model at every precision but `compressed`, calibrated once, and what all
    of them share."""
    precisions = [p for p in setting.precisions if p not in (FLOAT, COMPRESSED)]
    return _quantize(setting, job.model, precisions, setting.checkpoints[job.model])


def _quantize(setting: Setting, model: str, precisions: list[str], path: Path) -> Result:
    graphs = pipeline.family(
        [setting.folder(model, precision) for precision in precisions],
        path,
        list(setting.calibration),
        sources=setting.sources.get(model),
    )
    if graphs:
        refuse_shared(graphs[0], setting.calibration, setting.heldout)
    key = artifacts.key(
        what="network",
        checkpoint=path,
        calibration=list(setting.calibration),
        heldout=list(setting.heldout),
        code=artifacts.code_hash(
            f"{__name__}:_describe",
            artifacts.TASKS,
            artifacts.FAMILIES,
            *artifacts.TASK_DATA,
            without=artifacts.SIMULATOR + artifacts.PAGES,
        ),
    )
    return remembered(setting, key, lambda: _describe(setting, model, path))


def _describe(setting: Setting, model: str, path: Path) -> Result:
    """MACs, and the errors of predictors that read no sEMG, over the samples that the network is
    scored on, where the task has such predictors."""
    real = pipeline.load_float(model, path)
    known = {"macs_per_s": macs.report(real)["macs_per_s"], "checkpoint": checkpoint.sha256(path)}
    task = tasks.of(real)
    if not task.costs().predictors:
        return known | {"predictors": {}}
    heldout = [part for path in setting.heldout for part in task.parts(real, path)]
    return known | {"predictors": task.trivial(real, heldout, setting.calibration)}


def place(setting: Setting, job: Job) -> Result:
    """Build for this machine and for the smallest board, prove a few steps equal and count their
    instructions."""
    own = {}
    if job.precision == COMPRESSED:  # another network, from a checkpoint of its own
        own = _quantize(setting, job.model, [COMPRESSED], setting.compressed[job.model])
    folder = setting.folder(job.model, job.precision)
    integer = g.load(folder.graph)
    native.build(integer, folder.path / "native")
    key = artifacts.key(
        graph=integer.hash(),
        recording=setting.heldout[0],
        boards=[b.name for b in fitting.by_size(setting.boards)],
        steps=STEPS,
        code=artifacts.code_hash(
            f"{__name__}:_measure",
            artifacts.TASKS,
            "firmware",
            "host/native",
            "bench/bare",
            without=artifacts.SIMULATOR + artifacts.PAGES,
        ),
    )
    return own | remembered(setting, key, lambda: _measure(setting, integer, folder))


def _measure(setting: Setting, integer: g.Graph, folder: Folder) -> Result:
    placed = fitting.place(integer, folder, fitting.by_size(setting.boards))
    signal = _first_steps(integer, setting.heldout[0])
    samples = to_int16(integer, signal.samples)
    counted = model_steps.count(
        integer, folder.target(placed.board) / "project", placed.board, samples, signal.initial
    )
    _prove(integer, folder, signal, counted.words)
    instructions = counted.instructions[integer.start_up_steps :]
    board = load_board(placed.board)
    return {
        "graph": integer.hash(),
        "board": board.name,
        "board_is": f"{board.title}; {board.status}",
        "compiler": f"{build.compiler_version(board.name)}; {' '.join(board.flags)}",
        "flash": placed.flash,
        "ram": placed.ram,
        "instructions_per_s": (
            float(np.mean(instructions)) * float(integer.output.rate) / integer.chunk
        ),
        "counted_steps": len(instructions),
        "words_equal": int(counted.words.size),
    }


def _first_steps(integer: g.Graph, session: Path) -> Signal:
    """The start-up and STEPS behind it, or fewer long ones, two at least, of a session from its
    beginning."""
    step_s = integer.samples_per_step / float(integer.input.rate)
    steps = integer.start_up_steps + min(STEPS, max(2, int(COUNTED_S / step_s)))
    signal = tasks.of(integer).read(integer, session, (steps + 1) * step_s).signal
    if len(signal.samples) < steps * integer.samples_per_step:
        raise TendonError(
            f"{session}: expected at least {steps * step_s:.2f} s of signal to count steps in,"
            " found less"
        )
    return replace(signal, samples=signal.samples[: steps * integer.samples_per_step])


def _prove(integer: g.Graph, folder: Folder, signal: Signal, on_core: g.Array) -> None:
    """The same steps by the reference, the native C and the emulated core: equal to the last word,
    or an error."""
    samples = to_int16(integer, signal.samples)
    machine, model = IntegerInterpreter(integer), native.load(integer, folder.path / "native")
    machine.begin_with([signal])
    model.begin_with(signal)
    reference = machine.run(samples[None])[0].astype(np.int16)
    for engine, words in {"native C": model.run(samples), "emulated core": on_core}.items():
        wrong = np.argwhere(words != reference)
        if len(wrong):
            raise TendonError(
                f"{engine}: expected the words of the integer reference, found another first at"
                f" frame {wrong[0][0]}, word {wrong[0][1]}; make diagnose shows the operator"
            )
