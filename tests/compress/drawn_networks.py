"""Networks drawn at random from what a network file may hold, written as a user would: modules,
functions and methods, several rates, branches, windows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from compress.frontend.families.hybrid.s4d import S4D
from compress.frontend.layers import RecentAttention

MOST_CHANNELS = 24
ACTIVATIONS: list[Callable[[Tensor], Tensor]] = [
    nn.ReLU(),
    nn.ReLU(inplace=True),
    functional.relu6,
    nn.LeakyReLU(0.2),
    nn.ELU(0.7),
    nn.GELU(),
    nn.GELU(approximate="tanh"),
    functional.silu,
    nn.Hardswish(),
    nn.Softplus(),
    torch.sigmoid,
    Tensor.tanh,
    nn.Hardtanh(-0.8, 1.1),
]


@dataclass(frozen=True)
class Drawn:
    """A network and the constants of its file."""

    seed: int
    model: nn.Module
    electrodes: int
    sample_rate: int
    window: int | None
    stride: int | None

    def __str__(self) -> str:
        return f"network {self.seed}: {self.model}"


class Apply(nn.Module):
    """A function with a name, and modules that it calls."""

    def __init__(self, name: str, function: Callable[..., Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.name, self.function = name, function
        for key, module in modules.items():
            self.add_module(key, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)

    def extra_repr(self) -> str:
        return self.name


class Weighted(nn.Module):
    """A function of a parameter (shape) and x."""

    def __init__(self, name: str, shape: tuple[int, ...], function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.name, self.function = name, function
        self.p = nn.Parameter(0.5 + torch.rand(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.p)

    def extra_repr(self) -> str:
        return f"{self.name} {tuple(self.p.shape)}"


class Draw:
    """Draws layers from (batch, channels, time) to the same; `self.channels` is kept up to date."""

    def __init__(self, seed: int, windowed: bool) -> None:
        self.r, self.windowed = random.Random(seed), windowed
        self.channels, self.slower = self.r.randint(2, 10), 1
        self.time = 0 if not windowed else self.r.choice([24, 40, 50, 64, 100])

    # --- one layer -----------------------------------------------------------------------------

    def layer(self) -> nn.Module:
        draws: list[Callable[[], nn.Module]] = [
            self.convolution,
            self.convolution,
            self.depthwise,
            self.norm,
            self.activation,
            self.recurrent,
            self.pool,
            self.residual,
            self.branches,
            self.gate,
            self.affine,
            self.order,
            self.linear,
            self.attention,
            self.state_space,
            self.gated,
            self.clamped,
            self.prelu,
        ]
        return self.r.choice(draws)()

    def _out(self) -> int:
        return self.r.randint(2, MOST_CHANNELS)

    def _shorter(self, kernel: int, stride: int, padding: int, dilation: int) -> None:
        self.slower *= stride
        if self.windowed:
            self.time = (self.time + padding - dilation * (kernel - 1) - 1) // stride + 1

    def _fits(self, kernel: int, dilation: int, padding: int) -> bool:
        return not self.windowed or self.time + padding > dilation * (kernel - 1)

    def convolution(self, keep: bool = False, out: int | None = None) -> nn.Module:
        kernel, dilation = self.r.randint(1, 5), self.r.choice([1, 1, 2, 3])
        stride = 1 if keep or self.slower >= 8 else self.r.choice([1, 1, 2, 3])
        out = out or (self.channels if keep else self._out())
        groups = self.r.choice([n for n in range(1, 5) if self.channels % n == 0 == out % n])
        span = dilation * (kernel - 1)
        how = self.r.choice(["left", "same", "both"] if keep else ["left", "same", "both", "none"])
        if how == "same" and stride > 1:
            how = "both"
        pad = 0
        if how == "both":
            pad = span // 2 if keep else self.r.randint(0, span)
            if keep and span % 2:
                how = "left"
        if how == "none" and not self._fits(kernel, dilation, 0):
            how = "left"
        conv = nn.Conv1d(
            self.channels,
            out,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=groups,
            padding="same" if how == "same" else pad if how == "both" else 0,
            bias=self.r.random() < 0.8,
        )
        if self.r.random() < 0.2:
            conv = nn.utils.parametrizations.weight_norm(conv)
        total = {"left": span, "same": span, "both": 2 * pad, "none": 0}[how]
        if not self._fits(kernel, dilation, total):
            return nn.Identity()
        self._shorter(kernel, stride, total, dilation)
        self.channels = out
        if how != "left":
            return conv
        return Apply(f"left {span}", lambda m, x: m.conv(functional.pad(x, (span, 0))), conv=conv)

    def depthwise(self) -> nn.Module:
        kernel, dilation = self.r.randint(2, 6), self.r.choice([1, 2])
        many = self.r.choice([1, 1, 2]) if self.channels <= MOST_CHANNELS // 2 else 1
        conv = nn.Conv1d(
            self.channels,
            many * self.channels,
            kernel,
            dilation=dilation,
            groups=self.channels,
            padding=dilation * (kernel - 1),
        )
        self.channels *= many
        cut = dilation * (kernel - 1)
        return Apply("chomp", lambda m, x: m.conv(x)[:, :, :-cut].contiguous(), conv=conv)

    def linear(self) -> nn.Module:
        out = self._out()
        layer = nn.Linear(self.channels, out)
        self.channels = out
        return Apply("rows", lambda m, x: m.layer(x.transpose(1, 2)).transpose(1, 2), layer=layer)

    def norm(self) -> nn.Module:
        c = self.channels
        kind = self.r.choice(["batch", "layer", "group", "rms"])
        if kind == "batch":
            norm = nn.BatchNorm1d(c)
            norm.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
            return norm
        if kind == "group" and c % 2 == 0 and c > 2:
            return Apply(
                "frames",
                lambda m, x: m.norm(x.transpose(1, 2).reshape(-1, c)).reshape(x.shape[0], -1, c).mT,
                norm=nn.GroupNorm(2, c),
            )
        own = nn.RMSNorm(c) if kind == "rms" else nn.LayerNorm(c)
        return Apply("features", lambda m, x: m.norm(x.permute(0, 2, 1)).permute(0, 2, 1), norm=own)

    def activation(self) -> nn.Module:
        chosen = self.r.choice(ACTIVATIONS)
        if isinstance(chosen, nn.Module):
            return chosen
        return Apply(chosen.__name__, lambda _, x: chosen(x))

    def clamped(self) -> nn.Module:
        return Apply("clamp", lambda _, x: x.clamp(-1.5, 1.0))

    def prelu(self) -> nn.Module:
        layer = nn.PReLU(self.r.choice([1, self.channels]))
        with torch.no_grad():
            layer.weight.uniform_(0.0, 0.5)
        return layer

    def recurrent(self) -> nn.Module:
        kind = self.r.choice([nn.LSTM, nn.GRU, nn.RNN])
        first, out, layers = self.r.random() < 0.7, self.r.randint(2, 12), self.r.choice([1, 1, 2])
        both = self.windowed and self.r.random() < 0.3
        layer = kind(self.channels, out, layers, batch_first=first, bidirectional=both)
        self.channels = out * (2 if both else 1)
        if first:
            return Apply("rows", lambda m, x: m.layer(x.transpose(1, 2))[0].mT, layer=layer)
        return Apply(
            "time first", lambda m, x: m.layer(x.permute(2, 0, 1))[0].permute(1, 2, 0), layer=layer
        )

    def pool(self) -> nn.Module:
        kernel = self.r.randint(2, 4)
        stride = kernel if self.r.random() < 0.7 else self.r.randint(1, kernel)
        if self.slower * stride > 12 or not self._fits(kernel, 1, 0):
            return nn.Identity()
        if self.r.random() < 0.2:
            stride = kernel
            self._shorter(kernel, stride, 0, 1)
            return Apply(f"last of {kernel}", lambda _, x: x[..., kernel - 1 :: kernel])
        self._shorter(kernel, stride, 0, 1)
        return self.r.choice([nn.AvgPool1d, nn.MaxPool1d])(kernel, stride)

    def residual(self) -> nn.Module:
        inner = nn.Sequential(self.convolution(keep=True), self.activation())
        sign = self.r.choice([1.0, -1.0, 0.5])
        return Apply(f"residual {sign}", lambda m, x: x + sign * m.inner(x.clone()), inner=inner)

    def branches(self) -> nn.Module:
        begin = self.channels
        a = self.convolution(keep=True)
        self.channels = begin
        b = nn.Sequential(self.convolution(keep=True), self.activation())
        if 2 * begin > MOST_CHANNELS:
            self.channels = begin
            return Apply("difference", lambda m, x: m.a(x) - m.b(x), a=a, b=b)
        self.channels = 2 * begin
        return Apply("side by side", lambda m, x: torch.cat([m.a(x), m.b(x)], 1), a=a, b=b)

    def gate(self) -> nn.Module:
        inner = self.convolution(keep=True)
        return Apply("gate", lambda m, x: x * torch.sigmoid(m.inner(x)), inner=inner)

    def gated(self) -> nn.Module:
        layer = nn.Conv1d(self.channels, 2 * self.channels, 1)
        if self.r.random() < 0.5:
            return nn.Sequential(layer, nn.GLU(dim=1))
        return Apply(
            "chunks",
            lambda m, x: (lambda a, b: a.tanh() * b.sigmoid())(*m.layer(x).chunk(2, 1)),
            layer=layer,
        )

    def affine(self) -> nn.Module:
        kind = self.r.choice(["gain", "offset", "scalar"])
        if kind == "gain":
            return Weighted("gain", (self.channels, 1), lambda x, p: x * p)
        if kind == "offset":
            return Weighted("offset", (1, self.channels, 1), lambda x, p: p - x)
        return Apply("scalar", lambda _, x: 0.7 * x + 0.3)

    def order(self) -> nn.Module:
        c = self.channels
        if c % 2 == 0 and self.r.random() < 0.5:
            return Apply(
                "shuffle",
                lambda _, x: x.unflatten(1, (2, c // 2)).transpose(1, 2).flatten(1, 2),
            )
        self.channels = c - c // 3
        return Apply("some", lambda _, x: x[:, c // 3 :])

    def attention(self) -> nn.Module:
        heads = self.r.choice([n for n in (1, 2, 3) if self.channels % n == 0])
        if not self.windowed:
            return RecentAttention(self.channels, heads, self.r.randint(1, 9))
        c = self.channels
        if self.r.random() < 0.5:
            layer = nn.TransformerEncoderLayer(
                c, heads, 2 * c, batch_first=True, norm_first=self.r.random() < 0.5
            )
            return Apply("rows", lambda m, x: m.layer(x.mT).mT, layer=layer)
        layer = nn.MultiheadAttention(c, heads, batch_first=True)
        return Apply("rows", lambda m, x: (lambda y: m.layer(y, y, y)[0].mT)(x.mT), layer=layer)

    def state_space(self) -> nn.Module:
        return S4D(self.channels, 4, "gelu", 0.0, True, 0.01, 0.5, 1, "none")

    # --- the end of a window -------------------------------------------------------------------

    def head(self) -> nn.Module:
        outputs = self.r.randint(1, 6)
        kind = self.r.choice(["mean", "max", "last", "flat"])
        if kind == "flat" and self.channels * self.time <= 400:
            layer = nn.Linear(self.channels * self.time, outputs)
            return Apply("flat", lambda m, x: m.layer(x.flatten(1)), layer=layer)
        layer = nn.Linear(self.channels, outputs)
        ends: dict[str, Callable[..., Tensor]] = {
            "mean": lambda m, x: m.layer(x.mean(-1)),
            "max": lambda m, x: m.layer(x.amax(2)),
            "last": lambda m, x: m.layer(x[:, :, -1]).log_softmax(1),
        }
        return Apply(kind, ends.get(kind, ends["mean"]), layer=layer)

    def position(self) -> nn.Module:
        return Weighted("position", (1, self.channels, self.time), lambda x, p: x + p)


def draw(seed: int) -> Drawn:
    """The network of a seed: every third one over windows."""
    torch.manual_seed(seed)
    windowed = seed % 3 == 2
    d = Draw(seed, windowed)
    electrodes, window = d.channels, d.time or None
    depth = d.r.randint(1, 8)
    layers: list[nn.Module] = []
    for i in range(depth):
        if windowed and i == depth // 2 and d.r.random() < 0.3:
            layers.append(d.position())
        layers.append(d.layer())
    if windowed:
        layers.append(d.head())
    else:
        layers.append(nn.Conv1d(d.channels, d.r.randint(1, 6), 1))
    stride = None if window is None else d.r.choice([window, max(1, window // 3), window + 5])
    rate = d.r.choice([200, 500, 1000, 2000])
    return Drawn(seed, nn.Sequential(*layers).eval(), electrodes, rate, window, stride)
