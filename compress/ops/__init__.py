"""The one table of all operators. To add one: a file here, a line in it, and answers in the tables
of the export formats (`export/*/ops.py`), which tests/compress/test_operators.py demands."""

from __future__ import annotations

from compress.ops.activation import Activation, IntLut, IntStep
from compress.ops.add import Add, IntAdd
from compress.ops.base import Bound, FloatOp, IntOp, Memory, Op
from compress.ops.delayed_concat import DelayedConcat, IntDelayedConcat
from compress.ops.dense import WEIGHT_BITS, BatchNorm, Dense, IntDense
from compress.ops.glu import Glu, IntGlu
from compress.ops.gru import GruCell, IntGruCell
from compress.ops.image import Im2Col, IntIm2Col, IntTile, Tile
from compress.ops.integrate import Integrate, IntIntegrate
from compress.ops.interpolate import Interpolate, IntInterpolate
from compress.ops.log_softmax import IntLogSoftmax, LogSoftmax
from compress.ops.lstm import IntLstmCell, LstmCell
from compress.ops.norm import IntLayerNorm, LayerNorm
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
from compress.ops.state_space import IntStateSpace, StateSpace
from compress.ops.tensor import INT8, INT16, Array, Segment, Tensor
from compress.ops.unfold import IntUnfold1d, Unfold1d

FLOAT: tuple[type[FloatOp], ...] = (
    Activation,
    Add,
    BatchNorm,
    DelayedConcat,
    Dense,
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
    Slice,
    StateSpace,
    Tile,
    Unfold1d,
)
INTEGER: tuple[type[IntOp], ...] = (
    IntAdd,
    IntDelayedConcat,
    IntDense,
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
    IntSlice,
    IntStateSpace,
    IntStep,
    IntTile,
    IntUnfold1d,
)
OPERATORS: dict[str, type[Op]] = {op.code: op for op in (*FLOAT, *INTEGER)}
