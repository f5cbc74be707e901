"""How well classes are told apart: each class counts alike, however often it comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from compress.tasks.labelled import as_json
from compress.tasks.statistics import ratio

Array = npt.NDArray[Any]


def decisions(frames: Array, label: Array) -> tuple[Array, Array]:
    """(found, expected) of the frames (n, classes) that have a label, both (m,): the class of the
    best score, and the label."""
    known = label >= 0
    return frames.argmax(-1)[known], label[known]


def counts_by_class(frames: Array, label: Array) -> tuple[Array, Array]:
    """(errors, amounts), both int64 (n, classes): in the column of its label 1 for a frame that has
    one, and 1 for a wrong decision."""
    known = label >= 0
    amounts = np.zeros(frames.shape, np.int64)
    amounts[known, label[known]] = 1
    wrong = (frames.argmax(-1) != label)[:, None]
    return amounts * wrong, amounts


def confusion(found: Array, expected: Array, classes: int) -> Array:
    """Frames by what they are (rows) and what they were taken for (columns), int64."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (expected, found), 1)
    return matrix


def summary(matrix: Array, names: list[str]) -> dict[str, Any]:
    """What is published of a confusion matrix, as plain JSON; shares in %."""
    amounts, right = matrix.sum(1), matrix.diagonal()
    shares = np.where(amounts > 0, 100.0 * right / np.maximum(amounts, 1), np.nan)
    return {
        "balanced_accuracy": 100.0 - float(ratio(100.0 * (amounts - right), amounts)),
        "accuracy": 100.0 * float(right.sum()) / float(amounts.sum()),
        "recall": as_json(shares),
        "classes": names,
        "confusion": matrix.tolist(),
        "frames": int(amounts.sum()),
    }
