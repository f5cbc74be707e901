"""Where the decoder of a tracking network begins: as a proportional tracker of a linear readout of
the pose.

An LSTM that is trained in closed loop from random weights first has to find out that its output
moves its own input; until then gradients through sixty fed-back poses point nowhere. But a
featurizer that was trained with a linear readout already knows the pose to some degrees, and an
LSTM whose input and output gates are open and whose forget gate is shut is nearly a linear map. So
each hidden unit is given one joint and one sign: it carries `small`·(readout − pose before) through
every layer, LeakyReLU of both signs together is linear again, and the output moves the pose by
`gain` of the difference in each step. Its other weights stay random and learn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

GAIN = 0.3  # of the difference, per step of 20 ms
# a difference of 1 rad is so much before the tanh: most differences are smaller and stay on its
# straight part
SMALL = 0.5
OPEN = 3.0  # gates before the sigmoid: 0.95 open, 0.05 shut


@torch.no_grad()
def begin_as_tracker(decoder: Any, readout: Tensor, bias: Tensor) -> None:
    """Set the weights of a SequentialLSTM so; its input is features beside the pose. readout
    (joints, features), bias in rad."""
    joints, features = readout.shape
    unit = torch.arange(decoder.hidden_size)
    joint, sign = unit % joints, 1.0 - 2.0 * ((unit // joints) % 2)
    for layer in range(decoder.num_layers):
        _open_gates(decoder.lstm, layer, decoder.hidden_size)
        weight = getattr(decoder.lstm, f"weight_ih_l{layer}")
        cells = weight[2 * decoder.hidden_size : 3 * decoder.hidden_size]
        if layer:
            cells[unit, unit] += 1.0
            continue
        cells[:, :features] += SMALL * sign[:, None] * readout[joint]
        cells[unit, features + joint] -= SMALL * sign
        decoder.lstm.bias_ih_l0[2 * decoder.hidden_size : 3 * decoder.hidden_size] = (
            SMALL * sign * bias[joint]
        )
    _output(decoder, joint, sign)


def _open_gates(lstm: Any, layer: int, hidden: int) -> None:
    """Input and output gates open, forget gate shut, no bias of the cell's input."""
    for kind in ("ih", "hh"):
        getattr(lstm, f"bias_{kind}_l{layer}").zero_()
    bias = getattr(lstm, f"bias_ih_l{layer}")
    for gate, value in ((0, OPEN), (1, -OPEN), (3, OPEN)):  # i, f, o
        bias[gate * hidden : (gate + 1) * hidden] = value


def _output(decoder: Any, joint: Tensor, sign: Tensor) -> None:
    """Each joint moves by GAIN of the difference that its units carry."""
    last = decoder.mlp_out[1]
    passed = SMALL * torch.sigmoid(torch.tensor(OPEN)).item() ** (2 * decoder.num_layers)
    units = torch.bincount(joint, minlength=last.out_features)[joint]
    last.bias.zero_()
    last.weight[joint, torch.arange(len(joint))] += (
        GAIN * sign / (units / 2 * 1.01 * passed * decoder.scale)
    )
