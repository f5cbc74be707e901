"""The one table of this format: integer operator -> function that emits it, or a reason why it is
refused.

Scales, weights and biases are the graph's own. Every emitter takes the lowering and its operator,
and emits TFLite operators that the reference and the CMSIS-NN kernels of TFLite-Micro both run;
docs/decisions/tflite-written-directly.md says why these. To add an operator: an emitter, and a line
here; whether it can say all that an operator may be asked (8-bit activations, a factor), it checks
itself.
"""

from __future__ import annotations

from compress import graph as g
from export.tflite import (
    attention,
    frames,
    linear,
    norm,
    pointwise,
    rollout,
    state_space,
    windows,
)
from export.tflite.lowering import Table

TABLE: Table = {
    g.IntAdd: pointwise.add,
    g.IntAttentionContext: attention.context,
    g.IntAttentionScores: attention.scores,
    g.IntClamp: pointwise.clamp,
    g.IntConcat: pointwise.concat,
    g.IntConstant: pointwise.constant,
    g.IntDelayedConcat: rollout.delayed_concat,
    g.IntDense: linear.linear,
    g.IntDepthwise: linear.depthwise,
    g.IntGather: pointwise.gather,
    g.IntGlu: pointwise.glu,
    g.IntGroupMax: frames.max_over,
    g.IntGroupMean: frames.mean_over,
    g.IntGruCell: rollout.gru_cell,
    g.IntIm2Col: frames.patches,
    g.IntIntegrate: rollout.integrate,
    g.IntInterpolate: frames.interpolate,
    g.IntLayerNorm: norm.layer_norm,
    g.IntLogSoftmax: norm.log_softmax,
    g.IntLstmCell: rollout.lstm_cell,
    g.IntLut: pointwise.lut,
    g.IntMaxPool: frames.max_pool,
    g.IntMeanPool: frames.mean_pool,
    g.IntMultiply: pointwise.multiply,
    g.IntReframe: windows.reframe,
    g.IntRmsNorm: norm.rms_norm,
    g.IntSlice: pointwise.features,
    g.IntSlidingWindow: windows.sliding,
    g.IntSoftmax: attention.softmax,
    g.IntStateSpace: state_space.state_space,
    g.IntStep: "no operator of TFLite-Micro compares 16-bit values",
    g.IntSubtract: pointwise.subtract,
    g.IntTile: frames.repeat,
    g.IntUnfold1d: frames.window,
    g.IntWindowUnfold: windows.unfold,
}
