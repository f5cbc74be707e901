"""The same frames read once more, by beam search with a character model: the error rates that stand
beside the greedy ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.hil.schema import Language
from compress.frontend.checkpoint import sha256
from compress.tasks.typing import scores
from host import beam
from host.decoders import decode_session
from host.lm import SHIPPED

Frames = npt.NDArray[np.generic]
DECODER = "beam+lm"
CAVEAT = "made from simulated train prompts, so it knows the words; general English would help less"


def read(lm: Path, sessions: Sequence[Frames], scale: float = 1.0) -> list[str]:
    """Texts of sessions (frames, 99): log-probabilities, or words with their scale."""
    return [
        decode_session(DECODER, lm, s, scale)
        for s in tqdm(sessions, desc=DECODER, unit="session", leave=False)
    ]


def streamed(
    lm: Path,
    targets: list[str],
    real: Sequence[Frames],
    words: Sequence[Frames],
    back: Sequence[Frames],
    scale: float,
) -> Language:
    """The streamed seconds with the model: float frames, the reference's words and the board's,
    against what was typed."""
    texts = {
        "float": read(lm, real),
        "quantized": read(lm, words, scale),
        "board": read(lm, back, scale),
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
            "name": "CER",
            "unit": "%",
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
            found["metric"][engine] = scores.score_texts(read_there, targets).cer  # type: ignore[literal-required]
        found["metric"]["low"], found["metric"]["high"] = scores.text_rate(texts["board"], targets)
    return found


def heldout(
    lm: Path, targets: list[str], real: Sequence[Frames], words: Sequence[Frames], scale: float
) -> dict[str, Any]:
    """Whole sessions with the model: CER of float and native C, and the interval of their
    difference in points."""
    a, b = read(lm, real), read(lm, words, scale)
    low, high = scores.text_difference(a, b, targets)
    rates = [scores.score_texts(texts, targets) for texts in (a, b)]
    return {
        "float": rates[0].cer,
        "native": rates[1].cer,
        "low": low,
        "high": high,
        "rates": {"float": rates[0].as_dict(), "native": rates[1].as_dict()},
    }
