"""The one table of both ONNX forms: operator -> what writes its nodes, or why there is no form.

To add an operator: a function in float_ops.py and one in qdq_ops.py (or one for both in both.py),
and its lines here. It takes the stream that is written and the operator, reads its inputs with
`real` or `handle`, and ends with `put` (real values, which QDQ rounds) or `bind` (values that were
moved only).
"""

from __future__ import annotations

from collections.abc import Mapping

from compress import graph as g
from export.onnx import both, float_ops, integral, qdq_ops
from export.onnx.stream import Recall, Table

FLOAT: Table = {
    g.Activation: float_ops.activation,
    g.Add: both.add,
    g.AttentionContext: both.attention_context,
    g.AttentionScores: both.attention_scores,
    g.BatchNorm: "it is folded into the layer before it, before a graph is exported",
    g.Clamp: float_ops.clamp,
    g.Concat: both.concat,
    g.Constant: float_ops.constant,
    g.DelayedConcat: both.delayed_concat,
    g.Dense: float_ops.dense,
    g.Depthwise: float_ops.depthwise,
    g.Gather: both.gather,
    g.Glu: float_ops.glu,
    g.GroupMax: both.group_max,
    g.GroupMean: both.group_mean,
    g.GruCell: both.gru_cell,
    g.Im2Col: both.im2col,
    g.Integrate: both.integrate,
    g.Interpolate: both.interpolate,
    g.LayerNorm: float_ops.layer_norm,
    g.LogSoftmax: both.log_softmax,
    g.LstmCell: float_ops.lstm_cell,
    g.MaxPool: both.max_pool,
    g.MeanPool: both.mean_pool,
    g.Multiply: both.multiply,
    g.Reframe: both.reframe,
    g.RmsNorm: float_ops.rms_norm,
    g.Slice: both.slice_features,
    g.SlidingWindow: both.sliding_window,
    g.Softmax: both.softmax,
    g.StateSpace: float_ops.state_space,
    g.Subtract: both.subtract,
    g.Tile: both.tile,
    g.Unfold1d: both.unfold1d,
    g.WindowUnfold: both.window_unfold,
}
INTEGER: Table = {
    g.IntAdd: both.add,
    g.IntAttentionContext: both.attention_context,
    g.IntAttentionScores: both.attention_scores,
    g.IntClamp: qdq_ops.clamp,
    g.IntConcat: both.concat,
    g.IntConstant: qdq_ops.constant,
    g.IntDelayedConcat: both.delayed_concat,
    g.IntDense: qdq_ops.dense,
    g.IntDepthwise: qdq_ops.depthwise,
    g.IntGather: both.gather,
    g.IntGlu: qdq_ops.glu,
    g.IntGroupMax: both.group_max,
    g.IntGroupMean: both.group_mean,
    g.IntGruCell: both.gru_cell,
    g.IntIm2Col: both.im2col,
    g.IntIntegrate: both.integrate,
    g.IntInterpolate: both.interpolate,
    g.IntLayerNorm: qdq_ops.layer_norm,
    g.IntLogSoftmax: both.log_softmax,
    g.IntLstmCell: qdq_ops.lstm_cell,
    g.IntLut: qdq_ops.lut,
    g.IntMaxPool: both.max_pool,
    g.IntMeanPool: both.mean_pool,
    g.IntMultiply: both.multiply,
    g.IntReframe: both.reframe,
    g.IntRmsNorm: qdq_ops.rms_norm,
    g.IntSlice: both.slice_features,
    g.IntSlidingWindow: both.sliding_window,
    g.IntSoftmax: both.softmax,
    g.IntStateSpace: qdq_ops.state_space,
    g.IntStep: qdq_ops.step,
    g.IntSubtract: both.subtract,
    g.IntTile: both.tile,
    g.IntUnfold1d: both.unfold1d,
    g.IntWindowUnfold: both.window_unfold,
}
# the operators whose frame before is more than their newest output (`Op.recalled`)
RECALLS: Mapping[type[g.Op], Recall] = {
    g.Integrate: integral.recall,
    g.IntIntegrate: integral.recall,
}
