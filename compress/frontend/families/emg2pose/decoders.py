"""The decoders of emg2pose: one output from the features and the pose of one time step, an MLP or
an LSTM.

Source: facebookresearch/emg2pose; the key names are its own. Where the published LSTM keeps its
state in the module, here the caller does: `state = decoder.start(batch)`, then `output, state =
step(x, state)` with `step = decoder.stepper()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compress.frontend.factored import Chain, FactoredLSTM, apply, chain_of

# Hidden and cell state of every layer, each (batch, hidden); nothing for an MLP.
State = tuple[tuple[Tensor, Tensor], ...]
Step = Callable[[Tensor, State], tuple[Tensor, State]]
Apply = Callable[[Chain, Tensor], Tensor]


class MLP(nn.Module):
    """Linear layers with LeakyReLU, each with a LayerNorm before it if asked; the result is scaled.
    (B, in) -> (B, out)."""

    def __init__(
        self,
        in_channels: int,
        layer_sizes: Sequence[int],
        out_channels: int,
        layer_norm: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.scale = in_channels, out_channels, scale
        layers: list[nn.Module] = []
        for size in layer_sizes:
            layers += [
                nn.Linear(in_channels, size),
                *([nn.LayerNorm(size)] if layer_norm else []),
                nn.LeakyReLU(),
            ]
            in_channels = size
        self.mlp = nn.Sequential(*layers, nn.Linear(in_channels, out_channels))

    def start(self, batch: int) -> State:
        """An MLP has no state."""
        return ()

    def stepper(self, run: Apply = apply) -> Step:
        """The function of one step; `run` is for the matrices of an LSTM and not used."""
        return lambda x, state: (self.mlp(x) * self.scale, state)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x) * self.scale


class SequentialLSTM(nn.Module):
    """LSTM layers, LeakyReLU, a linear layer; the result is scaled. One step: (B, in) -> (B,
    out)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_size: int,
        num_layers: int = 1,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.hidden_size = (
            in_channels,
            out_channels,
            hidden_size,
        )
        self.num_layers, self.scale = num_layers, scale
        self.lstm: nn.LSTM | FactoredLSTM = nn.LSTM(
            in_channels, hidden_size, num_layers, batch_first=True
        )
        self.mlp_out = nn.Sequential(nn.LeakyReLU(), nn.Linear(hidden_size, out_channels))

    def start(self, batch: int) -> State:
        """Zeros, as at the beginning of every published trajectory."""
        zeros = torch.zeros(batch, self.hidden_size)
        return tuple((zeros, zeros) for _ in range(self.num_layers))

    def chains(self) -> list[Chain]:
        """The matrices of a step: for each layer the joint [W_ih | W_hh] with the sum of both
        biases, then the output's."""
        if isinstance(self.lstm, FactoredLSTM):
            layers = [chain_of(layer) for layer in self.lstm.children()]
        else:
            layers = [joint(self.lstm, layer) for layer in range(self.num_layers)]
        return [*layers, chain_of(self.mlp_out[1])]

    def stepper(self, run: Apply = apply) -> Step:
        """The function of one step; `run` multiplies by a chain of matrices (training replaces it,
        see `deferred`)."""
        *layers, last = self.chains()

        def step(x: Tensor, state: State) -> tuple[Tensor, State]:
            states = []
            for chain, (hidden, cell) in zip(layers, state, strict=True):
                gates = run(chain, torch.cat([x, hidden], dim=1))
                x, cell = cell_step(gates, cell)
                states.append((x, cell))
            return run(last, self.mlp_out[0](x)) * self.scale, tuple(states)

        return step


def joint(lstm: nn.LSTM, layer: int) -> Chain:
    """[W_ih | W_hh] (4 · hidden, in + hidden) and b_ih + b_hh of one layer, rows in the order
    input, forget, cell, output."""

    def part(name: str) -> Any:
        return getattr(lstm, f"{name}_l{layer}")

    return [
        (
            torch.cat([part("weight_ih"), part("weight_hh")], dim=1),
            part("bias_ih") + part("bias_hh"),
        )
    ]


def cell_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden and cell state (B, hidden) from the gates before their activations (B, 4 · hidden)."""
    i, f, g, o = gates.chunk(4, dim=1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell
