"""The tensor arena of a step, from a real run of TFLite-Micro's interpreter on this machine, with a
margin for the board.

The interpreter's head holds activations and is the same everywhere, but for scratch memory that
CMSIS-NN's kernels ask for and the reference kernels do not; its tail holds what it keeps
(structures, multipliers of every channel), and is shorter where pointers have four bytes. So the
tail is an upper bound, and the margin is for the scratch memory. The board says what it uses
(STATUS).
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

from compress.errors import TendonError

ROOM = 32 << 20  # bytes given to the run that is measured
SCRATCH = (
    6 * 1024
)  # CMSIS-NN: two columns of the widest 16-bit convolution, and what alignment takes
ALIGNMENT = 16
_TOTAL = re.compile(r"Arena allocation (head|tail) (\d+) bytes")
_RUN = """
import sys
import numpy as np
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size=int(sys.argv[1]))
for index in range(int(sys.argv[2])):
    details = interpreter.get_input_details(index)
    interpreter.set_input(np.zeros(details["shape"], details["dtype"]), index)
interpreter.invoke()
interpreter.print_allocations()
"""


@dataclass(frozen=True)
class Arena:
    """Bytes on this machine: `head` activations with the state, `tail` what the interpreter
    keeps."""

    head: int
    tail: int

    @property
    def for_board(self) -> int:
        """What the board's interpreter is given."""
        return -(-(self.head + self.tail + SCRATCH) // ALIGNMENT) * ALIGNMENT


def measure(content: bytes, inputs: int) -> Arena:
    """Run one step of zeros in a process of its own: the interpreter may crash on a file it cannot
    run."""
    command = [sys.executable, "-c", _RUN, str(ROOM), str(inputs)]
    done = subprocess.run(command, input=content, capture_output=True)
    said = done.stderr.decode("utf-8", "replace")
    found = {name: int(size) for name, size in _TOTAL.findall(said)}
    if done.returncode or len(found) != 2:
        raise TendonError(
            "TFLite-Micro's interpreter does not run the step (exit code"
            f" {done.returncode}):\n{said[-1500:]}"
        )
    return Arena(found["head"], found["tail"])
