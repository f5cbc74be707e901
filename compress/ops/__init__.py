"""The one table of all operators. To add one: a file here, a line in it, and answers in the tables
of the export formats (`export/*/ops.py`), which tests/compress/test_operators.py demands."""

from __future__ import annotations

from compress.ops.activation import Activation, Clamp, IntClamp, IntLut, IntStep
from compress.ops.add import Add, IntAdd
from compress.ops.attention import (
    AttentionContext,
    AttentionScores,
    IntAttentionContext,
    IntAttentionScores,
)
from compress.ops.base import Bound, FloatOp, IntOp, Memory, Op
from compress.ops.concat import Concat, IntConcat
from compress.ops.delayed_concat import DelayedConcat, IntDelayedConcat
from compress.ops.dense import WEIGHT_BITS, BatchNorm, Dense, IntDense
from compress.ops.depthwise import Depthwise, IntDepthwise
from compress.ops.gather import Constant, Gather, IntConstant, IntGather
from compress.ops.glu import Glu, IntGlu
from compress.ops.gru import GruCell, IntGruCell
from compress.ops.image import Im2Col, IntIm2Col, IntTile, Tile
from compress.ops.integrate import Integrate, IntIntegrate
from compress.ops.interpolate import Interpolate, IntInterpolate
from compress.ops.log_softmax import IntLogSoftmax, LogSoftmax
from compress.ops.lstm import IntLstmCell, LstmCell
from compress.ops.multiply import IntMultiply, IntSubtract, Multiply, Subtract
from compress.ops.norm import IntLayerNorm, IntRmsNorm, LayerNorm, RmsNorm
from compress.ops.pool import (
    GroupMax,
    GroupMean,
    GroupReduce,
    IntGroupMax,
    IntGroupMean,
    IntMaxPool,
    IntMeanPool,
    MaxPool,
    MeanPool,
)
from compress.ops.slice import IntSlice, Slice
from compress.ops.softmax import IntSoftmax, Softmax
from compress.ops.state_space import IntStateSpace, StateSpace
from compress.ops.tables import named
from compress.ops.tensor import INT8, INT16, Array, Segment, Tensor
from compress.ops.unfold import IntUnfold1d, Unfold1d
from compress.ops.windows import (
    IntReframe,
    IntSlidingWindow,
    IntWindowUnfold,
    Reframe,
    SlidingWindow,
    WindowUnfold,
)

FLOAT: tuple[type[FloatOp], ...] = (
    Activation,
    Add,
    AttentionContext,
    AttentionScores,
    BatchNorm,
    Clamp,
    Concat,
    Constant,
    DelayedConcat,
    Dense,
    Depthwise,
    Gather,
    Glu,
    GroupMax,
    GroupMean,
    GruCell,
    Im2Col,
    Integrate,
    Interpolate,
    LayerNorm,
    LogSoftmax,
    LstmCell,
    MaxPool,
    MeanPool,
    Multiply,
    Reframe,
    RmsNorm,
    Slice,
    SlidingWindow,
    Softmax,
    StateSpace,
    Subtract,
    Tile,
    Unfold1d,
    WindowUnfold,
)
INTEGER: tuple[type[IntOp], ...] = (
    IntAdd,
    IntAttentionContext,
    IntAttentionScores,
    IntClamp,
    IntConcat,
    IntConstant,
    IntDelayedConcat,
    IntDense,
    IntDepthwise,
    IntGather,
    IntGlu,
    IntGroupMax,
    IntGroupMean,
    IntGruCell,
    IntIm2Col,
    IntIntegrate,
    IntInterpolate,
    IntLayerNorm,
    IntLogSoftmax,
    IntLstmCell,
    IntLut,
    IntMaxPool,
    IntMeanPool,
    IntMultiply,
    IntReframe,
    IntRmsNorm,
    IntSlice,
    IntSlidingWindow,
    IntSoftmax,
    IntStateSpace,
    IntStep,
    IntSubtract,
    IntTile,
    IntUnfold1d,
    IntWindowUnfold,
)
OPERATORS: dict[str, type[Op]] = {op.code: op for op in (*FLOAT, *INTEGER)}
