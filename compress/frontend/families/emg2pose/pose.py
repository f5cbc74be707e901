"""The pose modules of emg2pose: joint angles in rad from features, step by step, each step fed with
the pose of the one before.

Source: facebookresearch/emg2pose. `resample` says how features (25 Hz) become the steps of the
  rollout (50 Hz): window  as published: stretched over the whole window, first feature on the first
  step and last on the last stream  on the stream's own grid, which needs no end: with r steps to a
  feature, step r·k + j is
          x[k] + (x[k + 1] − x[k]) · j / r, so it is known one feature later (40 ms), and K features
          give r · (K − 1) steps
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from compress.errors import CheckpointError, TendonError
from compress.frontend.deferred import Deferred
from compress.frontend.factored import apply
from compress.frontend.families.emg2pose.decoders import MLP, SequentialLSTM, State
from compress.frontend.families.emg2pose.neuropose import NeuroPose
from compress.frontend.families.emg2pose.tds import TdsNetwork

SAMPLE_RATE, JOINTS = 2000, 20
RESAMPLE = ("window", "stream")


class BasePoseModule(nn.Module, ABC):
    """sEMG (B, 16, samples) at 2 kHz and an initial pose (B, 20) rad -> poses (B, 20, steps) rad
    after the left context."""

    network: TdsNetwork | NeuroPose

    def __init__(self, network: TdsNetwork | NeuroPose) -> None:
        super().__init__()
        self.network = network
        self.left_context, self.right_context = network.left_context, network.right_context

    def align(self, poses: Tensor, samples: int) -> Tensor:
        """Poses (B, 20, steps) at each of the `samples` that follow the left context, linearly
        between the steps."""
        return interpolate(poses, size=samples, mode="linear")

    @abstractmethod
    def forward(self, emg: Tensor, initial: Tensor, resample: str = "window") -> Tensor:
        """Poses (B, 20, steps); `resample` one of RESAMPLE."""


class PoseModule(BasePoseModule):
    """The network's output is the pose, or with `predict_vel` its change from frame to frame."""

    def __init__(self, network: TdsNetwork | NeuroPose, predict_vel: bool = False) -> None:
        super().__init__(network)
        if network.out_channels != JOINTS:
            raise CheckpointError(
                f"PoseModule.network.out_channels: expected {JOINTS} joints, found"
                f" {network.out_channels}"
            )
        self.predict_vel = predict_vel

    def forward(self, emg: Tensor, initial: Tensor, resample: str = "window") -> Tensor:
        if resample == "stream" and isinstance(self.network, NeuroPose):
            raise TendonError(
                "resample: NeuroPose sees the whole window at once; expected window, found stream"
            )
        poses = self.network(emg)
        return initial[..., None] + torch.cumsum(poses, -1) if self.predict_vel else poses


class _Rollout(BasePoseModule):
    """What the two modules with a decoder share."""

    network: TdsNetwork
    decoder: MLP | SequentialLSTM
    outputs = JOINTS

    def __init__(
        self,
        network: TdsNetwork | NeuroPose,
        decoder: MLP | SequentialLSTM,
        state_condition: bool,
        rollout_freq: int,
    ) -> None:
        super().__init__(network)
        where = type(self).__name__
        if not isinstance(network, TdsNetwork):
            raise CheckpointError(
                f"{where}.network: expected TdsNetwork, found {type(network).__name__}"
            )
        expected = network.out_channels + (JOINTS if state_condition else 0)
        if decoder.in_channels != expected:
            raise CheckpointError(
                f"{where}.decoder.in_channels: expected {expected} ({network.out_channels}"
                f" features{f' and {JOINTS} joints' if state_condition else ''}), found"
                f" {decoder.in_channels}"
            )
        if decoder.out_channels != self.outputs:
            raise CheckpointError(
                f"{where}.decoder.out_channels: expected {self.outputs}, found"
                f" {decoder.out_channels}"
            )
        self.decoder, self.state_condition, self.rollout_freq = (
            decoder,
            state_condition,
            rollout_freq,
        )

    @abstractmethod
    def pose(self, t: int, output: Tensor, before: Tensor) -> Tensor:
        """The pose of step t from the decoder's output and the pose before."""

    def forward(self, emg: Tensor, initial: Tensor, resample: str = "window") -> Tensor:
        features = self.resample(self.network(emg), emg.shape[-1], resample)
        return self.rollout(features, initial)[0]

    def resample(self, features: Tensor, samples: int, how: str) -> Tensor:
        """Features (B, C, frames) of so many samples of signal at the steps of the rollout, (B, C,
        steps)."""
        if how == "stream":
            return between(features, self.steps_per_frame)
        if how != "window":
            raise TendonError(f"resample: expected one of {', '.join(RESAMPLE)}, found {how!r}")
        seconds = (samples - self.left_context - self.right_context) / SAMPLE_RATE
        return interpolate(
            features, round(seconds * self.rollout_freq), mode="linear", align_corners=True
        )

    @property
    def steps_per_frame(self) -> int:
        """Rollout steps to a feature frame; CheckpointError when they are not whole, for a stream
        must not drift."""
        stride = self.network.stride
        steps, rest = divmod(self.rollout_freq * stride, SAMPLE_RATE)
        if rest or not steps:
            raise CheckpointError(
                f"rollout_freq: expected a multiple of the features' {SAMPLE_RATE / stride:g} Hz,"
                f" found {self.rollout_freq} Hz, which has no streaming form"
            )
        return steps

    def rollout(
        self,
        features: Tensor,
        initial: Tensor,
        state: State | None = None,
        start: int = 0,
        training: bool = False,
    ) -> tuple[Tensor, State]:
        """Steps start… of a trajectory: features (B, C, steps), the pose before (B, 20) -> poses
        (B, 20, steps), decoder state.

        Without a state the trajectory begins. `training` defers the weights' gradients (see
        `deferred`).
        """
        steps = features.shape[-1]
        step = self.decoder.stepper(Deferred(steps) if training else apply)
        state = self.decoder.start(len(features)) if state is None else state
        pose, poses = initial, []
        for t, x in enumerate(features.unbind(-1), start):
            output, state = step(torch.cat([x, pose], dim=-1) if self.state_condition else x, state)
            pose = self.pose(t, output, pose)
            poses.append(pose)
        return torch.stack(poses, dim=-1), state


class StatePoseModule(_Rollout):
    """The decoder's output is the pose, or with `predict_vel` what is added to the one before."""

    def __init__(
        self,
        network: TdsNetwork | NeuroPose,
        decoder: MLP | SequentialLSTM,
        state_condition: bool = True,
        predict_vel: bool = False,
        rollout_freq: int = 50,
    ) -> None:
        super().__init__(network, decoder, state_condition, rollout_freq)
        self.predict_vel = predict_vel

    def pose(self, t: int, output: Tensor, before: Tensor) -> Tensor:
        return output + before if self.predict_vel else output


class VEMG2PoseWithInitialState(_Rollout):
    """Positions for the first `num_position_steps` samples (at 2 kHz), then velocities added to the
    pose before."""

    outputs = 2 * JOINTS

    def __init__(
        self,
        network: TdsNetwork | NeuroPose,
        decoder: MLP | SequentialLSTM,
        num_position_steps: int,
        state_condition: bool = True,
        rollout_freq: int = 50,
    ) -> None:
        super().__init__(network, decoder, state_condition, rollout_freq)
        self.num_position_steps = num_position_steps
        self.position_steps = round(num_position_steps * (rollout_freq / SAMPLE_RATE))

    def pose(self, t: int, output: Tensor, before: Tensor) -> Tensor:
        position, velocity = output.split(JOINTS, dim=1)
        return position if t < self.position_steps else before + velocity


def between(features: Tensor, steps: int) -> Tensor:
    """(B, C, K) -> (B, C, steps · (K − 1)): each feature, then `steps` − 1 points on the line to
    the next one."""
    weights = torch.arange(steps, dtype=features.dtype) / steps
    low, high = features[..., :-1, None], features[..., 1:, None]
    return (low + (high - low) * weights).flatten(-2)
