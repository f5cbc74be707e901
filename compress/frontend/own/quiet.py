"""PyTorch's remarks on a network of the user's (an older name, a padding that takes a copy), which
say nothing about what a command does."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Warnings that come out of PyTorch's own modules are not shown; those of the user's are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch\.")
        yield
