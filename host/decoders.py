"""Every way to read text from frames, by name: greedy, beam (the network alone), beam+lm (with a
character model)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from compress import tasks
from compress.errors import TendonError, UsageError
from compress.graph.samples import stays_on_disk
from compress.reading import arrays
from compress.reading.text import UnreadableError
from compress.reading.words import one_line
from compress.report.progress import Bar
from compress.tasks.text import Alphabet
from host import character_model
from host.beam import BeamDecoder
from host.decode import StreamDecoder
from host.names import DECODERS

NAMES = DECODERS
LONG = 2000  # frames: a search longer than this shows its progress


def make(
    alphabet: Alphabet, name: str, lm: Path | None = None, scale: float = 1.0
) -> StreamDecoder | BeamDecoder:
    """A decoder with the published settings for frames whose log-probabilities are `scale` times
    their values; their classes are those of the alphabet.

    Each has reset(), push(frame), extend(frames), text and finish(). `lm` is a KenLM file, needed
    by beam+lm and by it alone.
    """
    if name == "greedy":
        return StreamDecoder(alphabet)
    if name == "beam":
        return BeamDecoder(alphabet, scale=scale)
    if name != "beam+lm":
        raise UsageError(f"DECODER={name}: expected one of {', '.join(NAMES)}")
    if lm is None:
        raise UsageError(
            "DECODER=beam+lm: expected a character model; give one with LM=path (KenLM, .arpa or"
            " .bin)"
        )
    return BeamDecoder(alphabet, character_model.load(lm, alphabet), scale=scale)


def load_frames(path: Path) -> tuple[npt.NDArray[np.generic], Alphabet]:
    """Frames (frames, classes) from a `.npy` of floats, as `infer` writes them, read where they are
    asked for, and the alphabet with so many classes; TendonError for anything else."""
    with _refused(path):
        frames = arrays.mapped(path)
    alphabets = {text.alphabet.classes: text.alphabet for text in tasks.texts()}
    two = len(frames.shape) == 2
    if not two or frames.shape[1] not in alphabets or frames.dtype.kind != "f":
        expected = " or ".join(f"(frames, {classes})" for classes in alphabets)
        raise TendonError(
            f"{path}: expected log-probabilities, float {expected}, found"
            f" {one_line(f'{frames.dtype} {frames.shape}')}"
        )
    with _refused(path):
        count, first = arrays.not_finite(frames)
    if count:
        raise TendonError(
            f"{path}: expected finite log-probabilities within float32, found {count} that are"
            f" not, the first in frame {first[0]}, class {first[1]}; write the frames again"
        )

    def read(start: int, stop: int) -> npt.NDArray[np.generic]:
        with _refused(path):
            return frames.read(start, stop)

    return stays_on_disk(read, frames.shape, frames.dtype), alphabets[frames.shape[1]]


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """UnreadableError as TendonError, with the file."""
    try:
        yield
    except UnreadableError as error:
        raise TendonError(f"{path}: {error}") from error


def decode_session(
    alphabet: Alphabet,
    name: str,
    lm: Path | None,
    log_probs: npt.NDArray[np.generic],
    scale: float = 1.0,
    progress: bool = False,
) -> str:
    """The text of a whole session (frames, classes) of natural log-probabilities, or of int16 words
    with their scale."""
    decoder = make(alphabet, name, lm, scale)
    decoder.extend(
        Bar(
            log_probs,
            desc=name,
            unit="frame",
            leave=False,
            disable=not progress or len(log_probs) < LONG,
        )
    )
    return decoder.finish()
