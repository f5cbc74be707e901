"""Reading emg2pose sessions: HDF5 files of one arm's surface EMG at 2 kHz with the joint angles of
its hand.

Layout (emg2pose, Salter et al., NeurIPS 2024): group `emg2pose` with a compound dataset
`timeseries` of `time` (float64, unix seconds), `joint_angles` (20, radians) and `emg` (float32 ×
16), and attributes. The angles come from motion capture by inverse kinematics; where that failed
all twenty are zero. Opening, checking and refusing is what every recording shares
(`recording_file`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.data.recording_file import AGAIN, ELECTRODES, SAMPLE_RATE, RecordingFile, fields
from compress.errors import RecordingError

GROUP = "emg2pose"
# The published order. FE: flexion and extension, AA: abduction and adduction.
JOINTS = (
    *("THUMB_CMC_FE", "THUMB_CMC_AA", "THUMB_MCP_FE", "THUMB_IP_FE"),
    *("INDEX_MCP_AA", "INDEX_MCP_FE", "INDEX_PIP_FE", "INDEX_DIP_FE"),
    *("MIDDLE_MCP_AA", "MIDDLE_MCP_FE", "MIDDLE_PIP_FE", "MIDDLE_DIP_FE"),
    *("RING_MCP_AA", "RING_MCP_FE", "RING_PIP_FE", "RING_DIP_FE"),
    *("PINKY_MCP_AA", "PINKY_MCP_FE", "PINKY_PIP_FE", "PINKY_DIP_FE"),
)
DTYPE = np.dtype(
    [("time", "<f8"), ("joint_angles", "<f8", (len(JOINTS),)), ("emg", "<f4", (ELECTRODES,))]
)
_FIELDS = {
    **fields(DTYPE),
    "joint_angles": (DTYPE["joint_angles"], np.dtype(("<f4", (len(JOINTS),)))),
}
_FAILED = 1e-8  # rad: |angle| up to this is zero, as numpy's isclose says in the published mask


class PoseSession(RecordingFile):
    """One open session. Context manager; len() is its number of samples; RecordingError refuses a
    bad file."""

    GROUP, KIND, FIELDS = GROUP, "emg2pose session", _FIELDS

    def emg(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples start…stop as float32 (n, 16 electrodes); NaN and infinities are refused."""
        return self._finite_emg(start, stop)

    def joint_angles(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Angles of samples start…stop as float32 (n, 20) radians in the order of JOINTS; all zero
        where IK failed."""
        rows = self._read(start, stop)
        self._check_labels(rows, start)
        return rows["joint_angles"].astype(np.float32)

    def no_ik_failure(self) -> np.ndarray:
        """Whether the angles of each sample are known, bool (len,): False where all twenty are
        zero."""
        return np.concatenate(
            [(np.abs(rows["joint_angles"]) > _FAILED).any(axis=1) for _, rows in self._blocks()]
        )

    @property
    def session_name(self) -> str:
        """Name of the recording session; it has several stages, each a file per hand."""
        return str(self.attributes["session"])

    @property
    def user(self) -> str:
        """Who wore the band."""
        return str(self.attributes["user"])

    @property
    def side(self) -> str:
        """Which hand: left or right."""
        return str(self.attributes["side"])

    @property
    def stage(self) -> str:
        """What the user was asked to do."""
        return str(self.attributes["stage"])

    @property
    def simulated(self) -> bool:
        """Whether the file says that a simulator wrote it."""
        return self.user.startswith("simulated")

    def _emg(self, rows: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(rows["emg"])

    def _electrode(self, place: tuple[int, ...]) -> str:
        return f"electrode {place[0]}"

    def _check_labels(self, rows: np.ndarray, start: int) -> None:
        """Angles are labels: one that is not a number must not enter a score."""
        places = np.argwhere(~np.isfinite(rows["joint_angles"]))
        if len(places):
            sample, joint = start + int(places[0][0]), JOINTS[int(places[0][1])]
            raise RecordingError(
                f"{self.path}: expected finite joint angles, found {len(places)} NaN or infinite"
                f" values, the first at sample {sample} ({sample / SAMPLE_RATE:.4f} s), {joint};"
                f" {AGAIN}"
            )

    def _checked_attributes(self, found: dict[str, Any]) -> dict[str, Any]:
        self._check_present(
            found, ("session", "user", "side", "stage", "sample_rate", "num_channels")
        )
        for name, expected in (("sample_rate", SAMPLE_RATE), ("num_channels", ELECTRODES)):
            if not isinstance(found[name], int | float) or found[name] != expected:
                raise RecordingError(
                    f"{self.path}: attribute {name}: expected {expected}, found {found[name]}"
                )
        if found["side"] not in ("left", "right"):
            raise RecordingError(
                f"{self.path}: attribute side: expected left or right, found {found['side']!r}"
            )
        return found
