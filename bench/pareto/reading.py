"""A held-out session through a network and the decoders: native C for integers, PyTorch for float."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.pareto.jobs import FLOAT, Job, Result, Setting, remembered, remembered_arrays
from compress import artifacts, checkpoint
from compress import graph as g
from compress.data import datasets
from compress.data.session import SAMPLE_RATE, Session
from compress.floating import FloatMachine
from compress.lower import lower
from compress.samples import to_int16, whole_steps
from host import decoders, native

WHOLE_S = 600.0  # of signal in one piece through PyTorch, S4_large takes 1.7 GB per 200 s; longer sessions are streamed


@dataclass(frozen=True)
class Frames:
    """Output of one session: (frames, 99) in units of `scale` nats; `pace`: seconds of signal per second of one core."""

    key: str
    values: g.Array
    scale: float
    seconds: float
    pace: float


def read_session(setting: Setting, job: Job, session: Path) -> Result:
    """Text of one held-out session by every decoder, what was typed, and how fast the network ran."""
    frames = float_frames(setting, job, session) if job.precision == FLOAT else native_frames(setting, job, session)
    texts = {name: _text(setting, frames, name) for name in setting.decoders}
    with Session(session) as opened:
        target = opened.text(0.0, frames.seconds)
    return {"target": target, "texts": texts, "seconds": frames.seconds, "pace": frames.pace}


def native_frames(setting: Setting, job: Job, session: Path) -> Frames:
    """By the C of the board, compiled for this machine."""
    folder = setting.folder(job.model, job.precision)
    integer = g.load(folder.graph)
    code = artifacts.code_hash("compress", "export", "firmware/nn", "host/native")

    def make() -> dict[str, g.Array]:
        model = native.load(integer, folder.path / "native")
        samples = to_int16(integer, whole_steps(integer, datasets.samples(session)))
        begin = time.thread_time()
        return _timed(model.run(samples), float(integer.output.scale or 1.0), len(samples), begin)

    return _stored(setting, artifacts.key(graph=integer.hash(), recording=session, code=code), make)


def float_frames(setting: Setting, job: Job, session: Path) -> Frames:
    """By PyTorch's own forward over the whole session; a long one by the float graph, which equals it to 1e-4, as a stream."""
    path = setting.checkpoints[job.model]

    def make() -> dict[str, g.Array]:
        loaded, real = _network(path)
        signal = whole_steps(real, datasets.samples(session))
        begin = time.thread_time()
        if len(signal) <= WHOLE_S * SAMPLE_RATE:
            values = checkpoint.forward(loaded, signal)
        else:
            values = FloatMachine(real).run(signal[None].astype(np.float64))[0].astype(np.float32)
        return _timed(values, 1.0, len(signal), begin)

    return _stored(setting, artifacts.key(checkpoint=path, recording=session, code=artifacts.code_hash("compress")), make)


@functools.lru_cache(maxsize=1)  # sessions of one network follow each other
def _network(path: Path) -> tuple[checkpoint.Checkpoint, g.Graph]:
    loaded = checkpoint.load(path)
    return loaded, lower(loaded)


def _timed(values: g.Array, scale: float, samples: int, begin: float) -> dict[str, g.Array]:
    seconds = samples / SAMPLE_RATE
    return {"values": values, "about": np.array([scale, seconds, seconds / (time.thread_time() - begin)])}


def _stored(setting: Setting, key: str, make: Callable[[], dict[str, g.Array]]) -> Frames:
    arrays = remembered_arrays(setting, key, make)
    scale, seconds, pace = (float(v) for v in arrays["about"])
    return Frames(key, arrays["values"], scale, seconds, pace)


def _text(setting: Setting, frames: Frames, name: str) -> str:
    """What one decoder reads."""
    lm = setting.lm if name.endswith("+lm") else None
    code = artifacts.code_hash("host", "compress/data")
    key = artifacts.key(frames=frames.key, decoder=name, lm=lm, code=code)
    return str(remembered(setting, key, lambda: {"text": decoders.decode_session(name, lm, frames.values, frames.scale)})["text"])
