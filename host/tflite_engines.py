"""Engines `litert` and `tflm`: the exported step in LiteRT's and in TFLite-Micro's interpreter, on this machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compress import graph as g
from compress.artifacts import Folder
from compress.errors import TendonError
from export.tflite import interpreter, make_tflite
from export.tflite.read import TfliteError

ENGINES = ("litert", "tflm")


def run(engine: str, graph: g.Graph, folder: Folder, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """int16 samples (time, features), whole steps -> int16 output words (frames, outputs), from the zero state."""
    path = make_tflite(graph, folder)
    if engine == "tflm":
        return interpreter.run(path, samples)
    if engine == "litert":
        return run_litert(path.read_bytes(), samples, str(path))
    raise TendonError(f"ENGINE={engine}: expected one of {', '.join(ENGINES)}")


def run_litert(content: bytes, samples: npt.NDArray[np.int16], name: str) -> npt.NDArray[np.int16]:
    """The same for the bytes of either form of the step. Without LiteRT's default delegates: they change the arithmetic."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # slow to import

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        machine = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
        machine.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise TfliteError(f"{name}: LiteRT refuses the file: {error}") from error
    inputs, outputs = machine.get_input_details(), machine.get_output_details()
    state = [np.zeros(detail["shape"], np.int16) for detail in inputs[1:]]
    frames = []
    for step in samples.reshape(-1, *inputs[0]["shape"]):
        for detail, value in zip(inputs, [step, *state], strict=True):
            machine.set_tensor(detail["index"], value)
        machine.invoke()
        first, *state = (machine.get_tensor(detail["index"]) for detail in outputs)
        frames.append(first.reshape(-1))
    return np.array(frames, np.int16).reshape(len(frames), -1)
