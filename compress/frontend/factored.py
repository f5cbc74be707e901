"""Weight matrices stored as two thin factors: W (out, in) ≈ U (out, r) · V (r, in), fewer weights
when r < out · in / (out + in).

`hyper_parameters["tendon"]["ranks"]` names the modules and their ranks by the path that their keys
have in the state_dict. An LSTM's layer l is the joint matrix [W_ih | W_hh] at `<path of the
LSTM>.l<l>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from compress.errors import CheckpointError

# Matrices applied in turn, each with its bias if it has one.
Chain = list[tuple[Tensor, Tensor | None]]


class FactoredLinear(nn.Module):
    """Linear layer of rank r. (…, in) -> (…, out); keys v.weight (r, in), u.weight (out, r), bias
    (out,)."""

    def __init__(self, in_features: int, out_features: int, rank: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features, self.rank = in_features, out_features, rank
        self.v = nn.Linear(in_features, rank, bias=False)
        self.u = nn.Linear(rank, out_features, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return apply(chain_of(self), x)


class FactoredConv1d(nn.Module):
    """Convolution of rank r: r kernels over time, then a matrix. Keys v.weight (r, in, k), u.weight
    (out, r, 1), bias (out,)."""

    def __init__(self, conv: nn.Conv1d, rank: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.rank = conv.in_channels, conv.out_channels, rank
        self.kernel_size, self.stride = conv.kernel_size, conv.stride
        self.v = nn.Conv1d(conv.in_channels, rank, conv.kernel_size[0], conv.stride[0], bias=False)
        self.u = nn.Conv1d(rank, conv.out_channels, 1, bias=False)
        self.bias = None if conv.bias is None else nn.Parameter(torch.zeros(conv.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv1d(self.v(x), self.u.weight, self.bias)


class FactoredLSTM(nn.Module):
    """The layers of an LSTM, one joint matrix each: l0, l1, … are Linear or FactoredLinear (in +
    hidden -> 4 · hidden).

    Stepped by the decoder that owns it; gates in the order input, forget, cell, output.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = lstm.hidden_size, lstm.num_layers
        for layer in range(lstm.num_layers):
            width = lstm.input_size if layer == 0 else lstm.hidden_size
            linear = nn.Linear(width + lstm.hidden_size, 4 * lstm.hidden_size)
            parts = [
                getattr(lstm, f"{name}_l{layer}").detach()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            linear.weight.data = torch.cat(parts[:2], dim=1)
            linear.bias.data = parts[2] + parts[3]
            self.add_module(f"l{layer}", linear)


def chain_of(module: nn.Module) -> Chain:
    """The matrices of a Linear or FactoredLinear."""
    if isinstance(module, FactoredLinear):
        return [(module.v.weight, None), (module.u.weight, module.bias)]
    if isinstance(module, nn.Linear):
        return [(module.weight, module.bias)]
    raise TypeError(f"expected a linear layer, found {type(module).__name__}")


def apply(chain: Chain, x: Tensor) -> Tensor:
    """(…, in) -> (…, out)."""
    for weight, bias in chain:
        x = nn.functional.linear(x, weight, bias)
    return x


def shape(model: nn.Module, ranks: Mapping[str, int]) -> None:
    """Replace the named modules by untrained factors of these ranks, in place."""
    _replace(model, ranks, lambda path, old, rank: _factors(path, old, rank))


def factorize(
    model: nn.Module, ranks: Mapping[str, int], covariances: Mapping[str, Tensor] | None = None
) -> None:
    """Replace the named modules of a trained network, in place, by the factors that approximate
    them best.

    Best is the least ‖W − U V‖, or with the covariance Σ (in, in) of a module's inputs the least
    ‖(W − U V) Σ^½‖, which is the mean squared error of its outputs. The inputs of a convolution are
    (in · kernel,), channel by channel.
    """

    def make(path: str, old: Any, rank: int) -> nn.Module:
        new = _factors(path, old, rank)
        weight = old.weight.detach().flatten(1).double()
        u, v = _truncated(weight, rank, None if covariances is None else covariances.get(path))
        new.u.weight.data = u.to(old.weight.dtype).reshape(new.u.weight.shape)
        new.v.weight.data = v.to(old.weight.dtype).reshape(new.v.weight.shape)
        if new.bias is not None:
            new.bias.data = old.bias.detach().clone()
        return new

    with torch.no_grad():
        _replace(model, ranks, make)


def _truncated(weight: Tensor, rank: int, covariance: Tensor | None) -> tuple[Tensor, Tensor]:
    """U (out, rank) and V (rank, in) whose columns and rows share the singular values evenly."""
    if covariance is None:
        u, s, v = torch.linalg.svd(weight, full_matrices=False)
    else:
        # With a Cholesky factor Σ = L Lᵀ the weighted norm is ‖(W − U V) L‖; the ridge keeps L
        # invertible.
        covariance = covariance.double()
        ridge = (
            1e-6 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
        )
        root = torch.linalg.cholesky(covariance + ridge)
        u, s, v = torch.linalg.svd(weight @ root, full_matrices=False)
        v = torch.linalg.solve_triangular(root, v, upper=False, left=False)
    half = s[:rank].sqrt()
    return u[:, :rank] * half, half[:, None] * v[:rank]


def _factors(path: str, old: nn.Module, rank: int) -> FactoredLinear | FactoredConv1d:
    """An untrained pair of factors in place of `old`."""
    if isinstance(old, nn.Conv1d):
        plain = old.padding == (0,) and old.dilation == (1,) and old.groups == 1
        if not plain:
            raise CheckpointError(
                f"tendon.ranks: {path}: only plain convolutions (no padding, dilation or groups)"
                " are factored"
            )
        sizes = (old.out_channels, old.in_channels * old.kernel_size[0])
    elif isinstance(old, nn.Linear):
        sizes = (old.out_features, old.in_features)
    else:
        raise CheckpointError(
            f"tendon.ranks: {path}: expected a Linear, a Conv1d or an LSTM's layer, found"
            f" {type(old).__name__}"
        )
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= min(sizes):
        raise CheckpointError(
            f"tendon.ranks: {path}: expected 1…{min(sizes)} for a matrix of {sizes}, found {rank!r}"
        )
    if isinstance(old, nn.Conv1d):
        return FactoredConv1d(old, rank)
    return FactoredLinear(old.in_features, old.out_features, rank, old.bias is not None)


def _replace(
    model: nn.Module, ranks: Mapping[str, int], make: Callable[[str, nn.Module, int], nn.Module]
) -> None:
    """Put make(path, module, rank) wherever that module stands in `model`; one module can have
    several names."""
    for path in ranks:
        parent, _, _ = path.rpartition(".")
        modules = dict(model.named_modules(remove_duplicate=False))
        if isinstance(modules.get(parent), nn.LSTM):
            _swap(model, modules[parent], FactoredLSTM(modules[parent]))
    modules = dict(model.named_modules(remove_duplicate=False))
    for path, rank in ranks.items():
        if path not in modules:
            raise CheckpointError(f"tendon.ranks: the network has no module {path}")
        _swap(model, modules[path], make(path, modules[path], rank))


def _swap(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)
