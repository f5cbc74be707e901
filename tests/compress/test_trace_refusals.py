"""What a network of one's own may not hold is refused before anything is computed: with the module,
the line of the user's file, what was found, and what would work."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compress.errors import GraphError
from compress.frontend import trace as front_end
from compress.frontend.builder import Builder
from compress.frontend.trace.exported import Written

ELECTRODES, RATE, WINDOW = 4, 1000, 40


class Part(nn.Module):
    """What is refused lies in a part of a network, as it does in a user's."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)


class Network(nn.Module):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x)


# --- in a stream ----------------------------------------------------------------------------------


class Branch(Part):
    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 0:  # here
            return x
        return -x


class Item(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.abs().max()  # here


class Loops(Part):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(int(x.abs().max())):  # here
            x = x / 2
        return x


class Fails(Part):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x)  # here


class Pooled(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2)  # here


class Fourier(Part):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x, dim=1).abs()  # here


class ShortTime(Part):
    def forward(self, x: Tensor) -> Tensor:
        found = torch.stft(x[0], 16, return_complex=True)  # here
        return found.abs().flatten(0, 1)[None]


class Both(Part):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x.transpose(1, 2))[0].transpose(1, 2)  # here


class Average(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean(2, keepdim=True)  # here


class Peak(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2 + x.amax(-1, keepdim=True)  # here


class Adaptive(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x * functional.adaptive_avg_pool1d(x, 1)  # here


class First(Part):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x)  # here


class Rows(Part):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x.transpose(1, 2)).transpose(1, 2)  # here


class Attends(Part):
    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(1, 2)
        return self.layers[0](y, y, y)[0].transpose(1, 2)  # here


class Softmax(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.softmax(-1)  # here


class Sums(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(-1)  # here


class Sorts(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.sort(1)[0]  # here


class Decides(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1, keepdim=True)  # here


class Deviation(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.std(1, keepdim=True)  # here


class Backwards(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(-1) + x  # here


class Digamma(Part):
    def forward(self, x: Tensor) -> Tensor:
        return torch.digamma(x.abs() + 1)  # here


class Divides(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x / (x.abs() + 1)  # here


class Masks(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x.masked_fill(torch.tensor([True, False, True, False])[:, None], 0.0)  # here


class Chooses(Part):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, x * x)  # here


class Writes(Part):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, 0] = x[:, 1]  # here
        return y


class WritesInto(Part):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        y[:, :2] += 1  # here
        return y


class Powers(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x**3  # here


class Rates(Part):
    def forward(self, x: Tensor) -> Tensor:
        slow = x[:, :, ::2]
        return slow[:, :, : x.shape[2] // 4] + x[:, :, : x.shape[2] // 4]  # here


class Ramp(Part):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(x.shape[2])  # here


class Begins(Part):
    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(1, 2)
        return self.layers[0](y, torch.ones(1, 1, 4))[0].transpose(1, 2)  # here


class Across(Part):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x.transpose(1, 2))[0].transpose(1, 2)  # here


class Larger(Part):
    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool1d(x, 3, 1, padding=1)  # here


class Drops(Part):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.5)  # here


class Constant(Part):
    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (2, 0), value=1.0)  # here


class Masked(Part):
    def forward(self, x: Tensor) -> Tensor:
        y, mask = x.mT[:, None], torch.ones(WINDOW, WINDOW).tril().bool()
        return functional.scaled_dot_product_attention(y, y, y, mask)[:, 0, -1]  # here


class Uneven(Part):
    def forward(self, x: Tensor) -> Tensor:
        return functional.adaptive_avg_pool1d(x, 7).flatten(1)  # here


class MaskedLayer(Part):
    def forward(self, x: Tensor) -> Tensor:
        y, mask = x.mT, torch.ones(WINDOW, WINDOW).triu(1).bool()
        return self.layers[0](y, y, y, attn_mask=mask)[0][:, -1]  # here


class CellState(Part):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x.mT)[1][1][-1]  # here


class LastFrame(Part):
    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x.mT)[0][:, -1]  # here


@dataclass(frozen=True)
class Case:
    """`found`, `advice`: patterns in the message; `layers`: of the part; `window`: of the file."""

    part: type[Part]
    found: str
    advice: str
    layers: tuple[Callable[[], nn.Module], ...] = ()
    window: int | None = None

    def __str__(self) -> str:
        return "-".join([self.part.__name__, *(type(make()).__name__ for make in self.layers)])


STREAMS = [
    Case(Branch, "control flow that depends on values", "the same for every signal"),
    Case(Item, "over all of time in a stream", "a fixed number of frames"),
    Case(Loops, "control flow that depends on values", "the same for every signal"),
    Case(Fails, r"forward cannot be traced on \(1, 4, \d+\)", "", (lambda: nn.Conv1d(5, 2, 1),)),
    Case(Fourier, "a Fourier transform inside of forward", "a convolution"),
    Case(ShortTime, "a Fourier transform inside of forward", "a convolution"),
    Case(
        Both,
        "both directions in a stream",
        "bidirectional=False",
        (lambda: nn.LSTM(4, 3, batch_first=True, bidirectional=True),),
    ),
    Case(Average, "over all of time in a stream", "a fixed number of frames"),
    Case(Pooled, "over all of time in a stream", "WINDOW and STRIDE"),
    Case(Peak, "over all of time in a stream", "a fixed number of frames"),
    Case(Adaptive, "over all of time in a stream", "a fixed number of frames"),
    Case(First, "over all of time", "fixed number of frames", (lambda: nn.AdaptiveMaxPool1d(1),)),
    Case(First, "a norm over time", "nn.LayerNorm", (lambda: nn.GroupNorm(2, 4),)),
    Case(First, "a norm over time", "nn.LayerNorm", (lambda: nn.InstanceNorm1d(4),)),
    Case(
        First,
        "a batch norm over the batch",
        "running statistics",
        (lambda: nn.BatchNorm1d(4, track_running_stats=False),),
    ),
    Case(
        First,
        "a transposed convolution",
        "outputs at the lower rate",
        (lambda: nn.ConvTranspose1d(4, 4, 2, 2),),
    ),
    Case(
        Attends,
        "attention, or a product of two tensors over time, in a stream",
        "RecentAttention",
        (lambda: nn.MultiheadAttention(4, 2, batch_first=True),),
    ),
    Case(
        Rows,
        "attention over a whole recording",
        "RecentAttention",
        (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),),
    ),
    Case(Softmax, "a softmax over time in a stream", "a softmax over features, or WINDOW"),
    Case(Sums, "a sum from the beginning of time", "a recurrent layer or a pool"),
    Case(Sorts, "sorting", "a maximum or a mean"),
    Case(Decides, "a decision inside of forward", "scores as output"),
    Case(Deviation, "a deviation", "a norm"),
    Case(Backwards, "in another order", "WINDOW and STRIDE"),
    Case(Digamma, "digamma, which has no operator", r"docs/own-network\.md"),
    Case(Divides, "a division by what is computed", "a product, or a norm"),
    Case(Masks, "a mask", "no mask"),
    Case(Chooses, "a choice by value", "an activation"),
    Case(Writes, "values written into a part of a tensor", r"torch\.cat"),
    Case(WritesInto, "values written into a part of a tensor", r"torch\.cat"),
    Case(Powers, "a power of 3", "a square, or products"),
    Case(Rates, "tensors of 500 and 1000 frames a second", "tensors of one rate"),
    Case(Ramp, "differs from frame to frame of a stream", "one constant for all frames"),
    Case(
        Begins,
        "a hidden state to begin with",
        "zeros",
        (lambda: nn.GRU(4, 4, batch_first=True),),
    ),
    Case(
        Across,
        "recurrence along dimension 0, which is not time",
        r"transpose\(1, 2\)",
        (lambda: nn.GRU(4, 4),),
    ),
    Case(Larger, "a maximum with padding", "behind a ReLU"),
    Case(Drops, "dropout that is on", r"nn\.Dropout"),
    Case(Constant, "padding with 1", "padding with zeros"),
]
WINDOWS = [
    Case(Fourier, "a Fourier transform inside of forward", "a convolution", window=WINDOW),
    Case(Branch, "control flow that depends on values", "the same for every", window=WINDOW),
    Case(Masked, "attention with a mask", "over the whole window", window=WINDOW),
    Case(
        First,
        "a pool with ceil_mode",
        "ceil_mode=False",
        (lambda: nn.MaxPool1d(3, ceil_mode=True),),
        WINDOW,
    ),
    Case(
        MaskedLayer,
        "attention with a mask",
        "over the whole window",
        (lambda: nn.MultiheadAttention(4, 2, batch_first=True),),
        WINDOW,
    ),
    Case(
        First,
        "a maximum with padding and dilation",
        "behind a ReLU",
        (lambda: nn.MaxPool1d(3, 1, 1, 2),),
        WINDOW,
    ),
    Case(
        CellState,
        "what a layer gives beside its values",
        "the hidden state",
        (lambda: nn.LSTM(4, 3, batch_first=True),),
        WINDOW,
    ),
    Case(
        LastFrame,
        "an LSTM with a projection",
        "a linear layer behind it",
        (lambda: nn.LSTM(4, 5, batch_first=True, proj_size=3),),
        WINDOW,
    ),
    Case(Uneven, "an adaptive pool of 40 to 7", "a size that divides", window=WINDOW),
]


def refused(model: nn.Module, window: int | None = None, file: Path = Path(__file__)) -> str:
    b = Builder(ELECTRODES, Fraction(RATE))
    with pytest.raises(GraphError) as error:
        front_end.trace(b, model.eval(), ELECTRODES, RATE, window, None, Written(file))
    return str(error.value)


def line_of(part: type[Part]) -> int:
    """Of the mark in its forward."""
    lines, first = inspect.getsourcelines(part)
    return first + next(i for i, line in enumerate(lines) if line.rstrip().endswith("# here"))


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end, "compare", lambda *_: pytest.fail("the graph was run"))


@pytest.mark.parametrize("case", STREAMS + WINDOWS, ids=str)
def test_what_cannot_run_is_refused_with_its_place(
    case: Case, nothing_runs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(Network(case.part(*(make() for make in case.layers))), case.window)
    assert said.startswith(f"{Path(__file__)}:{line_of(case.part)}: part")
    assert re.search(r": part(\.layers\.0)?(\.self_attn)? \(\w+\): ", said), said
    assert re.search(case.found, said) and re.search(case.advice, said), said
    assert "torch.ops" not in capsys.readouterr().err  # of which PyTorch says a page
