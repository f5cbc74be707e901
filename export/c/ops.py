"""The one table of this format: integer operator -> how it is said in C, or why it is not.

To add an operator: a function in one of the emitters, and a line here.
"""

from __future__ import annotations

from compress import graph as g
from compress.errors import GraphError
from export.c import emitters, emitters_recurrent, emitters_windows, linear
from export.c.step import Entry

TABLE: dict[type[g.Op], Entry | str] = {  # or a reason: a sentence for the user
    g.IntAdd: Entry(emitters.add, ("nn_add_s16",), in_place=True),
    g.IntAttentionContext: Entry(emitters_windows.attention, ("nn_attention_context_s16",)),
    g.IntAttentionScores: Entry(emitters_windows.attention, ("nn_attention_scores_s16",)),
    g.IntClamp: Entry(emitters_windows.clamp, ("nn_clamp_s16",), in_place=True, by_frame=True),
    g.IntConcat: Entry(emitters_windows.concat, ("nn_rescale_s16",)),
    g.IntConstant: Entry(emitters_windows.constant, ("nn_repeat_s16",)),
    g.IntDelayedConcat: Entry(emitters_recurrent.delayed_concat, ("nn_copy_s16",)),
    g.IntDense: Entry(
        emitters.dense,
        linear.KERNELS,
        chosen=lambda graph, op, family: (linear.kernel_of(graph, op, family),),
        by_frame=True,
        rows=lambda op: op.shared,
    ),
    g.IntDepthwise: Entry(emitters_windows.depthwise, ("nn_depthwise_s8_s16",), by_frame=True),
    g.IntGather: Entry(emitters_windows.gather, ("nn_gather_s16",), by_frame=True),
    g.IntGlu: Entry(emitters.glu, ("nn_glu_s16",), in_place=True),
    g.IntGroupMax: Entry(
        emitters.group_max,
        ("nn_max_pool_s16",),
        in_place=True,
        by_frame=True,
        rows=lambda op: op.bands,
        sampled=True,
    ),
    g.IntGroupMean: Entry(
        emitters.group_mean,
        ("nn_mean_pool_s16",),
        in_place=True,
        by_frame=True,
        rows=lambda op: op.bands,
        sampled=True,
    ),
    g.IntGruCell: Entry(emitters_recurrent.gru_cell, ("nn_gru_cell_s16",)),
    g.IntIm2Col: Entry(emitters.patches, ("nn_patches_s16",), begins_pieces=True),
    g.IntIntegrate: Entry(
        emitters_recurrent.integrate,
        ("nn_integrate_s16", "nn_integral_s16"),
        chosen=emitters_recurrent.integrate_kernels,
        recall=emitters_recurrent.integral,
    ),
    g.IntInterpolate: Entry(emitters.interpolate, ("nn_interpolate_s16",)),
    g.IntLayerNorm: Entry(emitters.layer_norm, ("nn_layer_norm_s16",), in_place=True),
    g.IntLogSoftmax: Entry(emitters.log_softmax, ("nn_log_softmax_s16",)),
    g.IntLstmCell: Entry(emitters_recurrent.lstm_cell, ("nn_lstm_cell_s16",)),
    g.IntLut: Entry(emitters.lut, ("nn_lut_s16",), in_place=True, by_frame=True),
    g.IntMaxPool: Entry(
        emitters.max_pool, ("nn_max_pool_s16",), in_place=True, by_frame=True, sampled=True
    ),
    g.IntMeanPool: Entry(
        emitters.mean_pool, ("nn_mean_pool_s16",), in_place=True, by_frame=True, sampled=True
    ),
    g.IntMultiply: Entry(emitters_windows.multiply, ("nn_multiply_s16",), in_place=True),
    g.IntReframe: Entry(emitters_windows.reframe, ("nn_copy_s16",), in_place=True),
    g.IntRmsNorm: Entry(emitters.layer_norm, ("nn_rms_norm_s16",), in_place=True),
    g.IntSlice: Entry(emitters.features, ("nn_window_s16",), by_frame=True),
    g.IntSlidingWindow: Entry(emitters_windows.sliding_window, ("nn_window_s16",)),
    g.IntSoftmax: Entry(
        emitters_windows.softmax,
        ("nn_softmax_s16",),
        in_place=True,
        by_frame=True,
        rows=lambda op: op.groups,
    ),
    g.IntStateSpace: Entry(emitters_recurrent.state_space, ("nn_s4d_s16",), in_place=True),
    g.IntStep: Entry(emitters.step, ("nn_step_s16",), in_place=True, by_frame=True),
    g.IntSubtract: Entry(emitters.add, ("nn_subtract_s16",), in_place=True),
    g.IntTile: Entry(emitters.repeat, ("nn_repeat_s16",), by_frame=True),
    g.IntUnfold1d: Entry(emitters.window, ("nn_window_s16",)),
    g.IntWindowUnfold: Entry(
        emitters_windows.window_unfold, ("nn_window_unfold_s16",), begins_pieces=True
    ),
}


def entry_of(op: g.Op) -> Entry:
    """What the table says of an operator; GraphError with its reason where it is refused."""
    found = TABLE.get(type(op), "export/c/ops.py says nothing of it")
    if isinstance(found, str):
        raise GraphError(f"{op.module}: {type(op).__name__} has no C kernel: {found}")
    return found


def entries_of(graph: g.Graph) -> dict[type[g.Op], Entry]:
    """The lines of the table for a graph; GraphError names the first operator that is refused."""
    return {type(op): entry_of(op) for op in graph.ops}
