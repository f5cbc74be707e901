"""The operators of a stream graph, float and integer: input frames eaten for one output frame,
state kept, MACs.

SPEC.md part 1 says what the integer ones compute, `reference.py` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Op:
    """One operator. `module` is the path in the PyTorch network it came from."""

    inputs: tuple[str, ...]
    output: str
    module: str
    decimation: ClassVar[str | None] = (
        None  # name of the field that says input frames per output frame
    )

    @property
    def is_integer(self) -> bool:
        """Whether this is an integer operator: `IntAdd`, not `Integrate`."""
        name = type(self).__name__
        return name.startswith("Int") and name[3].isupper()

    @property
    def title(self) -> str:
        """Name of the operator, the same for its float and its integer form."""
        return type(self).__name__[3 if self.is_integer else 0 :]

    @property
    def stride(self) -> int | Fraction:
        """Input frames eaten for one output frame; below one where a frame gives several."""
        return int(getattr(self, self.decimation)) if self.decimation else 1

    def out_features(self, features: int) -> int:
        """Features per output frame for `features` per input frame; GraphError-free arithmetic
        only."""
        return features

    def macs(self, features: int) -> int:
        """Multiply-accumulates for one output frame, as `macs.py` reports them."""
        return 0

    def kept_values(self, features: int) -> int:
        """16-bit values of the signal, or given with it, that are kept between frames; a start-up
        leaves them."""
        return 0

    def state_values(self, features: int) -> int:
        """16-bit values of recurrent state kept between frames; it begins from zero with the first
        valid frame."""
        return 0

    def first_valid(self, first: int) -> int:
        """The first output frame made of valid input frames alone, where the input is valid from
        frame `first` on."""
        return int(-(-first // self.stride))


# --- float operators ------------------------------------------------------------------------------


@dataclass(frozen=True)
class MeanPool(Op):
    """Mean of `factor` frames."""

    factor: int
    decimation: ClassVar[str | None] = "factor"


@dataclass(frozen=True)
class MaxPool(Op):
    """Largest value of `factor` frames, feature by feature."""

    factor: int
    decimation: ClassVar[str | None] = "factor"


@dataclass(frozen=True)
class GroupReduce(Op):
    """Something over the copies of each band's features: (bands, copies, n) → (bands, n) in every
    frame."""

    bands: int
    copies: int

    def out_features(self, features: int) -> int:
        return features // self.copies


@dataclass(frozen=True)
class GroupMean(GroupReduce):
    """Mean over the copies of each band's features."""


@dataclass(frozen=True)
class GroupMax(GroupReduce):
    """Largest value over the copies of each band's features."""


@dataclass(frozen=True)
class Unfold1d(Op):
    """The frames that a convolution sees, side by side: y[m] = x[m·s + s − lag − frames … m·s + s −
    lag − 1].

    s is frames_per_output, frames before the first are zero. With frames = 1 it takes one frame of
    each s, or delays the stream by `lag` frames. With several `bands` the frames of each band's
    features lie side by side: (bands, frames, n).
    """

    frames: int
    frames_per_output: int
    lag: int
    bands: int = 1
    decimation: ClassVar[str | None] = "frames_per_output"

    @property
    def history(self) -> int:
        """Frames of earlier steps that the first window of a step reaches back to."""
        return max(0, self.frames + self.lag - self.frames_per_output)

    def out_features(self, features: int) -> int:
        return self.frames * features

    def kept_values(self, features: int) -> int:
        return self.history * features

    def first_valid(self, first: int) -> int:
        return max(0, -(-(first + self.frames + self.lag) // self.frames_per_output) - 1)


@dataclass(frozen=True)
class Dense(Op):
    """Dense layer or convolution. weight (bands, out, kernel, in), bias (bands, out).

    Band b reads features b·in … and writes features b·out …; a dense layer has kernel =
    frames_per_output = 1. Kernels longer or shorter than their stride are a `Unfold1d` and a dense
    layer. `shared` groups of features, each (in,), go through the same weights one by one: a
    convolution whose kernel has one row of the other axis.
    """

    weight: Array
    bias: Array
    frames_per_output: int = 1
    shared: int = 1
    decimation: ClassVar[str | None] = "frames_per_output"

    def out_features(self, features: int) -> int:
        return int(self.shared * self.weight.shape[0] * self.weight.shape[1])

    def macs(self, features: int) -> int:
        return int(self.shared * self.weight.size)


@dataclass(frozen=True)
class BatchNorm(Op):
    """y = x·gain + bias per feature; folded into the convolution before it."""

    gain: Array
    bias: Array


@dataclass(frozen=True)
class LayerNorm(Op):
    """Over the features of each band. gain, bias (bands, n)."""

    gain: Array
    bias: Array
    epsilon: float


@dataclass(frozen=True)
class Activation(Op):
    """kind: relu, leaky_relu (slope 0.01 below zero), gelu, sigmoid or step (1 from zero on, else
    0)."""

    kind: str


@dataclass(frozen=True)
class StateSpace(Op):
    """x[t] = a·x[t−1] + u[t], y[t] = 2·Re Σ c·x[t] + d·u[t]. a, c complex (H, N), d (H,)."""

    a: Array
    c: Array
    d: Array

    def macs(self, features: int) -> int:
        """Complex multiply-add as 4, real part of a product as 2, the skip as 1."""
        return 6 * int(self.a.size) + features

    def state_values(self, features: int) -> int:
        return 2 * int(self.a.size)


@dataclass(frozen=True)
class Glu(Op):
    """First half of the features times the sigmoid of the second half."""

    def out_features(self, features: int) -> int:
        return features // 2


@dataclass(frozen=True)
class Add(Op):
    """Sum of two streams of one rate."""


@dataclass(frozen=True)
class Interpolate(Op):
    """`factor` frames for each: y[factor·k + j] = x[k − 1] + (x[k] − x[k − 1])·j / factor. It looks
    ahead by one frame of x."""

    factor: int

    @property
    def stride(self) -> Fraction:
        return Fraction(1, self.factor)

    def kept_values(self, features: int) -> int:
        return features

    def first_valid(self, first: int) -> int:
        return self.factor * (first + 1)


@dataclass(frozen=True)
class DelayedConcat(Op):
    """x[t], and the frames before of tensors that are made later: y[t] = x[t], a[t − 1], b[t − 1] …
    side by side.

    `previous` names a, b, …, `widths` are their features. Their frame before the first is zero, or
    the pose that a stream begins with where an `Integrate` makes it. What lies between the first
    DelayedConcat of a graph and the last tensor that one names is computed frame by frame
    (`Graph.loop`).
    """

    previous: tuple[str, ...]
    widths: tuple[int, ...]

    def out_features(self, features: int) -> int:
        return features + sum(self.widths)

    def state_values(self, features: int) -> int:
        return sum(-(-width // 2) * 2 for width in self.widths)


@dataclass(frozen=True)
class LstmCell(Op):
    """Gates i, f, g, o, each (n,), to the hidden state: c = σ(f)·c + σ(i)·tanh(g), y =
    σ(o)·tanh(c). PyTorch's order of gates."""

    def out_features(self, features: int) -> int:
        return features // 4

    def state_values(self, features: int) -> int:
        return 2 * (features // 4)


@dataclass(frozen=True)
class Integrate(Op):
    """Velocity per frame to pose: y[t] = y[t − 1] + x[t], from the pose a stream begins with (zero
    if none is given).

    With `position_steps` a frame of x holds a pose and a velocity, and the first so many valid
    frames give the pose itself.
    """

    position_steps: int = 0

    def out_features(self, features: int) -> int:
        return features // 2 if self.position_steps else features

    def kept_values(self, features: int) -> int:
        return -(-self.out_features(features) // 2) * 2

    def state_values(self, features: int) -> int:
        return 2 * self.out_features(features) + 2  # 32-bit sums, and the count of frames


@dataclass(frozen=True)
class Im2Col(Op):
    """What a convolution over frames and columns sees of one step, padded with zeros so that it
    gives as many of both.

    x (frames, width, n) → y (frames, width, kernel_frames, kernel_columns, n). Every step is a
    window of its own, `frames` of x long: nothing is seen of what comes before and after it. As
    PyTorch's padding="same", the larger half of it comes last. With `factor` and `copies` it sees x
    enlarged as by a `Tile`: y (frames·factor, width·copies, …).
    """

    frames: int
    width: int
    kernel_frames: int
    kernel_columns: int
    factor: int = 1
    copies: int = 1

    @property
    def stride(self) -> Fraction:
        return Fraction(1, self.factor)

    def out_features(self, features: int) -> int:
        return features * self.copies * self.kernel_frames * self.kernel_columns

    def first_valid(self, first: int) -> int:
        return self.factor * first


@dataclass(frozen=True)
class Tile(Op):
    """Nearest-neighbour upsampling: each frame `factor` times, in it each of `width` columns
    `copies` times."""

    factor: int
    width: int
    copies: int

    @property
    def stride(self) -> Fraction:
        return Fraction(1, self.factor)

    def out_features(self, features: int) -> int:
        return features * self.copies

    def first_valid(self, first: int) -> int:
        return self.factor * first


@dataclass(frozen=True)
class LogSoftmax(Op):
    """Over the features."""


# --- integer operators, defined in SPEC.md part 1 -------------------------------------------------


@dataclass(frozen=True)
class IntMeanPool(Op):
    factor: int
    mult: int
    shift: int
    decimation: ClassVar[str | None] = "factor"


@dataclass(frozen=True)
class IntMaxPool(MaxPool):
    """Output scale = input scale."""


@dataclass(frozen=True)
class IntGroupMean(GroupReduce):
    mult: int
    shift: int


@dataclass(frozen=True)
class IntGroupMax(GroupReduce):
    """Output scale = input scale."""


@dataclass(frozen=True)
class IntUnfold1d(Unfold1d):
    """Output scale = input scale."""


@dataclass(frozen=True)
class IntStep(Op):
    """`high` from zero on, else 0."""

    high: int


@dataclass(frozen=True)
class IntDense(Op):
    """weight int8 (bands, out, kernel, in), bias and mult int32 (bands, out).

    weight_bits: 8 (−127…127), or 4 (−7…7; stored two to a byte where it is exported as C). shared:
    as `Dense`.
    """

    weight: Array
    bias: Array
    mult: Array
    shift: int
    frames_per_output: int = 1
    weight_bits: int = 8
    shared: int = 1
    decimation: ClassVar[str | None] = "frames_per_output"

    out_features = Dense.out_features
    macs = Dense.macs


@dataclass(frozen=True)
class IntLayerNorm(Op):
    """gain, bias int32 (bands, n), epsilon uint64 in units of n³·scale²."""

    gain: Array
    bias: Array
    epsilon: int


@dataclass(frozen=True)
class IntLut(Op):
    """table int16 (257,)."""

    table: Array


@dataclass(frozen=True)
class IntStateSpace(Op):
    """a, c int16 (H, N, 2); g, d, mult int32 (H,)."""

    a: Array
    c: Array
    g: Array
    d: Array
    mult: Array
    shift: int

    def macs(self, features: int) -> int:
        return 6 * int(self.a.shape[0] * self.a.shape[1]) + features

    def state_values(self, features: int) -> int:
        return int(self.a.size)


@dataclass(frozen=True)
class IntGlu(Op):
    """table int16 (257,): the sigmoid in Q15."""

    table: Array

    out_features = Glu.out_features


@dataclass(frozen=True)
class IntAdd(Op):
    pass


@dataclass(frozen=True)
class IntInterpolate(Interpolate):
    """factor 1, 2, 4, … 256; output scale = input scale."""


@dataclass(frozen=True)
class IntDelayedConcat(DelayedConcat):
    """All have one scale."""


@dataclass(frozen=True)
class IntLstmCell(LstmCell):
    """sigmoid, tanh int16 (257,) in Q15: of gates i, f, o, and of g and the cell. Cell in steps of
    2⁻²⁴."""

    sigmoid: Array
    tanh: Array
    mult: int


@dataclass(frozen=True)
class IntIntegrate(Integrate):
    """One step of a pose is 2^`fraction` steps of a velocity, 0 ≤ fraction ≤ 14."""

    fraction: int = 0


@dataclass(frozen=True)
class IntIm2Col(Im2Col):
    """Output scale = input scale."""


@dataclass(frozen=True)
class IntTile(Tile):
    """Output scale = input scale."""


@dataclass(frozen=True)
class IntLogSoftmax(Op):
    """Output in steps of 2^−fraction nats."""

    mult: int
    shift: int
    fraction: int


OPERATORS: dict[str, type[Op]] = {
    c.__name__: c
    for c in (
        MeanPool,
        MaxPool,
        GroupMean,
        GroupMax,
        Unfold1d,
        Dense,
        BatchNorm,
        LayerNorm,
        Activation,
        StateSpace,
        Glu,
        Add,
        LogSoftmax,
        Interpolate,
        DelayedConcat,
        LstmCell,
        Integrate,
        Im2Col,
        Tile,
        IntMeanPool,
        IntMaxPool,
        IntGroupMean,
        IntGroupMax,
        IntUnfold1d,
        IntStep,
        IntDense,
        IntLayerNorm,
        IntLut,
        IntStateSpace,
        IntGlu,
        IntAdd,
        IntLogSoftmax,
        IntInterpolate,
        IntDelayedConcat,
        IntLstmCell,
        IntIntegrate,
        IntIm2Col,
        IntTile,
    )
}
