"""The pose of a hand: emg2pose sessions, joint angles in rad, their mean absolute error in degrees.

A stream's frames begin with those of the start-up, which mean nothing. The first valid one belongs
to the sample behind the left context, and each holds for its share of the samples from there on:
`pose_scores.align` brings them to the targets' rate as the published code does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress import graph as g
from compress.data import recordings
from compress.errors import RecordingError
from compress.graph.samples import Signal, whole_steps
from compress.tasks.pose import scores as pose_scores
from compress.tasks.pose.kinematics import load_hand
from compress.tasks.pose.session import ELECTRODES, PoseSession
from compress.tasks.task import Array, Recorded, Task
from compress.tasks.typing.session import SAMPLE_RATE


@dataclass(frozen=True)
class Angles:
    """Joint angles (samples, 20) in rad, and the samples (samples,) in which inverse kinematics
    found them."""

    angles: Array
    valid: Array


class Pose(Task):
    """Frames are joint angles (frames, 20) in rad at the network's output rate.

    Landmarks are those of the hand model in the environment's HAND=, else of the simple one.
    """

    name = "pose"
    metric, unit, points = "angle MAE", "°", "°"
    collection = recordings.POSE
    array = f"({ELECTRODES} electrodes, samples)"

    def read(self, graph: g.Graph, path: Path, seconds: float | None = None) -> Recorded:
        with PoseSession(path) as session:
            session.check()
            stop = (
                len(session) if seconds is None else min(len(session), round(seconds * SAMPLE_RATE))
            )
            samples = whole_steps(graph, session.emg(0, stop))
            angles, valid = (
                session.joint_angles(0, len(samples)),
                session.no_ik_failure()[: len(samples)],
            )
        initial = None
        if graph.provenance.get("initial_pose"):
            if len(samples) <= graph.left_context:
                raise RecordingError(
                    f"{path}: expected more than the {graph.left_context} samples before the first"
                    f" pose, found {stop}"
                )
            initial = dict.fromkeys(graph.initial, angles[graph.left_context])
        return Recorded(path, Signal(samples, initial), Angles(angles, valid))

    def from_array(self, array: Array) -> Array:
        if array.ndim != 2 or array.shape[0] != ELECTRODES:
            raise ValueError(
                f"expected numbers of shape {self.array}, found {array.dtype} {array.shape}"
            )
        return array.T

    def laid_out(self, graph: g.Graph, frames: Array) -> Array:
        """(20, steps) in rad, from the first valid step on, as the published code has it."""
        return np.ascontiguousarray(frames[graph.start_up :].T)

    def stretches(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> list[pose_scores.Stretch]:
        """Predictions at 2 kHz beside the targets, from the sample behind the left context on."""
        return [
            pose_scores.stretch(
                pose_scores.align(found[graph.start_up :], len(target.angles)),
                target.angles,
                target.valid,
            )
            for found, target in (
                (f, self.behind(graph, len(f), r)) for f, r in zip(frames, recorded, strict=True)
            )
        ]

    def behind(self, graph: g.Graph, frames: int, recorded: Recorded) -> Angles:
        """The part of the targets that valid frames, of so many in all, belong to."""
        begin = graph.left_context
        span = slice(
            begin, begin + int((frames - graph.start_up) * graph.input.rate / graph.output.rate)
        )
        valid = recorded.target.valid[span]
        if (
            graph.provenance.get("initial_pose")
            and not recorded.target.valid[begin : begin + 1].all()
        ):
            valid = np.zeros_like(
                valid
            )  # tracking without a pose to begin with is not scored, as published
        return Angles(recorded.target.angles[span], valid)

    def error(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> float | None:
        parts = self.stretches(graph, frames, recorded)
        valid = sum(int(part.mask.sum()) for part in parts)
        return (
            sum(float(part.error.sum()) for part in parts) / (valid * parts[0].error.shape[1])
            if valid
            else None
        )

    def interval(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> tuple[float, float]:
        return pose_scores.mae_interval(self.stretches(graph, frames, recorded), SAMPLE_RATE)

    def difference(
        self,
        graph: g.Graph,
        first: Sequence[Array],
        second: Sequence[Array],
        recorded: Sequence[Recorded],
    ) -> tuple[float, float]:
        a, b = (self.stretches(graph, frames, recorded) for frames in (first, second))
        found = pose_scores.mae_difference(a, b, SAMPLE_RATE)
        return found.low, found.high

    def details(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, Any]:
        parts = [part for part in self.stretches(graph, frames, recorded) if part.mask.any()]
        if not parts:
            return {}
        hand = Path(os.environ["HAND"]) if os.environ.get("HAND") else None
        found = pose_scores.score(parts, SAMPLE_RATE, load_hand(hand)).to_json()
        return found | {"hand": "simple" if hand is None else hand.name}

    def trivial(
        self, graph: g.Graph, recorded: Sequence[Recorded], training: Sequence[Recorded]
    ) -> dict[str, float]:
        """MAE in degrees over the same samples of holding the first pose, and of the mean pose of
        other recordings."""
        mean = pose_scores.mean_pose(
            [r.target.angles for r in training], [r.target.valid for r in training]
        )
        frames = int(graph.output.rate)
        targets = [self.behind(graph, int(r.seconds * frames), r) for r in recorded]
        found = {}
        for name, guess in (("hold_initial", lambda t: t[:1]), ("mean_pose", lambda t: mean[None])):
            errors = [np.degrees(np.abs(t.angles - guess(t.angles)))[t.valid] for t in targets]
            found[name] = float(np.concatenate(errors).mean())
        return found

    def amount(self, recorded: Sequence[Recorded]) -> tuple[int, str]:
        return round(sum(r.seconds for r in recorded)), "seconds"

    def agreement(self, first: Sequence[Array], second: Sequence[Array]) -> float | None:
        return None
