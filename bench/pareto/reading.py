"""A held-out session through a network, and how it errs there: native C for integers; for float
networks PyTorch, or the float graph as a stream where the task says that it gives something else.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.pareto import FLOAT
from bench.pareto.front import Session
from bench.pareto.jobs import Job, Result, Setting, remembered, remembered_arrays
from compress import artifacts, evaluate, tasks
from compress import graph as g
from compress.frontend import checkpoint
from compress.frontend.lower import lower
from compress.graph.kept import Kept, joined, scaled
from compress.graph.samples import blocks, to_int16
from compress.tasks.recorded import Recorded
from compress.tasks.task import Runs
from compress.tasks.text import Text
from host import decoders, native

# of signal in one piece through PyTorch, S4_large takes 1.7 GB per 200 s; longer sessions are
# streamed
WHOLE_S = 600.0


@dataclass(frozen=True)
class Frames:
    """Output of one session, of each stretch without a gap: (frames, outputs) in units of `scale`
    nats or rad; `pace`: seconds of signal per one of a core."""

    key: str
    values: list[g.Array]
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
        else _text_runs(text, setting, job, session, frames)
    )
    return {"runs": runs, "seconds": frames.seconds, "pace": frames.pace}


def native_frames(setting: Setting, job: Job, session: Path) -> Frames:
    """By the C of the board, compiled for this machine."""
    folder = setting.folder(job.model, job.precision)
    integer = g.load(folder.graph)
    code = _code_of(native_frames, artifacts.TASKS, "firmware/nn", "host/native")

    def make() -> dict[str, g.Array]:
        model = native.load(integer, folder.path / "native")
        parts = tasks.of(integer).parts(integer, session)
        values, spent = [], 0.0
        for part in parts:
            model.begin_with(part.signal)
            steps = len(part.samples) // integer.samples_per_step
            found = Kept(steps * integer.chunk, (integer.output.features,), np.int16)
            for block in blocks(part.samples, integer.samples_per_step):
                samples, begin = to_int16(integer, block), time.thread_time()
                words = model.run(samples)
                spent += time.thread_time() - begin
                found.append(words)
            values.append(found.array())
        return _timed(values, float(integer.output.scale or 1.0), parts, spent)

    return _stored(setting, artifacts.key(graph=integer.hash(), recording=session, code=code), make)


def float_frames(setting: Setting, job: Job, session: Path) -> Frames:
    """By PyTorch's own forward over the whole session; a long one by the float graph, which equals
    it to 1e-4, as a stream. Always by the float graph where the task says that the forward over a
    whole session gives something else.
    """
    path = setting.checkpoints[job.model]

    def make() -> dict[str, g.Array]:
        loaded, real = _network(path)
        parts = tasks.of(real).parts(real, session)
        short = max(part.seconds for part in parts) <= WHOLE_S
        whole = loaded.family.forward_is_stream and tasks.of(real).whole and short
        begin = time.thread_time()
        values = [
            checkpoint.forward(loaded, np.asarray(part.samples))
            if whole
            else evaluate.float_frames(real, [part.signal])[0]
            for part in parts
        ]
        return _timed(values, 1.0, parts, time.thread_time() - begin)

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


@functools.lru_cache(maxsize=1)  # sessions of one network follow each other
def _network(path: Path) -> tuple[checkpoint.Checkpoint, g.Graph]:
    loaded = checkpoint.load(path)
    return loaded, lower(loaded)


def _timed(
    values: list[g.Array], scale: float, parts: list[Recorded], spent_s: float
) -> dict[str, g.Array]:
    seconds = sum(part.seconds for part in parts)
    return {
        "values": joined(values),
        "stops": np.cumsum([len(v) for v in values]),
        "about": np.array([scale, seconds, seconds / spent_s]),
    }


def _stored(setting: Setting, key: str, make: Callable[[], dict[str, g.Array]]) -> Frames:
    arrays = remembered_arrays(setting, key, make)
    scale, seconds, pace = (float(v) for v in arrays["about"])
    stops = [int(stop) for stop in arrays["stops"]]
    values = [arrays["values"][a:b] for a, b in pairwise([0, *stops])]
    return Frames(key, values, scale, seconds, pace)


def _text_runs(
    text: Text, setting: Setting, job: Job, session: Path, frames: Frames
) -> dict[str, Result]:
    """Errors and characters of what every decoder reads."""
    graph = _graph(setting, job)
    targets = [text.of(part.target) for part in tasks.of(graph).parts(graph, session)]

    def runs(name: str) -> Result:
        read = _texts(text, setting, frames, name)
        return _session([text.runs(t, r) for t, r in zip(targets, read, strict=True)])

    return {name: runs(name) for name in setting.decoders}


def _session(runs: list[Runs]) -> Result:
    """The runs of all stretches."""
    errors, amounts = zip(*runs, strict=True)
    return Session(np.concatenate(errors), np.concatenate(amounts)).to_json()


def _graph(setting: Setting, job: Job) -> g.Graph:
    """The job's network, as recordings are read for it."""
    if job.precision == FLOAT:
        return _network(setting.checkpoints[job.model])[1]
    return g.load(setting.folder(job.model, job.precision).graph)


def _texts(text: Text, setting: Setting, frames: Frames, name: str) -> list[str]:
    """What one decoder reads of each stretch."""
    lm = setting.lm if name.endswith("+lm") else None
    key = artifacts.key(frames=frames.key, decoder=name, lm=lm, code=_code_of(_texts))

    def make() -> Result:
        read = [
            decoders.decode_session(text.alphabet, name, lm, values, frames.scale)
            for values in frames.values
        ]
        return {"texts": read}

    return list(map(str, remembered(setting, key, make)["texts"]))


def _runs(setting: Setting, job: Job, session: Path, frames: Frames) -> dict[str, Result]:
    """Errors of frames that are no text, run by run; of the only decoder, "", that they have."""

    def make() -> Result:
        graph = _graph(setting, job)
        task = tasks.of(graph)
        parts = zip(frames.values, task.parts(graph, session), strict=True)
        return _session([task.runs(graph, scaled(v, frames.scale), part) for v, part in parts])

    code = _code_of(_runs, artifacts.TASKS, artifacts.FAMILIES, *artifacts.TASK_DATA)
    key = artifacts.key(frames=frames.key, recording=session, code=code)
    return dict.fromkeys(setting.decoders, remembered(setting, key, make))
