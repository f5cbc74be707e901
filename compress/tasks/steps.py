"""A step as every training here takes it: Adam on a schedule, the gradient clipped."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from compress.errors import TendonError


def share_of_rate(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a cosine to nothing."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def schedule_of(optimizer: torch.optim.Optimizer, steps: int, warmup: int) -> LambdaLR:
    """The rates of `optimizer` over so many steps."""
    return LambdaLR(optimizer, lambda step: share_of_rate(step, steps, warmup))


def advance(
    loss: Tensor,
    parameters: Iterable[Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: LambdaLR,
    clip: float,
    diverged: str,
    advice: str,
) -> float:
    """Take one step down the gradient of `loss`, its norm at most `clip`; the loss.

    Raises:
        TendonError: the loss is no longer a number, and nothing was changed. `diverged` says what
            and where ("training diverged at step 3"), `advice` what to try.
    """
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TendonError(f"{diverged}: expected a finite loss, found {value}; {advice}")
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    schedule.step()
    return value
