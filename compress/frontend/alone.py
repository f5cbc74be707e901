"""Loading, lowering and forwards take turns: while torch.export traces, it patches modules for all
threads. A network that another thread builds then lacks its own, one that another thread runs is
traced."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_TURN = threading.RLock()


def alone(function: Callable[P, R]) -> Callable[P, R]:
    """Runs in one thread at a time, of all that are decorated so."""

    @functools.wraps(function)
    def in_turn(*arguments: P.args, **options: P.kwargs) -> R:
        with _TURN:
            return function(*arguments, **options)

    return in_turn
