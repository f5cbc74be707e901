"""Engines `litert` and `tflm`: the exported step in LiteRT's and in TFLite-Micro's interpreter, on
this machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from compress import graph as g
from compress.artifacts import Folder
from compress.errors import UsageError
from compress.graph.kept import keep
from compress.graph.samples import Initial, blocks, check_initial
from export.tflite import interpreter, make_tflite
from export.tflite.read import TfliteError, notes_of, parse
from host.names import INTERPRETERS

ENGINES = INTERPRETERS
Words = npt.NDArray[np.int16]


def run(
    engine: str, graph: g.Graph, folder: Folder, samples: Words, initial: Initial | None = None
) -> Words:
    """int16 samples (time, features), whole steps -> int16 output words (frames, outputs), from the
    zero state; many of them stay on disk.

    initial: real values (features,) of the extra inputs that the stream begins with, by name.
    """
    path = make_tflite(graph, folder)
    begin = None if initial is None else initial_words(graph, initial)
    if engine == "tflm":
        return interpreter.run(path, samples, initial=begin)
    if engine == "litert":
        return run_litert(path.read_bytes(), samples, str(path), begin)
    raise UsageError(f"ENGINE={engine}: expected one of {', '.join(ENGINES)}")


def initial_words(graph: g.Graph, initial: Initial) -> dict[str, Words]:
    """Real values of extra inputs in their steps, as IntegerInterpreter begins with them."""
    check_initial(graph, initial)
    return {
        name: graph.initial[name].integers(value).astype(np.int16)
        for name, value in initial.items()
    }


def run_litert(
    content: bytes, samples: Words, name: str, initial: Mapping[str, Words] | None = None
) -> Words:
    """The same for the bytes of either form of the step, from extra inputs in words.

    Without LiteRT's default delegates: they change the arithmetic.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # slow to import

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        machine = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
        machine.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise TfliteError(f"{name}: LiteRT refuses the file: {error}") from error
    inputs, outputs = machine.get_input_details(), machine.get_output_details()
    values = [np.zeros(detail["shape"], detail["dtype"]) for detail in inputs]
    noted = notes_of(parse(content, name))
    for index, value in interpreter.initial_inputs(noted, initial or {}, name).items():
        values[index] = value.reshape(values[index].shape)
    shape = inputs[0]["shape"]
    together = int(np.prod(shape)) // samples.shape[-1]
    count = len(samples) // together
    if not count:
        return np.zeros((0, outputs[0]["shape"][-1]), np.int16)

    def computed(step: Words) -> Words:
        values[0] = step
        for detail, value in zip(inputs, values, strict=True):
            machine.set_tensor(detail["index"], value)
        machine.invoke()
        first, *values[1 : len(outputs)] = (
            machine.get_tensor(detail["index"]) for detail in outputs
        )
        return np.asarray(first.reshape(-1, first.shape[-1]), np.int16)

    parts = (block.reshape(-1, *shape) for block in blocks(samples, together))
    return keep((computed(step) for part in parts for step in part), count)
