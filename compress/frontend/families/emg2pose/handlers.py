"""The networks of emg2pose: a TDS featurizer, a decoder that is rolled out frame by frame, and
poses fed back.

Features of a TDS block are (channels, width) in PyTorch. Here a stage computes them as (width,
channels): the 2-D convolution, whose kernel has one row, then is one small dense layer over `width`
groups that lie side by side. The order costs nothing: it is a permutation of the rows and columns
of the layers around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.factored import FactoredLinear
from compress.frontend.families.emg2pose.decoders import MLP, SequentialLSTM
from compress.frontend.families.emg2pose.model import PoseNetwork
from compress.frontend.families.emg2pose.neuropose import WINDOW, NeuroPose
from compress.frontend.families.emg2pose.neuropose_handlers import neuropose
from compress.frontend.families.emg2pose.pose import (
    PoseModule,
    StatePoseModule,
    VEMG2PoseWithInitialState,
)
from compress.frontend.families.emg2pose.tds import (
    Conv1dBlock,
    TDSConv2dBlock,
    TDSFullyConnectedBlock,
    TdsNetwork,
    TdsStage,
)
from compress.frontend.handlers import (
    activation,
    convolution,
    delayed,
    dense,
    lstm,
    matrix,
    norm,
    numpy,
    refused,
)

Array = g.Array
POSE = "model.pose"
JOINTS = 20
INITIAL = "pose"  # the extra input that a stream begins with


def pose(b: Builder, network: PoseNetwork, window: int | None = None) -> None:
    """A pose module: featurizer, interpolation to the rollout's rate, decoder, integration.
    `window`: samples at a time, of NeuroPose."""
    module = network.model
    if isinstance(module, PoseModule) and isinstance(module.network, NeuroPose):
        neuropose(b, "model.network", module.network, WINDOW if window is None else window)
    elif isinstance(module, PoseModule):
        _featurizer(b, module.network)
    elif isinstance(module, StatePoseModule | VEMG2PoseWithInitialState):
        _featurizer(b, module.network)
        _resample(b, module.rollout_freq)
        _rollout(b, module)
        return
    else:
        raise GraphError(f"model: {type(module).__name__} has no operators in the stream graph")
    if module.predict_vel and isinstance(module.network, NeuroPose):
        raise GraphError(
            "model: a velocity over windows (NeuroPose with predict_vel) has no pose that a stream"
            " could go on from"
        )
    if module.predict_vel:
        _integrate(b)


def _integrate(b: Builder, position_steps: int = 0) -> None:
    """Velocities to the pose, which is what the network gives and is fed back."""
    b.add(g.Integrate, POSE, position_steps=position_steps, initial=INITIAL)


# --- featurizer -----------------------------------------------------------------------------------


def _featurizer(b: Builder, network: Any) -> None:
    if not isinstance(network, TdsNetwork):
        raise GraphError(
            f"model.network: {type(network).__name__} has no operators in the stream graph"
        )
    order = np.arange(
        b.features
    )  # of the features in memory: order[i] is the published place of feature i
    for i, layer in enumerate(network.layers):
        path = f"model.network.layers.{i}"
        if isinstance(layer, Conv1dBlock):
            order = _conv_block(b, path, layer, order, np.arange(_rows(layer)))
        else:
            assert isinstance(layer, TdsStage)
            order = _stage(b, path, layer, order)
    _restore(b, order)


def _rows(block: Any) -> int:
    return int(block.conv[0].out_channels)


def _stage(b: Builder, path: str, stage: Any, order: Array) -> Array:
    blocks = list(stage.tds_block.tds_conv_blocks)
    first = blocks[0]
    assert isinstance(first, TDSConv2dBlock)
    inside = (
        np.arange(first.channels * first.width).reshape(first.channels, first.width).T.reshape(-1)
    )
    order = _conv_block(b, f"{path}.layers.conv1dblock", stage.conv1dblock, order, inside)
    for i, block in enumerate(blocks):
        where = f"{path}.layers.tds_block.tds_conv_blocks.{i}"
        if isinstance(block, TDSConv2dBlock):
            _tds_convolution(b, where, block, order)
        else:
            assert isinstance(block, TDSFullyConnectedBlock)
            _tds_fully_connected(b, where, block, order)
    if stage.linear_layer is None:
        return order
    dense(b, f"{path}.linear_layer", stage.linear_layer, order)
    return np.arange(stage.out_channels)


def _conv_block(b: Builder, path: str, block: Any, columns: Array, rows: Array) -> Array:
    """Convolution, ReLU, LayerNorm; `columns` and `rows`: published places of the features it reads
    and writes."""
    convolution(b, f"{path}.conv.0", block.conv[0], columns, rows)
    for i, module in enumerate(block.conv[1:], 1):
        if isinstance(module, nn.ReLU):
            activation(b, f"{path}.conv.{i}", module)
        elif not isinstance(module, nn.Dropout):
            raise refused(f"{path}.conv.{i}", module)
    if block.norm is not None:
        norm(b, f"{path}.norm", [block.norm], order=rows)
    return rows


def _tds_convolution(b: Builder, path: str, block: Any, order: Array) -> None:
    source, kernel = b.here, int(block.conv2d.kernel_size[1])
    b.add(
        g.Unfold1d, f"{path}.window", frames=kernel, frames_per_output=1, lag=0, bands=block.width
    )
    weight = (
        numpy(block.conv2d.weight)[:, :, 0].transpose(0, 2, 1).reshape(block.channels, -1)
    )  # (out, kernel·in)
    bias = numpy(block.conv2d.bias)
    b.add(
        g.Dense, f"{path}.conv2d", weight=weight[None, :, None], bias=bias[None], shared=block.width
    )
    b.add(g.Activation, f"{path}.relu", kind="relu")
    _residual(b, path, source, block.layer_norm, order)


def _tds_fully_connected(b: Builder, path: str, block: Any, order: Array) -> None:
    source = b.here
    dense(b, f"{path}.fc_block.0", block.fc_block[0], order, order)
    activation(b, f"{path}.fc_block.1", block.fc_block[1])
    dense(b, f"{path}.fc_block.2", block.fc_block[2], order, order)
    _residual(b, path, source, block.layer_norm, order)


def _residual(b: Builder, path: str, source: str, layer: nn.LayerNorm, order: Array) -> None:
    """The newest frame of the block's input is added, then all features normalised."""
    b.add(g.Add, f"{path}.residual", source)
    norm(b, f"{path}.layer_norm", [layer], order=order)


def _restore(b: Builder, order: Array) -> None:
    """Features in their published places where no layer has put them there; a permutation matrix,
    rarely needed."""
    if not np.array_equal(order, np.arange(len(order))):
        matrix(b, "model.network.order", np.eye(len(order))[np.argsort(order)])


# --- decoder --------------------------------------------------------------------------------------


def _resample(b: Builder, rollout_freq: int) -> None:
    """From the featurizer's rate to the rollout's, on the stream's own grid."""
    factor = rollout_freq / b.rate
    if factor.denominator != 1:
        raise GraphError(
            f"model: expected a rollout at a multiple of {b.rate} features a second, found"
            f" {rollout_freq}"
        )
    if factor > 1:
        b.add(g.Interpolate, "model.resample", factor=int(factor))


def _rollout(b: Builder, module: StatePoseModule | VEMG2PoseWithInitialState) -> None:
    positions = _position_steps(module)
    integrates = isinstance(module, VEMG2PoseWithInitialState) or module.predict_vel
    decoder = module.decoder
    fed_back = [(POSE, JOINTS)] if module.state_condition else []
    if isinstance(decoder, SequentialLSTM):
        lstm(b, "model.decoder.lstm", decoder.lstm, fed_back)
        activation(b, "model.decoder.mlp_out.0", decoder.mlp_out[0])
        dense(b, "model.decoder.mlp_out.1", decoder.mlp_out[1], scale=decoder.scale)
    elif isinstance(decoder, MLP):
        if fed_back:
            delayed(b, "model.decoder", fed_back)
        _mlp(b, "model.decoder", decoder)
    else:
        raise GraphError(
            f"model.decoder: {type(decoder).__name__} has no operators in the stream graph"
        )
    if integrates:
        _integrate(b, positions)
    elif fed_back:
        raise GraphError(
            "model: a pose fed back but not integrated (state_condition without predict_vel) is not"
            " supported"
        )


def _position_steps(module: StatePoseModule | VEMG2PoseWithInitialState) -> int:
    """Steps of the rollout that predict the pose itself, rounded as published."""
    if isinstance(module, StatePoseModule):
        return 0
    if module.position_steps < 1:
        raise GraphError(
            f"model.num_position_steps: expected a step or more, found {module.num_position_steps}"
            " samples"
        )
    return module.position_steps


def _mlp(b: Builder, path: str, decoder: MLP) -> None:
    layers = list(decoder.mlp)
    for i, layer in enumerate(layers):
        where = f"{path}.mlp.{i}"
        if isinstance(layer, nn.Linear | FactoredLinear):
            dense(b, where, layer, scale=decoder.scale if i == len(layers) - 1 else 1.0)
        elif isinstance(layer, nn.LayerNorm):
            norm(b, where, [layer])
        else:
            activation(b, where, layer)
