"""What every operator has: one record says what it computes, how it is quantized, what it costs.

An operator is a class with its fields; most come in two forms, float and integer, in one file.
Executors, calibration, the quantizer, the verifier and the counters hold no list of operators:
they ask the record. `compress/ops/__init__.py` is the one table of them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from compress.errors import GraphError
from compress.ops.tensor import INT16, Array, Segment, Tensor

if TYPE_CHECKING:
    from compress.quantization.calibrate import Ranges
    from compress.quantization.scales import Plan

INT32 = 2**31


def later(default: Any) -> Any:
    """A field that operators were given later: files and hashes hold it only where it says more
    than its default, so that older graphs keep theirs."""
    return field(default=default, kw_only=True, metadata={"later": True})


@dataclass
class Memory:
    """What one operator of one interpreter keeps between chunks, and what it may ask for.

    `kept`: values of the signal itself, which a start-up leaves. `state`: recurrent values, which
    begin from nothing with the first valid frame. `derived`: constants made from the fields once.
    `watch`: None, or is told the largest magnitude of each state (float, for calibration).
    `recall`: the newest frame (batch, 1, features) of a tensor that is made later in the loop, or
    None before the first.
    """

    batch: int
    target: Tensor
    initial: Mapping[str, Array] = field(default_factory=dict)
    kept: dict[str, Array] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    derived: dict[str, Any] = field(default_factory=dict)
    watch: Callable[[Array], None] | None = None
    recall: Callable[[str], Array | None] = lambda _: None


@dataclass(frozen=True)
class Bound:
    """Largest magnitude that one 32-bit sum can reach, over all inputs and states."""

    module: str
    largest: int

    @property
    def safe(self) -> bool:
        return self.largest < INT32


@dataclass(frozen=True)
class Op:
    """One operator. `module` is the path in the PyTorch network it came from.

    Class variables are its traits. They are data on the record, so that no list of operators is
    needed anywhere: what asks for a trait works for every operator to come.
    """

    inputs: tuple[str, ...]
    output: str
    module: str

    code: ClassVar[str] = ""  # its name in graph files; independent of the name of the class
    is_integer: ClassVar[bool] = False
    name_fields: ClassVar[tuple[str, ...]] = ("inputs", "output")  # fields that name tensors
    decimation: ClassVar[str | None] = None  # name of the field: input frames per output frame
    copies_values: ClassVar[bool] = False  # its output holds values of its input, or between
    sums: ClassVar[bool] = False  # adds or joins tensors, which need one scale for that
    keeps_scale: ClassVar[bool] = False  # its output has the scale of its input's first part
    clamps: ClassVar[bool] = False  # its integers end with a clamp to any lo…hi: takes in a ReLU
    multiplies: ClassVar[bool] = False  # a matrix: its input may have eight bits
    recurrent: ClassVar[bool] = False  # its state begins with the first valid frame
    across_frames: ClassVar[bool] = False  # cannot be computed frame by frame
    whole_window: ClassVar[bool] = False  # each step is a window of its own
    makes_windows: ClassVar[bool] = False  # every step after it is a window of its own
    folds: ClassVar[bool] = False  # is multiplied into the operator before it, and never run
    delayed: ClassVar[bool] = False  # reads the frame before of tensors that are made later
    groups_frames: ClassVar[bool] = True  # frames are taken in groups, the first from frame 0
    unseen_macs: ClassVar[bool] = False  # general tools count no MACs for it: listed apart
    gives: ClassVar[str] = ""  # what its output is called where it is a network's ("log_probs")

    @property
    def title(self) -> str:
        """Name of the operator, the same for its float and its integer form."""
        return type(self).__name__.removeprefix("Int" if self.is_integer else "")

    # --- shape and time ------------------------------------------------------------------------

    @property
    def stride(self) -> int | Fraction:
        """Input frames eaten for one output frame; below one where a frame gives several."""
        return int(getattr(self, self.decimation)) if self.decimation else 1

    def out_features(self, features: int) -> int:
        """Features per output frame for `features` per input frame; no error, arithmetic only."""
        return features

    def first_valid(self, first: int) -> int:
        """The first output frame made of valid input frames alone, where the input is valid from
        frame `first` on."""
        return int(-(-first // self.stride))

    @property
    def context(self) -> int:
        """Input frames before the newest one that an output frame is made of, state aside."""
        return max(int(self.stride), 1) - 1

    @property
    def reach(self) -> int:
        """Input frames from the oldest that an output frame is made of to the newest that has
        come by then, what is fed back aside: `context`, and frames that it is late."""
        return self.context

    # --- cost ----------------------------------------------------------------------------------

    def macs(self, features: int) -> int:
        """Multiply-accumulates for one output frame, as `graph/macs.py` reports them."""
        return 0

    def kept_values(self, features: int) -> int:
        """16-bit values of the signal, or given with it, that are kept between frames; a start-up
        leaves them."""
        return 0

    def state_values(self, features: int) -> int:
        """16-bit values of recurrent state kept between frames; it begins from zero with the first
        valid frame."""
        return 0

    @property
    def limits(self) -> tuple[float, float] | None:
        """Real limits lo ≤ 0 < hi of an operator that only clamps, which the clamp of the operator
        before it can do as well; None of any other."""
        return None

    def work(self, features: int) -> tuple[str, int]:
        """What a cost model charges by for one output frame of `features` values: the kind of
        work ("value", "norm", "table", "cell", "state", "matrix"), and how much of it."""
        return "value", features

    # --- references to other tensors than the inputs -------------------------------------------

    @property
    def previous_names(self) -> tuple[str, ...]:
        """Tensors made later whose frame before it reads."""
        return ()

    @property
    def initial_names(self) -> tuple[str, ...]:
        """Named extra inputs of the graph that a stream begins with."""
        return ()

    def folded_into(self, before: Op) -> Op:
        """The operator before it with this one in it; GraphError where that cannot be."""
        raise GraphError(f"{self.module}: {type(self).__name__} does not fold")

    # --- meaning -------------------------------------------------------------------------------

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """Inputs (batch, time, features) -> output (batch, time / stride, features): what the
        operator means, in float64 or in integers (int64 arrays of int16 values)."""
        raise GraphError(f"{self.module}: {type(self).__name__} is not for running")

    def recalled(self, memory: Memory) -> Array | None:
        """What a `DelayedConcat` reads of it as the frame before (batch, 1, features), where that
        is more than the newest output (which it has not before the first frame)."""
        return None

    # --- checks --------------------------------------------------------------------------------

    def made_by(self, makers: list[Op | None]) -> Iterator[str]:
        """What is wrong with the operators that make its inputs (None: they are the graph's), in
        words, where it relies on what they promise."""
        yield from ()

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        """What does not fit in its fields and shapes, in words; `sources`: all its inputs."""
        if any(s.features != sources[0].features for s in sources):
            yield f"inputs differ in features: {[s.features for s in sources]}"
        for f in fields(self):
            value = getattr(self, f.name)
            array = isinstance(value, np.ndarray) and value.dtype.kind in "fc"
            if (array or isinstance(value, float)) and not np.isfinite(value).all():
                yield f"{f.name} holds NaN or infinite values"


class FloatOp(Op):
    """The float form: what the integers approximate, and the rule that makes them."""

    def parts(self, features: int) -> tuple[int, ...]:
        """How its input's features fall into segments that may have scales of their own."""
        return (features,)

    def see(self, x: Array, ranges: Ranges) -> None:
        """Let calibration note what this operator's rule needs to know of its input x (1, time,
        features) besides its range."""

    def wants(self, plan: Plan, source: Tensor) -> tuple[Segment, ...] | None:
        """Segments that the input must have for the integer form, or None where any will do."""
        return None

    def offers(self, plan: Plan, peak: float) -> float | None:
        """The scale of its output, where the operator itself decides it; `peak`: largest
        magnitude seen."""
        return None

    def quantize(self, plan: Plan) -> Op:
        """The integer form, in the scales of the plan; GraphError where there is none."""
        raise GraphError(f"{self.module}: no integer form of {type(self).__name__}")


class IntOp(Op):
    """The integer form: its meaning is the one definition that C must equal bit for bit."""

    is_integer: ClassVar[bool] = True

    def bounds(self, source: Tensor) -> list[Bound]:
        """One bound for each of its 32-bit sums, from the stored integers alone."""
        return []

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        """What is wrong between its integers and the scales around it, in words: the proof that a
        graph's scales are its own."""
        if not (self.clamps or self.copies_values) and (target.lo, target.hi) != INT16:
            yield f"does not clamp: expected the range of int16, found {target.lo}…{target.hi}"


def holds(op: Op, shape: tuple[int, ...], kinds: str, *names: str) -> Iterator[str]:
    """What is wrong with array fields that all have this shape; `kinds`: of NumPy's dtype, "i" for
    integers, "f" for floats."""
    for name in names:
        value = np.asarray(getattr(op, name))
        if value.shape != shape or value.dtype.kind not in kinds:
            what = "integers" if kinds == "i" else "numbers"
            yield f"expected {name} as {what} {shape}, found {value.dtype} {value.shape}"


def within(what: str, value: int, least: int, most: int) -> Iterator[str]:
    """What is wrong with a field that a kernel takes only within limits."""
    if not least <= value <= most:
        yield f"expected {what} in {least}…{most}, found {value}"


def same_segments(source: Tensor, target: Tensor) -> Iterator[str]:
    """What differs between two tensors that hold the same values, feature by feature apart."""
    if not same_scale(source.segments, target.segments):
        yield f"expected the scales of its input {spell(source)}, found {spell(target)}"


def same_scale(a: tuple[Segment, ...], b: tuple[Segment, ...]) -> bool:
    """Whether both have one scale and range throughout, and the same."""
    kinds = {(s.scale, s.lo, s.hi) for s in (*a, *b)}
    return len(kinds) == 1


def spell(tensor: Tensor) -> str:
    """The scales of a tensor for a message."""
    return ", ".join(f"{s.features} × {s.scale:.6g} ({s.lo}…{s.hi})" for s in tensor.segments)
