"""The same frames read once more, by beam search with a character model: the error rates that stand
beside the greedy ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.hil.schema import Language
from compress import tasks
from compress.errors import UsageError
from compress.files import sha256
from compress.graph import Graph
from compress.report.progress import Bar
from compress.tasks.text import Alphabet, Text
from host import beam
from host.decoders import decode_session
from host.lm import SHIPPED

Frames = npt.NDArray[np.generic]
DECODER = "beam+lm"
CAVEAT = "made from simulated train prompts, so it knows the words; general English would help less"


def text_of(graph: Graph, lm: Path) -> Text:
    """How a network's frames are read; TendonError when they are no text, and a model is no use."""
    text = tasks.of(graph).text
    if text is None:
        raise UsageError(f"LM={lm}: {graph.name} does not type; leave LM")
    return text


def read(alphabet: Alphabet, lm: Path, sessions: Sequence[Frames], scale: float = 1.0) -> list[str]:
    """Texts of sessions (frames, classes): log-probabilities, or words with their scale."""
    return [
        decode_session(alphabet, DECODER, lm, s, scale)
        for s in Bar(sessions, desc=DECODER, unit="session", leave=False)
    ]


def streamed(
    text: Text,
    lm: Path,
    targets: Sequence[str],
    real: Sequence[Frames],
    words: Sequence[Frames],
    back: Sequence[Frames],
    scale: float,
) -> Language:
    """The streamed seconds with the model: float frames, the reference's words and the board's,
    against the targets."""
    texts = {
        "float": read(text.alphabet, lm, real),
        "quantized": read(text.alphabet, lm, words, scale),
        "board": read(text.alphabet, lm, back, scale),
    }
    shipped = lm.resolve() == SHIPPED.resolve()
    found: Language = {
        "name": lm.name,
        "sha256": sha256(lm),
        "caveat": CAVEAT if shipped else "",
        "settings": (
            f"beam {beam.BEAMS}, best {beam.TOP} of a frame, weight {beam.WEIGHT:g}, bonus"
            f" {beam.BONUS:g}, as published"
        ),
        "metric": {
            "name": text.metric,
            "unit": text.unit,
            "float": None,
            "quantized": None,
            "board": None,
            "low": None,
            "high": None,
        },
        "text": texts,
    }
    if any(targets):
        for engine, read_there in texts.items():
            found["metric"][engine] = text.error(read_there, targets)  # type: ignore[literal-required]
        low, high = text.interval(texts["board"], targets)
        found["metric"]["low"], found["metric"]["high"] = low, high
    return found


def heldout(
    text: Text,
    lm: Path,
    targets: Sequence[str],
    real: Sequence[Frames],
    words: Sequence[Frames],
    scale: float,
) -> dict[str, Any]:
    """Whole sessions with the model: the error of float and native C, and the interval of their
    difference in points."""
    a, b = read(text.alphabet, lm, real), read(text.alphabet, lm, words, scale)
    low, high = text.difference(a, b, targets)
    return {
        "float": text.error(a, targets),
        "native": text.error(b, targets),
        "low": low,
        "high": high,
        "rates": {"float": text.details(a, targets), "native": text.details(b, targets)},
    }
