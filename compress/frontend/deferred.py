"""Backpropagation through many steps of one small network, with the gradient of each weight matrix
computed once at the end.

Autograd adds a whole matrix to the weight's gradient for every step, which for a 512-wide LSTM
moves more memory than all of its arithmetic. Here a step's backward only passes the gradient on and
keeps its own part of it, and the matrix product over all steps and windows follows when the last
part is there. The result is the same up to the order of the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from compress.frontend.factored import Chain


class Deferred:
    """`run` for `stepper`: multiplies by each matrix at most `steps` times, on a batch of constant
    size."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._products: dict[int, _Product] = {}

    def __call__(self, chain: Chain, x: Tensor) -> Tensor:
        for weight, bias in chain:
            product = self._products.get(id(weight))
            if product is None:
                product = self._products[id(weight)] = _Product(weight, bias, self.steps, len(x))
            x = product(x)
        return x


class _Product:
    """x W^T + b of many steps."""

    def __init__(self, weight: Tensor, bias: Tensor | None, steps: int, batch: int) -> None:
        self.weight = weight.detach()
        self.transposed = self.weight.t().contiguous()  # the faster layout for few rows
        self.bias = torch.zeros(len(weight)) if bias is None else bias.detach()
        self.inputs: list[Tensor] = []
        zeros = torch.zeros(()).expand(steps, batch, len(weight))
        bias = self.bias if bias is None else bias
        self._slots: Iterator[Tensor] = iter(
            _Gather.apply(weight, bias, self.inputs, zeros).unbind(0)
        )
        self._keep = weight  # its id is the key it is found by

    def __call__(self, x: Tensor) -> Tensor:
        self.inputs.append(x.detach())
        return _Pass.apply(x, next(self._slots), self)


class _Pass(torch.autograd.Function):
    """The product forward; backward the gradient of x, and that of the result into the step's
    slot."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slot: Tensor, product: _Product) -> Tensor:
        ctx.product = product
        return torch.addmm(product.bias, x, product.transposed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        wanted = ctx.needs_input_grad[0]
        return gradient @ ctx.product.weight if wanted else None, gradient, None


class _Gather(torch.autograd.Function):
    """Zeros forward, one slot a step; backward, when every slot has its gradient, the weight's and
    the bias's."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor, inputs: list[Tensor], zeros: Tensor
    ) -> Tensor:
        ctx.inputs = inputs
        return zeros.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        used = gradient[: len(ctx.inputs)].flatten(0, 1)
        return used.t() @ torch.cat(ctx.inputs), used.sum(0), None, None
