"""The one table of this format: integer operator -> the TFLite operators that TFLite-Micro runs it
by, or a reason why no project is written.

Whatever an operator needs, its step may also hold what reads and clears its state (STATE). A file
says itself which it uses; the resolver is written from the file (operators.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from compress import graph as g
from compress.errors import GraphError
from export.tflite.ops import TABLE as TFLITE

# frames of one step apart and together; masks that clear state until it begins
STATE = ("ADD", "CONCATENATION", "CONV_2D", "DEQUANTIZE", "MUL", "RESHAPE", "SPLIT")
REAL = ("DEQUANTIZE", "QUANTIZE")  # there and back where a kernel takes float32 alone

TABLE: Mapping[type[g.Op], tuple[str, ...] | str] = {
    g.IntAdd: ("ADD",),
    g.IntDelayedConcat: STATE,
    g.IntDense: ("CONV_2D", "RESHAPE"),
    g.IntGlu: ("LOGISTIC", "MUL", "STRIDED_SLICE"),
    g.IntGroupMax: ("MAX_POOL_2D", "RESHAPE"),
    g.IntGroupMean: ("DEPTHWISE_CONV_2D", "RESHAPE"),
    g.IntIm2Col: ("RESHAPE", "RESIZE_NEAREST_NEIGHBOR"),
    g.IntIntegrate: (
        "every kernel is there, but it begins with an extra input of the graph, and nothing around"
        " the interpreter sets one"
    ),
    g.IntInterpolate: ("CONCATENATION", "DEPTHWISE_CONV_2D", "RESHAPE", "STRIDED_SLICE"),
    g.IntLayerNorm: (
        *("ADD", "DEPTHWISE_CONV_2D", "MEAN", "MUL", "RESHAPE", "RSQRT", "SUB"),
        *REAL,
    ),
    g.IntLogSoftmax: ("LOG_SOFTMAX", *REAL),
    # its own LSTM forgets the cell between two steps, and has none of 16 bits that does not
    g.IntLstmCell: ("LOGISTIC", "STRIDED_SLICE", "TANH", *REAL, *STATE),
    g.IntLut: ("ADD", "DEPTHWISE_CONV_2D", "LEAKY_RELU", "LOGISTIC", "MUL", "QUANTIZE", "TANH"),
    g.IntMaxPool: ("MAX_POOL_2D",),
    g.IntMeanPool: ("DEPTHWISE_CONV_2D",),
    g.IntSlice: ("STRIDED_SLICE",),
    g.IntStateSpace: ("BATCH_MATMUL", *STATE),
    g.IntStep: "its kernels GREATER_EQUAL and LESS take no 16-bit values",
    g.IntTile: ("RESHAPE", "RESIZE_NEAREST_NEIGHBOR"),
    g.IntUnfold1d: ("CONCATENATION", "RESHAPE", "STRIDED_SLICE"),
}


def refuse(graph: g.Graph) -> None:
    """GraphError for a network that the project cannot run, with what can.

    The runtime around the interpreter hands out one frame a step, and sets no extra input.
    """
    for op in graph.ops:
        answer = TABLE.get(type(op), "it is not an operator of integer graphs that it knows")
        if isinstance(answer, str):
            written = not isinstance(TFLITE.get(type(op), ""), str)
            raise _refused(graph, f"{op.module}: {type(op).__name__}", written, f": {answer}")
    if graph.chunk > 1:
        raise _refused(graph, f"{graph.chunk} frames a step", True)


def _refused(graph: g.Graph, what: str, written: bool, why: str = "") -> GraphError:
    advice = "FORMAT=c runs it" + (", FORMAT=tflite writes its step" if written else "")
    return GraphError(f"{graph.name}: {what} has no FORMAT=tflm project yet; {advice}{why}")
