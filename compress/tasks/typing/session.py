"""Reading emg2qwerty sessions: HDF5 files of two-handed surface EMG at 2 kHz with the keys that
were typed.

Layout (emg2qwerty, Sivakumar et al., NeurIPS 2024): group `emg2qwerty` with a compound dataset
`timeseries` of `time` (float64, unix seconds), `emg_left` and `emg_right` (float32 × 16), and
attributes. Opening, checking and refusing is what every recording shares (`recording_file`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.data import events
from compress.data.clock import Finding
from compress.data.recording_file import (
    AGAIN,
    DATASET,
    ELECTRODES,
    SAMPLE_RATE,
    SUMS,
    RecordingFile,
    fields,
    verify_digest,
)
from compress.errors import RecordingError
from compress.tasks.typing import charset

__all__ = [
    "BANDS",
    "DATASET",
    "DTYPE",
    "ELECTRODES",
    "GROUP",
    "SAMPLE_RATE",
    "SUMS",
    "Session",
    "verify_digest",
]

GROUP, BANDS = "emg2qwerty", 2
DTYPE = np.dtype(
    [("time", "<f8"), ("emg_left", "<f4", (ELECTRODES,)), ("emg_right", "<f4", (ELECTRODES,))]
)


class Session(RecordingFile):
    """One open session. Context manager; len() is its number of samples; RecordingError refuses a
    bad file."""

    GROUP, KIND, FIELDS, BY_TIME = GROUP, "emg2qwerty session", fields(DTYPE), True

    def __init__(self, path: str | Path, sha256: str | None = None, checked: bool = False) -> None:
        super().__init__(path, sha256, checked)
        self.name: str = str(self.attributes["session_name"])
        self.user: str = str(self.attributes["user"])
        self.condition: str = str(self.attributes["condition"])
        self.duration_mins: float = float(self.attributes["duration_mins"])
        self.keystrokes: list[dict[str, Any]] = self.attributes["keystrokes"]
        self.prompts: list[dict[str, Any]] = self.attributes["prompts"]

    def emg(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples start…stop as float32 (n, 2 bands [left, right], 16 electrodes); NaN and
        infinities are refused."""
        return self._finite_emg(start, stop)

    def text(self, start: int = 0, stop: int | None = None) -> str:
        """What was typed while samples start…stop were recorded, in the characters of `charset`:
        from the time stamp of the first to that of the last, as published.

        Keystrokes count by their press; sessions off the keyboard have only prompts, each ended by
        ⏎.
        """
        first, last = self._ends(start, stop)
        return "".join(self._character(e) for e in self._events if first <= e["start"] <= last)

    def keys(self, start: int = 0, stop: int | None = None) -> list[tuple[float, str]]:
        """Each key pressed while samples start…stop were recorded: how many samples after `start`,
        by the time stamps, and its character. No keys of a session off the keyboard."""
        first, last = self._ends(start, stop)
        chosen = [e for e in self.keystrokes if first <= e["start"] <= last]
        at = self.places(np.array([e["start"] for e in chosen]), start, stop) - start
        characters = [charset.key_to_character(e["key"]) for e in chosen]
        return [(float(p), c) for p, c in zip(at, characters, strict=True) if c]

    @property
    def _events(self) -> list[dict[str, Any]]:
        """What the text is made of, each with a start."""
        return self.keystrokes if self.condition == "on_keyboard" else self.prompts

    def _character(self, event: dict[str, Any]) -> str:
        if self.condition == "on_keyboard":
            return charset.key_to_character(event["key"])
        return _prompt(event)

    def _labels_apart(self, spans: Sequence[tuple[float, float]]) -> list[Finding]:
        starts = np.array([e["start"] for e in self._events], np.float64)
        what = "keystrokes" if self.condition == "on_keyboard" else "prompts"
        return events.apart(what, starts, spans)

    def _emg(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([rows["emg_left"], rows["emg_right"]], axis=1)

    def _electrode(self, place: tuple[int, ...]) -> str:
        return f"{('left', 'right')[place[0]]} electrode {place[1]}"

    def _check_labels(self, rows: np.ndarray, start: int) -> None:
        """Keystrokes are attributes: there are no labels in the rows."""

    def _checked_attributes(self, found: dict[str, Any]) -> dict[str, Any]:
        self._check_present(
            found, ("session_name", "user", "condition", "duration_mins", "keystrokes", "prompts")
        )
        for name in ("keystrokes", "prompts"):
            try:
                found[name] = json.loads(found[name])
            except (TypeError, ValueError) as error:
                raise RecordingError(
                    f"{self.path}: attribute {name}: expected JSON: {error}; {AGAIN}"
                ) from error
            _check_events(self.path, name, found[name])
        if not isinstance(found["duration_mins"], int | float):
            raise RecordingError(
                f"{self.path}: attribute duration_mins: expected a number, found"
                f" {found['duration_mins']!r}"
            )
        return found


def _check_events(path: Path, name: str, events: Any) -> None:
    """What is read of them must be there: a finite start; of keystrokes also the key, and the order
    of time."""
    if not isinstance(events, list):
        raise RecordingError(
            f"{path}: attribute {name}: expected a list, found {type(events).__name__}"
        )
    before = -math.inf
    for i, event in enumerate(events):
        start = event.get("start") if isinstance(event, dict) else None
        if not isinstance(start, int | float) or not math.isfinite(start):
            raise RecordingError(
                f"{path}: {name}[{i}]: expected a start in seconds, found {event!r}"
            )
        if name == "keystrokes" and not isinstance(event.get("key"), str):
            raise RecordingError(f"{path}: {name}[{i}]: expected a key, found {event!r}")
        if name == "keystrokes" and start < before:
            raise RecordingError(
                f"{path}: {name}[{i}]: starts before the one in front of it; expected the order of"
                " time"
            )
        before = start


def _prompt(event: dict[str, Any]) -> str:
    payload = event.get("payload")
    text = payload.get("text") if isinstance(payload, dict) else None
    if text is None:
        return ""
    text = charset.clean(text)
    return text if text.endswith("⏎") else text + "⏎"
