"""The record of emg2pose: joint angles of a hand, one band of electrodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compress.errors import TendonError
from compress.frontend.families.emg2pose.published import NETWORKS
from compress.frontend.families.record import Family

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from compress.frontend.builder import Builder
    from compress.frontend.checkpoint import Checkpoint
    from compress.frontend.families.emg2pose.model import PoseNetwork


class Emg2Pose(Family):
    """Causal networks that feed poses back, and NeuroPose, which sees a window at a time."""

    task, source = "pose", "emg2pose"
    keys, options = ("network_conf",), ("provide_initial_pos",)
    networks = NETWORKS
    shipped = ("tracking_vemg2pose",)
    features, sample_rate = 16, 2000  # one band of electrodes
    forward_is_stream = False  # it interpolates features with ones that a stream has not yet

    def build(self, hyper_parameters: dict[str, Any]) -> PoseNetwork:
        from compress.frontend.families.emg2pose.model import PoseNetwork

        return PoseNetwork(hyper_parameters)

    def structure(self, hyper_parameters: dict[str, Any]) -> Any:
        """The whole tree but dropout, and whether the initial pose is given."""
        conf = _without_dropout(hyper_parameters["network_conf"])
        return (conf, self.initial_inputs(hyper_parameters))

    def lower(self, b: Builder, model: PoseNetwork, window: int | None) -> None:
        from compress.frontend.families.emg2pose.handlers import pose

        pose(b, model, window)

    def forward(
        self, loaded: Checkpoint, samples: Tensor, initial: npt.NDArray[np.float32] | None
    ) -> Tensor:
        """(samples, 16), initial pose (20,) rad for a network that was trained with one ->
        (steps, 20) rad, in window mode."""
        poses: Tensor = loaded.model(samples.t()[None], self._batch(loaded, initial))[0].t()
        return poses

    def _batch(self, loaded: Checkpoint, initial: npt.NDArray[np.float32] | None) -> Tensor | None:
        """The initial pose as a batch of one; TendonError when the network takes none or the shape
        is another."""
        import numpy as np
        import torch

        from compress.frontend.families.emg2pose.pose import JOINTS

        if initial is None:
            return None
        if not self.initial_inputs(loaded.hyper_parameters):
            raise TendonError(
                f"initial pose: {loaded.name} was trained without one and begins from zeros;"
                " expected none"
            )
        if np.shape(initial) != (JOINTS,):
            raise TendonError(
                f"initial pose: expected {JOINTS} angles in rad, found an array of shape"
                f" {np.shape(initial)}"
            )
        return torch.from_numpy(np.ascontiguousarray(initial, dtype=np.float32))[None]

    def window(self, model: PoseNetwork) -> int | None:
        from compress.frontend.families.emg2pose.neuropose import WINDOW, NeuroPose

        return WINDOW if isinstance(model.model.network, NeuroPose) else None

    def initial_inputs(self, hyper_parameters: dict[str, Any]) -> tuple[str, ...]:
        """The pose (20,) in rad, for networks that were trained with the true one."""
        return ("initial_pose",) if hyper_parameters.get("provide_initial_pos", False) else ()

    def factorable(self, module: str) -> bool:
        """Any: the featurizer's and the decoder's matrices are large."""
        return True


def _without_dropout(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_dropout(v) for v in value]
    if isinstance(value, dict):
        return {k: _without_dropout(v) for k, v in value.items() if not k.startswith("dropout")}
    return value


FAMILY = Emg2Pose()
