"""Layers that a network of one's own may use as they are, and the modules that stay whole when a
network is traced: each is an operator, or a few, of its own.

To add one: a module of one tensor to one tensor, and a line in `LEAVES` of this file or of the
handlers of a family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from compress import graph as g
from compress.frontend import families
from compress.frontend.handlers import bias_of, numpy

if TYPE_CHECKING:
    from compress.frontend.trace.writer import Writer


@dataclass(frozen=True)
class Leaf:
    """A module that stays whole. `write`: (writer, path, module, name of a tensor) -> the name of
    what it makes of it; `time`: the dimension of time in what it takes and gives, all others are
    features, in their order."""

    write: Callable[[Writer, str, Any, str], str]
    time: int = 2


class RecentAttention(nn.Module):
    """Attention of each frame to the last frames of a stream, itself the newest.

    Args:
        features: of a frame; a multiple of `heads`.
        heads: attended to apart.
        frames: how many a frame sees. Before the first, keys and values are zeros.

    (batch, features, time) -> the same shape.
    """

    def __init__(self, features: int, heads: int, frames: int) -> None:
        super().__init__()
        if features % heads or frames < 1:
            raise ValueError(
                f"expected features as a multiple of heads and a frame or more, found {features},"
                f" {heads}, {frames}"
            )
        self.heads, self.frames = heads, frames
        self.inward = nn.Linear(features, 3 * features)
        self.outward = nn.Linear(features, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.inward(x.transpose(1, 2)).chunk(3, -1)  # (batch, time, features) each
        k, v = (functional.pad(t, (0, 0, self.frames - 1, 0)) for t in (k, v))
        k, v = (t.unfold(1, self.frames, 1).unflatten(2, (self.heads, -1)) for t in (k, v))
        q = q.unflatten(-1, (self.heads, -1))  # (batch, time, heads, depth)
        scores = torch.einsum("bthd,bthdk->bthk", q, k) * q.shape[-1] ** -0.5
        found = torch.einsum("bthk,bthdk->bthd", scores.softmax(-1), v)
        made: torch.Tensor = self.outward(found.flatten(2)).transpose(1, 2)
        return made


def _recent_attention(w: Writer, path: str, module: RecentAttention, name: str) -> str:
    """Queries, keys and values are one matrix; keys and values of the last frames lie side by
    side."""
    features = w.b.tensors[name].features
    depth = features // module.heads
    w.path = f"{path}.inward"
    joined = w.begun(_dense(w, name, module.inward))
    parts = []
    for i, part in enumerate(("queries", "keys", "values")):
        w.path = f"{path}.{part}"
        parts.append(w.op(g.Slice, joined, begin=i * features, end=(i + 1) * features))
        if i:
            last: dict[str, Any] = {"frames": module.frames, "frames_per_output": 1, "lag": 0}
            parts[-1] = w.op(g.Unfold1d, parts[-1], **last, padding=module.frames - 1)
    w.path = path
    sizes: dict[str, Any] = {
        "frames": module.frames,
        "heads": module.heads,
        "depth": depth,
        "shared": False,
    }
    scores = w.op(g.AttentionScores, parts[0], parts[1], **sizes, factor=depth**-0.5)
    weights = w.op(g.Softmax, scores, groups=module.heads)
    context = w.op(g.AttentionContext, weights, parts[2], **sizes)
    w.path = f"{path}.outward"
    return _dense(w, context, module.outward)


def _dense(w: Writer, name: str, layer: nn.Linear) -> str:
    weight = numpy(layer.weight)[None, :, None]
    return w.op(g.Dense, name, weight=weight, bias=bias_of(layer)[None])


LEAVES: dict[type[nn.Module], Leaf] = {RecentAttention: Leaf(_recent_attention)}


def leaf_of(module: nn.Module) -> Leaf | None:
    """What a module that stays whole becomes; None for any other."""
    return LEAVES.get(type(module)) or families.leaves().get(type(module))
