"""A held-out session through a network, and how it errs there: native C for integers; for float
networks PyTorch, or the float graph as a stream where the task says that it gives something else.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.pareto import FLOAT
from bench.pareto.front import Session
from bench.pareto.jobs import Job, Result, Setting, remembered, remembered_arrays
from compress import artifacts, tasks
from compress import graph as g
from compress.frontend import checkpoint
from compress.frontend.lower import lower
from compress.graph.samples import Signal, to_int16
from compress.interpreter.float import FloatInterpreter
from compress.tasks.text import Text
from host import decoders, native

# of signal in one piece through PyTorch, S4_large takes 1.7 GB per 200 s; longer sessions are
# streamed
WHOLE_S = 600.0


@dataclass(frozen=True)
class Frames:
    """Output of one session: (frames, outputs) in units of `scale` nats or rad; `pace`: seconds of
    signal per one of a core."""

    key: str
    values: g.Array
    scale: float
    seconds: float
    pace: float


def read_session(setting: Setting, job: Job, session: Path) -> Result:
    """Errors of one held-out session by every decoder, run by run, and how fast the network ran."""
    frames = (
        float_frames(setting, job, session)
        if job.precision == FLOAT
        else native_frames(setting, job, session)
    )
    text = tasks.named(setting.task).text
    runs = (
        _runs(setting, job, session, frames)
        if text is None
        else _text_runs(text, setting, session, frames)
    )
    return {"runs": runs, "seconds": frames.seconds, "pace": frames.pace}


def native_frames(setting: Setting, job: Job, session: Path) -> Frames:
    """By the C of the board, compiled for this machine."""
    folder = setting.folder(job.model, job.precision)
    integer = g.load(folder.graph)
    code = _code_of(native_frames, artifacts.TASKS, "firmware/nn", "host/native")

    def make() -> dict[str, g.Array]:
        model = native.load(integer, folder.path / "native")
        signal = tasks.of(integer).read(integer, session).signal
        samples = to_int16(integer, signal.samples)
        model.begin_with(signal)
        begin = time.thread_time()
        seconds = _seconds(integer, samples)
        return _timed(model.run(samples), float(integer.output.scale or 1.0), seconds, begin)

    return _stored(setting, artifacts.key(graph=integer.hash(), recording=session, code=code), make)


def float_frames(setting: Setting, job: Job, session: Path) -> Frames:
    """By PyTorch's own forward over the whole session; a long one by the float graph, which equals
    it to 1e-4, as a stream. Always by the float graph where the task says that the forward over a
    whole session gives something else.
    """
    path = setting.checkpoints[job.model]

    def make() -> dict[str, g.Array]:
        loaded, real = _network(path)
        signal = tasks.of(real).read(real, session).signal
        short = len(signal.samples) <= WHOLE_S * float(real.input.rate)
        whole = loaded.family.forward_is_stream and tasks.of(real).whole and short
        begin = time.thread_time()
        values = checkpoint.forward(loaded, signal.samples) if whole else _streamed(real, signal)
        return _timed(values, 1.0, _seconds(real, signal.samples), begin)

    return _stored(
        setting,
        artifacts.key(
            checkpoint=path,
            recording=session,
            code=_code_of(float_frames, artifacts.TASKS, artifacts.FAMILIES),
        ),
        make,
    )


def _code_of(function: Callable[..., Any], *more: str) -> str:
    """Digest of the code that decides what a function here finds in a recording."""
    entry = f"{__name__}:{function.__name__}"
    return artifacts.code_hash(entry, *more, without=artifacts.SIMULATOR + artifacts.PAGES)


def _streamed(real: g.Graph, signal: Signal) -> g.Array:
    machine = FloatInterpreter(real)
    machine.begin_with([signal])
    return machine.run(signal.samples[None].astype(np.float64))[0].astype(np.float32)


@functools.lru_cache(maxsize=1)  # sessions of one network follow each other
def _network(path: Path) -> tuple[checkpoint.Checkpoint, g.Graph]:
    loaded = checkpoint.load(path)
    return loaded, lower(loaded)


def _seconds(graph: g.Graph, samples: g.Array) -> float:
    return len(samples) / float(graph.input.rate)


def _timed(values: g.Array, scale: float, seconds: float, begin: float) -> dict[str, g.Array]:
    return {
        "values": values,
        "about": np.array([scale, seconds, seconds / (time.thread_time() - begin)]),
    }


def _stored(setting: Setting, key: str, make: Callable[[], dict[str, g.Array]]) -> Frames:
    arrays = remembered_arrays(setting, key, make)
    scale, seconds, pace = (float(v) for v in arrays["about"])
    return Frames(key, arrays["values"], scale, seconds, pace)


def _text_runs(text: Text, setting: Setting, session: Path, frames: Frames) -> dict[str, Result]:
    """Errors and characters of what every decoder reads."""
    target = text.target(session, frames.seconds)
    return {
        name: Session(*text.runs(target, _text(text, setting, frames, name))).to_json()
        for name in setting.decoders
    }


def _text(text: Text, setting: Setting, frames: Frames, name: str) -> str:
    """What one decoder reads."""
    lm = setting.lm if name.endswith("+lm") else None
    key = artifacts.key(frames=frames.key, decoder=name, lm=lm, code=_code_of(_text))

    def make() -> Result:
        read = decoders.decode_session(text.alphabet, name, lm, frames.values, frames.scale)
        return {"text": read}

    return str(remembered(setting, key, make)["text"])


def _runs(setting: Setting, job: Job, session: Path, frames: Frames) -> dict[str, Result]:
    """Errors of frames that are no text, run by run; of the only decoder, "", that they have."""

    def make() -> Result:
        graph = (
            _network(setting.checkpoints[job.model])[1]
            if job.precision == FLOAT
            else g.load(setting.folder(job.model, job.precision).graph)
        )
        task = tasks.of(graph)
        recorded = task.read(graph, session)
        return Session(*task.runs(graph, frames.values * frames.scale, recorded)).to_json()

    code = _code_of(_runs, artifacts.TASKS, artifacts.FAMILIES, *artifacts.TASK_DATA)
    key = artifacts.key(frames=frames.key, recording=session, code=code)
    return dict.fromkeys(setting.decoders, remembered(setting, key, make))
