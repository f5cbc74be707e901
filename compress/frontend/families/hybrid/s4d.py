"""Diagonal state-space layers (S4D) and the stack of them, as in hybrid-networks-emg2qwerty.

Sources: Gu et al., "On the parameterization and initialization of diagonal state space models"
(2022); hybrid-networks-emg2qwerty (Neuro-Robotic-Touch-Laboratory) for the key names and the
pooling between layers.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.frontend.families.hybrid.activations import activation
from compress.frontend.settings import MOST_KERNEL, MOST_LAYERS, Settings, fix
from compress.frontend.stored.words import shown

_FINE = 32


class TiedDropout(nn.Module):
    """Drops whole features of (batch, feature, time): one mask for all times when `tie` is set."""

    def __init__(self, p: float, tie: bool = True) -> None:
        super().__init__()
        self.p, self.tie = p, tie

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        shape = x.shape[:2] + (1,) * (x.ndim - 2) if self.tie else x.shape
        keep = (torch.rand(shape, device=x.device) < 1.0 - self.p).to(x.dtype)
        return x * (keep / (1.0 - self.p))


class S4DKernel(nn.Module):
    """Parameters of H independent diagonal systems with N/2 complex states each.

    `discrete()` gives the recurrence, `forward(length)` the convolution kernel it is equal to.
    """

    def __init__(self, d_model: int, n: int, dt_min: float, dt_max: float) -> None:
        super().__init__()
        half = n // 2
        span = math.log(dt_max) - math.log(dt_min)
        self.C = nn.Parameter(torch.view_as_real(torch.randn(d_model, half, dtype=torch.cfloat)))
        self.log_dt = nn.Parameter(torch.rand(d_model) * span + math.log(dt_min))
        self.log_A_real = nn.Parameter(torch.full((d_model, half), math.log(0.5)))
        self.A_imag = nn.Parameter(
            (math.pi * torch.arange(half, dtype=torch.float32)).repeat(d_model, 1)
        )

    def discrete(self) -> tuple[Tensor, Tensor]:
        """(a, c), complex (H, N/2): x[t] = a·x[t-1] + u[t] and y[t] = 2·Re Σ c·x[t] (zero-order
        hold, B in c)."""
        dt = torch.exp(self.log_dt).unsqueeze(-1)
        poles = torch.complex(-torch.exp(self.log_A_real), self.A_imag)
        a = torch.exp(poles * dt)
        return a, torch.view_as_complex(self.C.contiguous()) * (a - 1.0) / poles

    def forward(self, length: int) -> Tensor:
        """The real kernel (H, length).

        Times are split into coarse and fine steps, exp(λ(32i + j)) = exp(32λi)·exp(λj): two short
        exponentials and a matrix product in place of a long exponential, which took most of a
        training step.
        """
        dt = torch.exp(self.log_dt).unsqueeze(-1)
        exponent = (torch.complex(-torch.exp(self.log_A_real), self.A_imag) * dt).unsqueeze(-1)
        _, c = self.discrete()
        fine = torch.exp(exponent * torch.arange(_FINE, device=dt.device))
        coarse = torch.exp(exponent * torch.arange(0, length, _FINE, device=dt.device))
        kernel = (c.unsqueeze(-1) * coarse).transpose(1, 2) @ fine  # (H, coarse, fine)
        return 2.0 * kernel.flatten(1)[:, :length].real


class _CausalConvolution(torch.autograd.Function):
    """u (batch, H, time) with kernel (H, time), each output from inputs up to its own time.

    The gradient is written out because automatic differentiation of `rfft` takes complex transforms
    of full length, twice the work.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, kernel: Tensor) -> Tensor:
        ctx.size = next_fast_len(2 * u.shape[-1] - 1, real=True)
        u_f, kernel_f = torch.fft.rfft(u, n=ctx.size), torch.fft.rfft(kernel, n=ctx.size)
        ctx.save_for_backward(u_f, kernel_f)
        return torch.fft.irfft(u_f * kernel_f, n=ctx.size)[..., : u.shape[-1]]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        u_f, kernel_f = ctx.saved_tensors
        length, gradient_f = gradient.shape[-1], torch.fft.rfft(gradient, n=ctx.size)
        of_kernel = torch.fft.irfft((gradient_f * u_f.conj()).sum(0), n=ctx.size)[..., :length]
        of_u = torch.fft.irfft(gradient_f.mul_(kernel_f.conj()), n=ctx.size)[..., :length]
        return of_u, of_kernel


class S4D(nn.Module):
    """One layer: diagonal state space, pooling, activation, then a 1×1 convolution with a gated
    linear unit.

    (batch, H, time) -> (batch, H, time // pool).
    """

    def __init__(
        self,
        d_model: int,
        n: int,
        act: str,
        dropout: float,
        tie: bool,
        dt_min: float,
        dt_max: float,
        pool: int,
        mode: str,
    ) -> None:
        super().__init__()
        self.pool, self.pool_mode = pool, mode
        self.D = nn.Parameter(torch.randn(d_model))
        self.kernel = S4DKernel(d_model, n, dt_min, dt_max)
        self.activation = activation(act, "S4D.activation")
        self.dropout = TiedDropout(dropout, tie)
        self.output_linear = nn.Sequential(nn.Conv1d(d_model, 2 * d_model, 1), nn.GLU(dim=-2))

    def convolve(self, u: Tensor) -> Tensor:
        """The state space alone, (batch, H, time), by FFT over the whole sequence."""
        kernel = self.kernel(u.shape[-1])
        with_skip = torch.cat([kernel[:, :1] + self.D.unsqueeze(-1), kernel[:, 1:]], dim=1)
        y: Tensor = _CausalConvolution.apply(u, with_skip)
        return y

    def forward(self, u: Tensor) -> Tensor:
        pooled = pool_frames(self.convolve(u), self.pool, self.pool_mode)
        return self.output_linear(self.dropout(self.activation(pooled)))


def pool_frames(x: Tensor, factor: int, mode: str) -> Tensor:
    """(batch, H, time) -> (batch, H, time // factor): mean, max or last of each group; an
    incomplete group is dropped."""
    if factor <= 1:
        return x
    whole = x.shape[-1] - x.shape[-1] % factor
    groups = x[..., :whole].reshape(*x.shape[:2], -1, factor)
    if mode == "mean":
        return groups.mean(-1)
    return groups.amax(-1) if mode == "max" else groups[..., -1]


_STEPS = (1e-9, 1e9)  # of time, at the beginning of a training
_FIXED: dict[str, tuple[Any, str]] = {
    "S4_model": ("S4D", "no other state space is published"),
    "upscale_last_layer": (
        1,
        "several predictions from one frame have no operator in the stream graph",
    ),
    "reduce_time_dimension": (False, "one answer for a whole recording is no stream"),
    "permuteLBHtoBLH": (True, "the network around it is time first"),
    "delta_pre_activation": (False, "never published"),
    "delta_post_activation": (False, "never published"),
}


def _pools(said: Settings, where: str, layers: int) -> tuple[str, list[int]]:
    """The mode of the pools and the frames each layer pools; 0 and 1 are none."""
    mode = said.text(f"{where}_pool_mode", "none", ("none", "mean", "max", "last"))
    if mode == "none":
        return mode, [1] * layers
    pools = said.wholes(f"{where}_pools", 0, MOST_KERNEL)
    if len(pools) != layers:
        raise CheckpointError(
            f"{said.name(where)}_pools: expected {layers} factors of 0 or more, found"
            f" {shown(pools)}"
        )
    return mode, [max(p, 1) for p in pools]


class S4Model(nn.Module):
    """Encoder, residual S4D layers with optional pooling in the middle and at the end of each,
    decoder. (time, batch, features).

    Pooling in the middle comes right after the state space, and over the residual path as well.
    """

    def __init__(self, d_input: int, config: dict[str, Any], where: str = "model_LF") -> None:
        super().__init__()
        said = Settings(config, where)
        fix(said, _FIXED)
        d_model, layers = said.whole("d_model"), said.whole("n_layers", 1, MOST_LAYERS)
        self.prenorm = said.flag("prenorm")
        self.pool_mode, self.pools = _pools(said, "end_layer", layers)
        self.mid_pool_mode, self.mid_pools = _pools(said, "mid_layer", layers)
        self.d_output = said.whole("d_output")
        self.encoder = nn.Linear(d_input, d_model)
        self.s4_layers = nn.ModuleList(self._layer(said, d_model, pool) for pool in self.mid_pools)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(layers))
        outer, tie = said.number("dropout_outer", 0, 1), said.flag("dropout_tie")
        self.dropouts = nn.ModuleList(TiedDropout(outer, tie) for _ in range(layers))
        self.decoder = nn.Linear(d_model, self.d_output)
        self.decoder_non_linearity = activation(
            said.text("decoder_non_linearity"), said.name("decoder_non_linearity")
        )

    def _layer(self, said: Settings, d_model: int, pool: int) -> S4D:
        return S4D(
            d_model,
            said.whole("d_latent_space"),  # half as many complex states
            said.text("activation"),
            said.number("dropout_inner", 0, 1),
            said.flag("dropout_tie"),
            said.number("dt_min", *_STEPS),
            said.number("dt_max", *_STEPS),
            pool,
            self.mid_pool_mode,
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x.transpose(0, 1)).transpose(-1, -2)  # (batch, d_model, time)
        layers = zip(
            self.s4_layers, self.norms, self.dropouts, self.mid_pools, self.pools, strict=True
        )
        for layer, norm, dropout, mid, end in layers:
            z = norm(x.transpose(-1, -2)).transpose(-1, -2) if self.prenorm else x
            x = pool_frames(
                dropout(layer(z)) + pool_frames(x, mid, self.mid_pool_mode), end, self.pool_mode
            )
            if not self.prenorm:
                x = norm(x.transpose(-1, -2)).transpose(-1, -2)
        return self.decoder_non_linearity(self.decoder(x.transpose(-1, -2))).transpose(0, 1)
