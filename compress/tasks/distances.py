"""How far two runs of the same network are apart, whatever its task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from compress.graph.samples import pieces

Array = npt.NDArray[np.generic]
BLOCK = 1 << 14  # frames that are compared at once


def concatenate(parts: Sequence[Array]) -> Array:
    """All sessions' frames one after the other (frames, classes)."""
    return np.concatenate([np.asarray(p) for p in parts])


def best(frames: Array) -> npt.NDArray[np.int64]:
    """The best class of each frame (n, classes)."""
    return np.concatenate([np.zeros(0, np.int64), *(rows.argmax(-1) for rows in pieces(frames))])


def agreement(first: Sequence[Array], second: Sequence[Array]) -> float:
    """Share of frames 0…1 whose best class is the same in both."""
    equal = total = 0
    for a, b in zip(first, second, strict=True):
        for x, y in zip(pieces(a), pieces(b), strict=True):
            equal, total = equal + int((x.argmax(-1) == y.argmax(-1)).sum()), total + len(x)
    return equal / total if total else float("nan")


def sqnr_db(expected: Array, found: Array) -> float:
    """Power of the expected signal over the power of the error, in dB; 200 at most, which stands
    for equal."""
    return sqnr_of([expected], [found])


def sqnr_of(expected: Sequence[Array], found: Sequence[Array]) -> float:
    """The same over several streams, each (frames, values)."""
    signal = noise = 0.0
    for first, second in zip(expected, found, strict=True):
        if len(first) != len(second):
            raise ValueError(f"expected as many frames, found {len(first)} and {len(second)}")
        for start in range(0, len(first), BLOCK):
            x, y = (np.asarray(v[start : start + BLOCK], dtype=np.float64) for v in (first, second))
            signal, noise = signal + np.square(x).sum(), noise + np.square(x - y).sum()
    if not noise:
        return 200.0
    return float(np.clip(10.0 * np.log10(max(signal, 1e-300) / noise), -200.0, 200.0))


def tensor_errors(expected: Array, found: Array) -> dict[str, float]:
    """rmse, mae, l2r (norm of the error over the norm of the expected), nse (1 − error power over
    variance) and cosine."""
    x, y = (np.asarray(v, dtype=np.float64).reshape(-1) for v in (expected, found))
    error, norm = y - x, float(np.linalg.norm(x))
    spread = float(np.square(x - x.mean()).sum())
    size = norm * float(np.linalg.norm(y))
    equal = not error.any()
    return {
        "rmse": float(np.sqrt(np.mean(np.square(error)))),
        "mae": float(np.mean(np.abs(error))),
        "l2r": 0.0 if equal else float(np.linalg.norm(error)) / max(norm, 1e-300),
        "nse": 1.0 if equal else 1.0 - float(np.square(error).sum()) / max(spread, 1e-300),
        "cos": 1.0 if equal else float(x @ y) / size if size else 0.0,
    }
