"""The process in which TFLite-Micro runs a step file; started by path from `interpreter.py`, imports as little as it can.

process.py run MODEL ARENA        .npy of steps on stdin, .npy of outputs on stdout; outputs after the first are the next state
process.py arena MODEL LOW HIGH   prints `LOW HIGH` (in units of GRAIN bytes) as it closes in on the smallest arena that works
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
from tflite_micro import runtime

GRAIN = 256


def machine(content: bytes, arena: int) -> runtime.Interpreter:
    """An interpreter from the zero state; RuntimeError when the arena is too small, unless it crashes."""
    with contextlib.redirect_stdout(sys.stderr):  # the package prints
        return runtime.Interpreter.from_bytes(content, arena_size=arena)


def states(interpreter: runtime.Interpreter) -> list[np.ndarray]:
    """Zeros for every input after the first."""
    found: list[np.ndarray] = []
    while True:
        try:
            found.append(np.zeros(interpreter.get_input_details(1 + len(found))["shape"], np.int16))
        except (IndexError, ValueError, RuntimeError):
            return found


def run(content: bytes, arena: int, steps: np.ndarray) -> np.ndarray:
    """Steps (n, …input) -> outputs (n, values)."""
    interpreter = machine(content, arena)
    state, outputs = states(interpreter), []
    for step in steps:
        for index, value in enumerate([step, *state]):
            interpreter.set_input(value, index)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).reshape(-1).copy())
        state = [interpreter.get_output(1 + i).copy() for i in range(len(state))]
    return np.array(outputs)


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
    outputs = io.BytesIO()
    np.save(outputs, run(content, int(numbers[0]), np.load(io.BytesIO(sys.stdin.buffer.read()))))
    sys.stdout.buffer.write(outputs.getvalue())


if __name__ == "__main__":
    main(*sys.argv[1:])
