"""How a stream begins: the steps before this one are counted, and masks say what is valid yet.

Recurrent state begins with the step of its first valid frame (`Graph.begins`), each operator's with
its own: until then it is zeros, or what the stream begins with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from export.tflite.builder import Layer
from export.tflite.model import State, Value

if TYPE_CHECKING:
    from export.tflite.lowering import Lowering

START = "start_up"
ONE = 1.0 / 32767  # scale of a mask


class Start:
    """Counts the steps, and says with constants of one width where they stand.

    A mask is int16 (1, 1, 1, width), 0 or 32767 · 1/32767: a convolution with one input, whose sum
    saturates at 1.
    """

    def __init__(self, lowering: Lowering) -> None:
        self._b = lowering
        self._steps: Value | None = None
        self._masks: dict[tuple[int, int, int], Value] = {}

    def _mask(self, sign: int, bias: int, width: int) -> Value:
        """1 where sign · (steps before this one) + bias ≥ 1, else 0."""
        key = (sign, bias, width)
        if key not in self._masks:
            step, name = self._b.step, f"{START}.mask"
            weight, total = np.full((width, 1, 1, 1), sign, np.int8), np.full(width, bias)
            y = step.tensor(name, (1, 1, 1, width), np.int16, ONE)
            # one step of the sum is 1
            scales = np.full(width, 1.0)
            self._masks[key] = self._b.convolve(
                self._count(), y, weight, total, scales, Layer(name, 1), relu=True
            )
        return self._masks[key]

    def _count(self) -> Value:
        """The steps before this one, at most 32767."""
        if self._steps is None:
            b, shape = self._b, (1, 1, 1, 1)
            state = b.file.read_state(f"{START}.steps", shape, 1.0)
            self._steps = state.value
            one = b.step.constant(f"{START}.one", np.ones(shape, np.int16), 1.0)

            def counted() -> Value:
                return b.add(
                    state.value, one, b.step.tensor(f"{START}.counted", shape, np.int16, 1.0)
                )

            b.carry(state, counted)
        return self._steps

    def before(self, step: int, width: int) -> Value:
        """1 in steps 0 … step − 1, then 0."""
        return self._mask(-1, step, width)

    def after(self, step: int, width: int) -> Value:
        """0 in steps 0 … step, then 1."""
        return self._mask(1, -step, width)

    def cleared(self, state: State, step: int) -> Value:
        """The value of a state before the step; zeros until `step`, with which it begins, is
        over."""
        b, x, name = self._b, state.value, f"{state.name}.cleared"
        if not step:
            return x
        mask = b.reshape(self.after(step, int(np.prod(x.shape))), x.shape, f"{START}.mask")
        mask = mask if x.scale else b.real(mask, f"{START}.real")
        return b.multiply(x, mask, b.step.tensor(name, x.shape, x.dtype, x.scale))

    def recurrent(
        self,
        name: str,
        shape: tuple[int, ...],
        scale: float,
        newest: Callable[[], Value],
        step: int,
    ) -> Value:
        """A state that begins with `step`, as its operator finds it; float32 with scale 0.
        `newest`: its value at the end of the step."""
        state = self._b.file.read_state(name, shape, scale)
        self._b.carry(state, newest)
        return self.cleared(state, step)

    def given(self, name: str, initial: Value, newest: Callable[[], Value], step: int) -> Value:
        """The same for a state that is `initial` instead of zeros until it has begun."""
        b, width = self._b, initial.shape[3]

        def part(what: str) -> Value:
            return b.step.tensor(f"{name}.{what}", initial.shape, np.int16, initial.scale)

        state = b.file.read_state(name, initial.shape, initial.scale)
        b.carry(state, newest)
        kept = b.multiply(state.value, self.after(step, width), part("kept"))
        begin = b.multiply(initial, self.before(step + 1, width), part("begin"))
        return b.add(kept, begin, part("before"))
