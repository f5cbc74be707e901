"""What forward gives has one layout, depends on the signal, and not on how long the signal is."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from compress import graph as g
from compress.frontend import trace as front_end
from compress.frontend.builder import Builder
from tests.compress.test_trace_refusals import ELECTRODES, RATE, WINDOW, nothing_runs, refused

__all__ = ["nothing_runs"]


class Given(nn.Module):
    """A network with this forward."""

    def __init__(
        self, function: Callable[[Tensor], object], layer: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.function, self.layer = function, layer

    def forward(self, x: Tensor) -> object:
        return self.function(x if self.layer is None else self.layer(x))


@pytest.mark.parametrize(
    ("function", "window", "said"),
    [
        (
            lambda x: x.transpose(1, 2),
            None,
            r"\(1, \d+, 4\) with time along dimension \[1\]: expected \(batch, outputs, frames\)",
        ),
        (
            lambda x: x[..., -1:],
            None,
            r"one answer .* \(batch, outputs, frames\), or WINDOW and STRIDE",
        ),
        (lambda x: (x, x), None, "forward gives 2 tensors: expected one"),
        (lambda x: {"scores": x, "more": x}, None, "forward gives 2 tensors: expected one"),
        (lambda x: torch.ones(1, 2, x.shape[2]), None, "does not depend on the signal"),
        (lambda x: x, WINDOW, r"forward gives \(1, 4, 40\): expected \(batch, outputs\)"),
        (
            lambda x: x[:, 0],
            WINDOW,
            r"with time along dimension \[1\]: expected \(batch, outputs\)",
        ),
    ],
)
def test_another_layout_of_the_output_is_refused(
    function: Callable[[Tensor], object], window: int | None, said: str, nothing_runs: None
) -> None:
    assert re.search(said, refused(Given(function), window))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x / x.shape[2],
        lambda x: x * 2 if x.shape[2] > 300 else x,
    ],
)
def test_a_forward_that_depends_on_the_length_is_refused(
    function: Callable[[Tensor], object],
) -> None:
    said = refused(Given(function))
    assert "forward and its graph differ" in said and "not on the length of the signal" in said


@pytest.mark.parametrize(
    ("samples", "message"),
    [(240, "forward takes 240 samples and not"), (256, "cannot be traced on (1, 4, 25200)")],
)
def test_a_forward_that_takes_one_length_alone_is_refused(samples: int, message: str) -> None:
    said = refused(Given(lambda x: x + torch.zeros(samples)))
    assert message in said and "WINDOW and STRIDE" in said


def test_values_written_into_what_another_view_shows_are_found_out() -> None:
    """By the comparison with PyTorch, which ends every trace."""

    def function(x: Tensor) -> Tensor:
        y = 2 * x
        other = y.transpose(1, 2)
        y.tanh_()
        return other.transpose(1, 2)

    assert "values written in place" in refused(Given(function))


def test_a_value_that_is_refused_but_not_used_harms_nothing() -> None:
    def function(x: Tensor) -> Tensor:
        torch.fft.rfft(x)
        return 2 * x

    b = Builder(ELECTRODES, Fraction(RATE))
    assert front_end.trace(b, Given(function).eval(), ELECTRODES, RATE) == {"lookahead": 0}
    assert [type(op) for op in b.ops] == [g.Depthwise]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + x.clone().relu_(),
        lambda x: x + x.flip(1).tanh_(),
        lambda x: (2 * x).transpose(1, 2).relu_().transpose(1, 2),
    ],
)
def test_what_is_written_into_a_copy_harms_nothing(function: Callable[[Tensor], object]) -> None:
    front_end.trace(Builder(ELECTRODES, Fraction(RATE)), Given(function), ELECTRODES, RATE)
