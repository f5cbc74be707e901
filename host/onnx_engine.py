"""A step model in ONNX run by onnxruntime: one thread, state fed back step by step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from compress import graph as g
from compress.errors import TendonError
from compress.graph.kept import keep
from compress.graph.samples import Initial, blocks
from compress.report.progress import Bar
from export.onnx.writer import INITIAL

Array = g.Array
DTYPES = {"float32": np.float32, "int32": np.int32, "int16": np.int16, "int8": np.int8}


def run(
    model: onnx.ModelProto, signal: Array, progress: str = "", initial: Initial | None = None
) -> npt.NDArray[np.float32]:
    """Real samples (time, inputs), whole steps -> (frames, outputs) by a step model from its zero
    state, with these values of its extra inputs."""
    return StepModel(model.SerializeToString()).run(signal, progress, initial)


class StepModel:
    """A loaded model and its state. The same file and samples give the same frames on the same
    machine."""

    def __init__(self, model: Path | bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
            metadata = self.session.get_modelmeta().custom_metadata_map
            self.states = json.loads(metadata["states"])
            self.output = self.session.get_outputs()[0].name
        except Exception as error:  # onnxruntime raises a class of its own per status
            where = model if isinstance(model, Path) else "ONNX model"
            raise TendonError(
                f"{where}: expected a step model as `make export FORMAT=onnx` writes it, found:"
                f" {error}"
            ) from error
        self.samples_per_step = int(metadata["samples_per_step"])
        self.initial = {
            key.removeprefix(INITIAL): state
            for key, state in metadata.items()
            if key.startswith(INITIAL)
        }
        self.reset()

    def reset(self, initial: Initial | None = None) -> None:
        """All state to zero, but for the extra inputs (features,) that the stream begins with.

        TendonError when the model has none of this name, or one of other features.
        """
        self.state = {s["in"]: np.zeros(s["shape"], DTYPES[s["dtype"]]) for s in self.states}
        for name, values in (initial or {}).items():
            state = self.initial.get(name, "")
            if not state or np.size(values) != self.state[state].size:
                raise TendonError(
                    f"the step model begins with no {name!r}, or not with one of {np.size(values)}"
                    " values"
                )
            self.state[state] = np.asarray(values, np.float32).reshape(1, -1)

    def step(self, samples: Array) -> npt.NDArray[np.float32]:
        """Real samples (samples_per_step, inputs) -> (frames of a step, outputs); keeps the
        state."""
        names = [self.output, *(s["out"] for s in self.states)]
        frame, *after = self.session.run(names, {"samples": samples, **self.state})
        self.state = {s["in"]: value for s, value in zip(self.states, after, strict=True)}
        return np.asarray(frame)

    def run(
        self, signal: Array, progress: str = "", initial: Initial | None = None
    ) -> npt.NDArray[np.float32]:
        """Real samples (time, inputs), whole steps, from the zero state and these extra inputs ->
        (frames, outputs), many of which stay on disk."""
        self.reset(initial)
        shape = self.samples_per_step, signal.shape[-1]
        steps = (
            samples
            for block in blocks(signal, self.samples_per_step)
            for samples in block.astype(np.float32).reshape(-1, *shape)
        )
        count = len(signal) // self.samples_per_step
        bar = Bar(steps, desc=progress, unit="frame", disable=not progress, total=count)
        return keep(map(self.step, bar), count)
