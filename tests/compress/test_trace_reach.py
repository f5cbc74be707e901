"""What reaches back further than a short trace: no tap is taken for padding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compress import graph as g
from compress.frontend.builder import Builder
from compress.frontend.trace import trace
from compress.frontend.trace.check import frames_of


class Reaching(nn.Module):
    """Frames of 20 samples, of which the convolution takes the newest and that `reach` before."""

    def __init__(self, reach: int, padded: bool) -> None:
        super().__init__()
        self.frames = nn.Conv1d(4, 5, 20, 20)
        self.pad = nn.ConstantPad1d((reach, 0), 0.0) if padded else nn.Identity()
        self.taps = nn.Conv1d(5, 3, 2, dilation=reach)

    def forward(self, x: Tensor) -> Tensor:
        return self.taps(self.pad(self.frames(x)))


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("reach", [4, 16, 32, 100])
def test_a_tap_far_back_is_no_padding(reach: int, padded: bool) -> None:
    torch.manual_seed(reach)
    same_far_back(Reaching(reach, padded).eval(), 20 * (3 * reach + 5))


@pytest.mark.parametrize("delay", [40, 300, 2000])
def test_a_delay_by_padding_is_one_of_any_length(delay: int) -> None:
    class Delaying(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - functional.pad(x, (delay, 0))[..., :-delay]

    same_far_back(Delaying(), 3 * delay + 100)


def same_far_back(model: nn.Module, samples: int) -> None:
    """PyTorch and the graph on a signal that is longer than all that is reached back to."""
    builder = Builder(4, Fraction(1000))
    trace(builder, model, 4, 1000)
    graph = g.verify(g.Graph("reaching", builder.tensors, tuple(builder.ops)))
    x = np.random.default_rng(0).standard_normal((4, samples)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)[None])[0].numpy()
    found = frames_of(graph, x, None)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)
