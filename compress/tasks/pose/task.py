"""The pose of a hand: emg2pose sessions, joint angles in rad, their mean absolute error in degrees.

A stream's frames begin with those of the start-up, which mean nothing. The first valid one belongs
to the sample behind the left context, and each holds for its share of the samples from there on:
`pose_scores.align` brings them to the targets' rate as the published code does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress import graph as g
from compress.data import on_disk
from compress.data.clock import Segment
from compress.data.recording_file import SAMPLE_RATE
from compress.errors import RecordingError, TendonError
from compress.graph.samples import Signal
from compress.tasks.costs import CostWords
from compress.tasks.pose import scores as pose_scores
from compress.tasks.pose.kinematics import load_hand
from compress.tasks.pose.session import ELECTRODES, JOINTS, PoseSession
from compress.tasks.pose.simulated import COLLECTION, LONG
from compress.tasks.recorded import Cut, Loop, Recorded, Shown
from compress.tasks.shape import Shape, is_own, label_samples
from compress.tasks.stretches import too_short
from compress.tasks.task import Array, Runs, Task
from compress.tasks.wiring import Wiring

if TYPE_CHECKING:
    from compress.report.drawing import Picture


@dataclass(frozen=True)
class Angles:
    """Joint angles (samples, 20) in rad, and the samples (samples,) in which inverse kinematics
    found them."""

    angles: Array
    valid: Array


def first_sample(graph: g.Graph) -> int:
    """The first sample of the stretch that valid frames share: the one behind the left context as
    published; of a user's own network so that the first frame's label is in the middle of its
    share."""
    if not is_own(graph):
        return graph.left_context
    label = label_samples(graph, graph.start_up + 1)[-1]
    return max(0, int(label) - (int(graph.input.rate / graph.output.rate) - 1) // 2)


def first_pose(graph: g.Graph, angles: Array) -> Array:
    """That of the sample behind the left context, of angles (samples, 20)."""
    return np.asarray(angles[graph.left_context : graph.left_context + 1])[0]


def scored(graph: g.Graph, frames: Array, target: Angles) -> Array:
    """The valid frames that have their share of the targets."""
    valid = frames[graph.start_up :]
    if not is_own(graph):
        return valid
    return valid[: len(target.angles) // int(graph.input.rate / graph.output.rate)]


class Pose(Task):
    """Frames are joint angles (frames, 20) in rad at the network's output rate.

    Landmarks are those of the hand model in the environment's HAND=, else of the simple one.
    """

    name = "pose"
    metric, unit, points = "angle MAE", "°", "°"
    title = "Angle error (mean absolute)"
    collection = COLLECTION
    network = Shape(Fraction(SAMPLE_RATE), ELECTRODES, len(JOINTS))
    array = f"({ELECTRODES} electrodes, samples)"
    frames_last = True
    loop = Loop(allowed=0.2, says="a pose", outputs="poses", known="known angles", split=LONG)
    # over a whole recording features are interpolated with ones that a stream does not have yet
    whole = False

    def wiring(self, graph: g.Graph) -> Wiring:
        own = is_own(graph)
        return Wiring(
            samples=(
                "as emg2pose's recordings have them (Salter et al. 2024, arXiv:2412.02725):"
                " high-pass filtered when they were recorded, nothing else. Their repository"
                " (facebookresearch/emg2pose, emg2pose/data.py) gives neither cut-off nor order nor"
                " unit; simulated ones have 40 Hz, Butterworth, second order. How many"
                " volts one unit is, it does not say: match the amplitudes of a recording"
            ),
            electrodes=(
                f"electrodes 0 to {ELECTRODES - 1} around the wrist of one arm, in the order of the"
                " recordings' `emg`. Which electrode is 0 and which way they count, the repository"
                " does not say: take it from a recording"
            ),
            outputs="joint angles in rad" + (", as the network orders them" if own else ""),
            names=JOINTS if graph.output.features == len(JOINTS) else (),
        )

    def look(self, path: Path) -> None:
        with PoseSession(path) as session:
            session.look()

    @contextmanager
    def cut(self, graph: g.Graph, path: Path, labels: bool) -> Iterator[Cut]:
        with PoseSession(path) as session:
            session.check(labels)
            known = session.no_ik_failure()
            yield Cut(session.segments, lambda s: self._part(graph, session, s, known))

    def _part(
        self, graph: g.Graph, session: PoseSession, segment: Segment, known: Array
    ) -> Recorded:
        start, stop = segment.start, segment.stop
        angles, initial = on_disk.stretch(session, "joint_angles", start, stop), None
        if graph.provenance.get("initial_pose"):
            if len(segment) <= graph.left_context:
                raise RecordingError(too_short(graph, session.path, len(segment)))
            initial = dict.fromkeys(graph.initial, first_pose(graph, angles))
        signal = Signal(on_disk.stretch(session, "samples", start, stop), initial)
        return Recorded(session.path, signal, Angles(angles, known[start:stop]), start=start)

    def begins_with(self, graph: g.Graph) -> tuple[tuple[int, ...], str] | None:
        if not graph.provenance.get("initial_pose"):
            return None
        joints = graph.output.features
        return (joints,), f"{joints} angles in rad"

    def opened(self, graph: g.Graph, path: Path) -> PoseSession:
        return PoseSession(path)

    def from_array(self, array: Array) -> Array:
        if array.ndim != 2 or array.shape[0] != ELECTRODES:
            raise ValueError(
                f"expected numbers of shape {self.array}, found {array.dtype} {array.shape}"
            )
        return array.T

    def stretches(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> list[pose_scores.Stretch]:
        """Predictions at 2 kHz beside the targets, from the sample behind the left context on."""
        return [
            pose_scores.stretch(
                pose_scores.align(scored(graph, found, target), len(target.angles)),
                target.angles,
                target.valid,
            )
            for found, target in (
                (f, self.behind(graph, len(f), r)) for f, r in zip(frames, recorded, strict=True)
            )
        ]

    def behind(self, graph: g.Graph, frames: int, recorded: Recorded) -> Angles:
        """The part of the targets that valid frames, of so many in all, belong to."""
        begin = first_sample(graph)
        span = slice(
            begin, begin + int((frames - graph.start_up) * graph.input.rate / graph.output.rate)
        )
        if is_own(graph):  # the last frames' shares may reach behind the recording: whole shares
            share = int(graph.input.rate / graph.output.rate)
            whole = (min(span.stop, len(recorded.target.angles)) - begin) // share * share
            span = slice(begin, begin + max(whole, 0))
        valid = recorded.target.valid[span]
        if (
            graph.provenance.get("initial_pose")
            and not recorded.target.valid[begin : begin + 1].all()
        ):
            valid = np.zeros_like(
                valid
            )  # tracking without a pose to begin with is not scored, as published
        return Angles(recorded.target.angles[span], valid)

    def runs(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Runs:
        """Degrees, summed over the valid samples of each second, and how many these are."""
        (part,) = self.stretches(graph, [frames], [recorded])
        return pose_scores.run_sums(part, SAMPLE_RATE)

    def followed(self, graph: g.Graph, frames: Array, recorded: Recorded) -> pose_scores.Stretch:
        return self.stretches(graph, [frames], [recorded])[0]

    def error(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> float | None:
        parts = self.stretches(graph, frames, recorded)
        valid = sum(int(part.mask.sum()) for part in parts)
        total = sum(float(piece.error.sum()) for part in parts for piece in part.pieces())
        return total / (valid * len(JOINTS)) if valid else None

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

    def published_figures(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, float]:
        """The columns of emg2pose's test_analysis: angles in rad, distances in mm."""
        try:
            found = self.details(graph, frames, recorded)
        except TendonError:  # too few valid samples in a row for what is measured of them
            return {}
        return pose_scores.published(found) if found else {}

    def trivial(
        self, graph: g.Graph, recorded: Sequence[Recorded], others: Sequence[Path]
    ) -> dict[str, float]:
        """MAE in degrees over the same samples of holding the first pose, and of the mean pose of
        other recordings."""
        training = [part.target for path in others for part in self.parts(graph, path)]
        mean = pose_scores.mean_pose([t.angles for t in training], [t.valid for t in training])
        rate = float(graph.output.rate)
        targets = [self.behind(graph, int(r.seconds * rate), r) for r in recorded]
        angles, valid = [t.angles for t in targets], [t.valid for t in targets]
        guesses = {
            "hold_initial": [np.asarray(a[:1]) for a in angles],
            "mean_pose": [mean[None] for _ in angles],
        }
        return {name: pose_scores.mean_error(angles, valid, of) for name, of in guesses.items()}

    def say(self, details: dict[str, Any]) -> list[tuple[str, str]]:
        if not details:
            return []
        fingers, groups = (
            ", ".join(f"{name} {value:.1f}" for name, value in details[of].items())
            for of in ("finger_mae_deg", "group_mae_deg")
        )
        landmarks = (
            f"{details['landmark_mm']:.1f} mm, tips {details['fingertip_mm']:.1f} mm"
            f" ({details['hand']} hand)"
        )
        return [
            ("board, by finger", f"{fingers} °"),
            ("board, by place", f"{groups} °"),
            ("board, landmarks", landmarks),
        ]

    def picture(self, shown: Shown) -> Picture | None:
        from compress.tasks.pose import pictures  # matplotlib is slow to import

        return pictures.angles(shown)

    def costs(self) -> CostWords:
        return CostWords(
            stem="pareto-pose",
            keys={"error": "mae", "low": "mae_low", "high": "mae_high", "amount": "samples"},
            word="angle error",
            axis="mean absolute error of joint angles, °",
            how_to_read=(
                "What costs nearly the same is moved apart. Dark line and rings: the Pareto front"
                " of what was measured here. Lines across: predictors that read no sEMG, over the"
                " samples a network is scored on; above them it knows nothing."
            ),
            macs="Convolutions, dense layers and LSTM cells.",
            predictors={
                "hold_initial": "the initial pose, held",
                "mean_pose": "the mean pose of the calibration session",
            },
            notes=(
                "float is the float graph as a stream, like the integers; the published forward"
                " over a whole window is another figure",
            ),
        )
