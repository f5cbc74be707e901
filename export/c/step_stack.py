"""The stack that a step of a network takes."""

from __future__ import annotations

from export.c.repeats import Loop, folded
from export.c.stack import DEBUG_STACK, KERNEL_STACK
from export.c.step import Model

OWN_STACK = 192  # bytes: the self-test and the step that it calls, without kernels
# Loops in a pass: a compiler keeps addresses on the stack that it found before
LONG, EACH_CALL = 16, 8  # calls in one, and bytes of each beyond
MANY, EACH_LOOP = 4, 16  # loops, and bytes of each beyond


def stack_bytes(model: Model) -> int:
    """Stack of a step or the self-test with all that they call, on any Cortex-M."""
    return _own_stack(model) + max((KERNEL_STACK[call.kernel] for call in model.calls), default=0)


def debug_stack_bytes(model: Model) -> int:
    """The same of a build without optimization, whose step keeps each buffer's place."""
    return _own_stack(model) + 8 * len(model.plan.buffers) + DEBUG_STACK


def _own_stack(model: Model) -> int:
    """Of the pass: loops over calls that repeat keep what they count in it."""
    loops = [len(part.calls) for part in folded(model) if isinstance(part, Loop)]
    beyond = EACH_CALL * max(0, max(loops, default=0) - LONG)
    return OWN_STACK + beyond + EACH_LOOP * max(0, len(loops) - MANY)
