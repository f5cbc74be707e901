"""What several kinds share."""

from __future__ import annotations

import copy
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.frontend.families import build
from tests.regressions.small_network import SMALL


@pytest.fixture(scope="session", autouse=True)
def _interruptions_arrive() -> Iterator[None]:
    """A shell starts what goes on in the background with SIGINT ignored, and a process gives that
    to its children: here they are interrupted."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    torch.manual_seed(3)
    model = build(SMALL)
    return {
        "state_dict": dict(model.state_dict()),
        "hyper_parameters": copy.deepcopy(SMALL),
    }


@pytest.fixture
def saved(published: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """A published network's checkpoint after a change."""

    def save(change: Callable[[dict[str, Any]], Any], name: str = "a.ckpt", **how: Any) -> Path:
        content = {key: dict(value) for key, value in published.items()}
        content["hyper_parameters"] = copy.deepcopy(content["hyper_parameters"])
        change(content)
        torch.save(content, tmp_path / name, **how)
        return tmp_path / name

    return save
