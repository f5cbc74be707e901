"""The process in which TFLite-Micro runs a step file; started by path from `interpreter.py`,
imports as little as it can.

process.py run MODEL ARENA SAMPLES FRAMES [INPUT …]
                                      int16 samples in the file SAMPLES, int16 output frames into
                                      the file FRAMES; outputs after the first are the next state;
                                      INPUT …: which inputs begin with the values on stdin, a .npy
                                      each
process.py arena MODEL LOW HIGH       prints `LOW HIGH` (in units of GRAIN bytes) as it closes in on
                                      the smallest arena that works
"""

from __future__ import annotations

import contextlib
import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tflite_micro import runtime

GRAIN = 256
TOGETHER = 256  # steps that are read at once


def machine(content: bytes, arena: int) -> runtime.Interpreter:
    """An interpreter from the zero state; RuntimeError when the arena is too small, unless it
    crashes."""
    with contextlib.redirect_stdout(sys.stderr):  # the package prints
        return runtime.Interpreter.from_bytes(content, arena_size=arena)


def states(interpreter: runtime.Interpreter) -> list[np.ndarray]:
    """Zeros for every input after the first."""
    found: list[np.ndarray] = []
    while True:
        try:
            details = interpreter.get_input_details(1 + len(found))
        except (IndexError, ValueError, RuntimeError):
            return found
        found.append(np.zeros(details["shape"], details["dtype"]))


def outputs(interpreter: runtime.Interpreter, most: int) -> int:
    """How many outputs there are, `most` + 1 at most."""
    for index in range(1, most + 1):
        try:
            interpreter.get_output_details(index)
        except (IndexError, ValueError, RuntimeError):
            return index
    return most + 1


def steps_of(samples: str, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The steps of this shape in a file of int16 samples, of which some are read at a time."""
    size = math.prod(shape)
    with open(samples, "rb") as file:
        while len(block := np.fromfile(file, np.int16, size * TOGETHER)):
            yield from block.reshape(-1, *shape)


def run(
    content: bytes, arena: int, samples: str, frames: BinaryIO, begin: dict[int, np.ndarray]
) -> None:
    """A file of samples -> output frames into another. `begin`: input -> its value before the first
    step."""
    interpreter = machine(content, arena)
    shape = tuple(int(n) for n in interpreter.get_input_details(0)["shape"])
    inputs = [np.zeros(shape, np.int16), *states(interpreter)]
    for index, value in begin.items():
        inputs[index] = value.reshape(inputs[index].shape)
    kept = outputs(interpreter, len(inputs) - 1)
    for step in steps_of(samples, shape):
        inputs[0] = step
        for index, value in enumerate(inputs):
            interpreter.set_input(value, index)
        interpreter.invoke()
        frames.write(np.asarray(interpreter.get_output(0), np.int16).tobytes())
        inputs[1:kept] = [interpreter.get_output(index).copy() for index in range(1, kept)]


def bisect(content: bytes, low: int, high: int) -> None:
    """Every line printed is true even if the next try crashes: low is too small, high works."""
    while high - low > 1:
        middle = (low + high) // 2
        print(middle, high, flush=True)  # what is known if this try never returns
        try:
            interpreter = machine(content, middle * GRAIN)
            interpreter.invoke()
            high = middle
        except RuntimeError:
            low = middle
        print(low, high, flush=True)


def main(task: str, model: str, *numbers: str) -> None:
    content = Path(model).read_bytes()
    if task == "arena":
        bisect(content, int(numbers[0]), int(numbers[1]))
        return
    given, inputs = io.BytesIO(sys.stdin.buffer.read()), [int(n) for n in numbers[3:]]
    begin = {index: np.load(given) for index in inputs}
    with open(numbers[2], "wb") as frames:
        run(content, int(numbers[0]), numbers[1], frames, begin)


if __name__ == "__main__":
    main(*sys.argv[1:])
