"""The network as a stream machine: a list of operators over tensors that each have a rate.

Every operator says how many input frames it eats for one output frame and what state it keeps: so one graph gives MACs,
state bytes, latency and the step function. A graph is either float (`Conv`, `LayerNorm`, …) or integer (`IntLinear`, …);
passes turn one into the other and call `verify()` when they are done. `reference.py` says what the integer operators compute.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from compress.errors import GraphError
from compress.files import replace_atomically

FORMAT_VERSION = 2
Array = npt.NDArray[Any]
INT16 = (-32768, 32767)
INT8 = (-128, 127)
WEIGHT_BITS = (4, 8)


@dataclass(frozen=True)
class Tensor:
    """A stream: `features` values per frame, `rate` frames per second of signal.

    `scale` (real value of one integer step) and `lo…hi` are set on quantized tensors.
    """

    name: str
    features: int
    rate: Fraction
    scale: float | None = None
    lo: int = INT16[0]
    hi: int = INT16[1]


@dataclass(frozen=True)
class Op:
    """One operator. `module` is the path in the PyTorch network it came from."""

    inputs: tuple[str, ...]
    output: str
    module: str
    decimation: ClassVar[str | None] = None  # name of the field that says input frames per output frame

    @property
    def stride(self) -> int:
        """Input frames eaten for one output frame."""
        return int(getattr(self, self.decimation)) if self.decimation else 1

    def out_features(self, features: int) -> int:
        """Features per output frame for `features` per input frame; GraphError-free arithmetic only."""
        return features

    def macs(self, features: int) -> int:
        """Multiply-accumulates for one output frame, as `macs.py` reports them."""
        return 0

    def state_values(self, features: int) -> int:
        """16-bit values of state kept between frames."""
        return 0

    def first_valid(self, first: int) -> int:
        """The first output frame made of valid input frames alone, where the input is valid from frame `first` on."""
        return -(-first // self.stride)


# --- float operators ---------------------------------------------------------------------------------------------


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
class OverCopies(Op):
    """Something over the copies of each band's features: (bands, copies, n) → (bands, n) in every frame."""

    bands: int
    copies: int

    def out_features(self, features: int) -> int:
        return features // self.copies


@dataclass(frozen=True)
class MeanOver(OverCopies):
    """Mean over the copies of each band's features."""


@dataclass(frozen=True)
class MaxOver(OverCopies):
    """Largest value over the copies of each band's features."""


@dataclass(frozen=True)
class Window(Op):
    """The frames that a convolution sees, side by side: y[m] = x[m·s + s − lag − frames … m·s + s − lag − 1].

    s is frames_per_output, frames before the first are zero. With frames = 1 it takes one frame of each s, or delays the
    stream by `lag` frames.
    """

    frames: int
    frames_per_output: int
    lag: int
    decimation: ClassVar[str | None] = "frames_per_output"

    @property
    def history(self) -> int:
        """Frames of earlier steps that the first window of a step reaches back to."""
        return max(0, self.frames + self.lag - self.frames_per_output)

    def out_features(self, features: int) -> int:
        return self.frames * features

    def state_values(self, features: int) -> int:
        return self.history * features

    def first_valid(self, first: int) -> int:
        return max(0, -(-(first + self.frames + self.lag) // self.frames_per_output) - 1)


@dataclass(frozen=True)
class Conv(Op):
    """Dense layer or convolution. weight (bands, out, kernel, in), bias (bands, out).

    Band b reads features b·in … and writes features b·out …; a dense layer has kernel = frames_per_output = 1. Kernels longer or
    shorter than their stride are a `Window` and a dense layer.
    """

    weight: Array
    bias: Array
    frames_per_output: int = 1
    decimation: ClassVar[str | None] = "frames_per_output"

    def out_features(self, features: int) -> int:
        return int(self.weight.shape[0] * self.weight.shape[1])

    def macs(self, features: int) -> int:
        return int(self.weight.size)


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
    """kind: relu, gelu, sigmoid or step (1 from zero on, else 0)."""

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
class LogSoftmax(Op):
    """Over the features."""


# --- integer operators, defined in SPEC.md part 1 ------------------------------------------------------------------


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
class IntMeanOver(OverCopies):
    mult: int
    shift: int


@dataclass(frozen=True)
class IntMaxOver(OverCopies):
    """Output scale = input scale."""


@dataclass(frozen=True)
class IntWindow(Window):
    """Output scale = input scale."""


@dataclass(frozen=True)
class IntStep(Op):
    """`high` from zero on, else 0."""

    high: int


@dataclass(frozen=True)
class IntLinear(Op):
    """weight int8 (bands, out, kernel, in), bias and mult int32 (bands, out).

    weight_bits: 8 (−127…127), or 4 (−7…7; stored two to a byte where it is exported as C).
    """

    weight: Array
    bias: Array
    mult: Array
    shift: int
    frames_per_output: int = 1
    weight_bits: int = 8
    decimation: ClassVar[str | None] = "frames_per_output"

    out_features = Conv.out_features
    macs = Conv.macs


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
class IntLogSoftmax(Op):
    """Output in steps of 2^−fraction nats."""

    mult: int
    shift: int
    fraction: int


OPERATORS: dict[str, type[Op]] = {
    c.__name__: c
    for c in (
        MeanPool, MaxPool, MeanOver, MaxOver, Window, Conv, BatchNorm, LayerNorm, Activation, StateSpace, Glu, Add, LogSoftmax,
        IntMeanPool, IntMaxPool, IntMeanOver, IntMaxOver, IntWindow, IntStep, IntLinear, IntLayerNorm, IntLut,
        IntStateSpace, IntGlu, IntAdd, IntLogSoftmax,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """Operators in execution order. The first tensor is the input, the last operator's output is the output."""

    name: str
    tensors: dict[str, Tensor]
    ops: tuple[Op, ...]
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def input(self) -> Tensor:
        return next(iter(self.tensors.values()))

    @property
    def output(self) -> Tensor:
        return self.tensors[self.ops[-1].output]

    @property
    def samples_per_step(self) -> int:
        """Input frames for one output frame."""
        return int(self.input.rate / self.output.rate)

    def is_integer(self) -> bool:
        return all(type(op).__name__.startswith("Int") for op in self.ops)

    def frames_per_step(self, name: str) -> int:
        """Frames of this tensor in one step of the network."""
        return int(self.tensors[name].rate / self.output.rate)

    @property
    def start_up(self) -> int:
        """Output frames of a stream before the first that a whole-sequence forward has: their windows reach before its start."""
        return first_valid_frames(self)[self.output.name]

    def hash(self) -> str:
        """SHA-256 over everything that decides what the graph computes (not where it came from)."""
        digest = hashlib.sha256()
        header, arrays = _describe(dataclasses.replace(self, provenance={}))
        digest.update(json.dumps(header, sort_keys=True).encode())
        for key in sorted(arrays):
            value = np.ascontiguousarray(arrays[key])
            digest.update(f"{key}{value.dtype.str}{value.shape}".encode())
            digest.update(value.tobytes())
        return digest.hexdigest()


def first_valid_frames(graph: Graph) -> dict[str, int]:
    """The first frame of each tensor that is made of frames of the stream alone."""
    first = {graph.input.name: 0}
    for op in graph.ops:
        first[op.output] = op.first_valid(max(first[name] for name in op.inputs))
    return first


def verify(graph: Graph) -> Graph:
    """Check shapes, rates and ranges of the whole graph; returns it so that passes can end with it."""
    seen = {graph.input.name}
    if not graph.ops:
        raise GraphError(f"{graph.name}: expected at least one operator, found none")
    for op in graph.ops:
        _verify_op(graph, op, seen)
        seen.add(op.output)
    if (graph.input.rate / graph.output.rate).denominator != 1:
        raise GraphError(f"{graph.name}: the output rate {graph.output.rate} does not divide the input rate {graph.input.rate}")
    _verify_start(graph)
    return graph


def _verify_start(graph: Graph) -> None:
    """Whatever groups frames begins with the first valid frame, and so do state spaces, together, at the begin of a step."""
    first = first_valid_frames(graph)
    for op in graph.ops:
        begin, where = first[op.inputs[0]], f"{op.module or graph.name}: {type(op).__name__}"
        if not isinstance(op, Window) and begin % op.stride:
            raise GraphError(
                f"{where}: groups of {op.stride} frames cannot begin with frame {begin}; expected a Window before it"
            )
        if isinstance(op, StateSpace | IntStateSpace) and begin != graph.start_up * graph.frames_per_step(op.inputs[0]):
            raise GraphError(f"{where}: expected its first valid frame at the begin of step {graph.start_up}, found {begin}")


def _verify_op(graph: Graph, op: Op, seen: set[str]) -> None:
    where = f"{op.module or graph.name}: {type(op).__name__}"
    unknown = [name for name in op.inputs if name not in seen]
    if unknown or op.output in seen or op.output not in graph.tensors:
        raise GraphError(f"{where}: expected inputs computed before and a new output, found {op.inputs} -> {op.output}")
    sources, target = [graph.tensors[name] for name in op.inputs], graph.tensors[op.output]
    if any(s.rate != sources[0].rate or s.features != sources[0].features for s in sources):
        raise GraphError(f"{where}: inputs differ in rate or features: {sources}")
    if target.rate != sources[0].rate / op.stride:
        raise GraphError(f"{where}: expected rate {sources[0].rate / op.stride}, found {target.rate}")
    if target.features != op.out_features(sources[0].features):
        raise GraphError(f"{where}: expected {op.out_features(sources[0].features)} features, found {target.features}")
    if isinstance(op, Conv | IntLinear) and op.weight.shape[0] * op.weight.shape[3] != sources[0].features:
        raise GraphError(f"{where}: weight {op.weight.shape} does not fit {sources[0].features} input features")
    if isinstance(op, Conv | IntLinear) and op.weight.shape[2] != op.frames_per_output:
        found = f"a kernel of {op.weight.shape[2]} frames with stride {op.frames_per_output}"
        raise GraphError(f"{where}: {found}; expected a Window that gathers its frames")
    if isinstance(op, Window) and (op.frames < 1 or op.frames_per_output < 1 or op.lag < 0):
        raise GraphError(f"{where}: expected frames and stride of 1 or more and no negative lag, found {op}")
    if isinstance(op, OverCopies) and sources[0].features % (op.bands * op.copies):
        raise GraphError(f"{where}: {op.bands} bands of {op.copies} copies do not divide {sources[0].features} features")
    if isinstance(op, IntLinear):
        _verify_weights(op, where)
    for f in fields(op):
        value = getattr(op, f.name)
        if isinstance(value, np.ndarray) and value.dtype.kind in "fc" and not np.isfinite(value).all():
            raise GraphError(f"{where}: {f.name} holds NaN or infinite values")
    if type(op).__name__.startswith("Int") and target.scale is None:
        raise GraphError(f"{where}: the output of an integer operator needs a scale")


def _verify_weights(op: IntLinear, where: str) -> None:
    if op.weight_bits not in WEIGHT_BITS or op.weight.dtype != np.int8:
        raise GraphError(f"{where}: expected int8 weights of 4 or 8 bits, found {op.weight.dtype} of {op.weight_bits}")
    limit = 2 ** (op.weight_bits - 1) - 1
    if op.weight.size and np.abs(op.weight.astype(np.int64)).max() > limit:
        raise GraphError(f"{where}: expected weights in −{limit}…{limit}, found {op.weight.min()}…{op.weight.max()}")


# --- the graph file (SPEC.md part 2) ---------------------------------------------------------------------------------


def _describe(graph: Graph) -> tuple[dict[str, Any], dict[str, Array]]:
    arrays: dict[str, Array] = {}
    ops = []
    for index, op in enumerate(graph.ops):
        entry: dict[str, Any] = {"op": type(op).__name__}
        for f in fields(op):
            value = getattr(op, f.name)
            if isinstance(value, np.ndarray):
                arrays[f"{index}.{f.name}"] = value
            else:
                entry[f.name] = value
        ops.append(entry)
    tensors = [dataclasses.asdict(t) | {"rate": str(t.rate)} for t in graph.tensors.values()]
    header = {"version": FORMAT_VERSION, "name": graph.name, "tensors": tensors, "ops": ops, "provenance": graph.provenance}
    return header, arrays


def save(graph: Graph, path: Path) -> None:
    """Write the graph file atomically; the same graph gives the same bytes."""
    header, arrays = _describe(graph)
    header["hash"] = graph.hash()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("graph.json"), json.dumps(header, indent=1, sort_keys=True))
        for key in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[key]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), buffer.getvalue())
    replace_atomically(path, content.getvalue())


def load(path: Path) -> Graph:
    """Read a graph file and verify it; GraphError when it is damaged, of another version or does not match its own hash."""
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("graph.json"))
            if header.get("version") != FORMAT_VERSION:
                raise GraphError(
                    f"{path}: expected graph version {FORMAT_VERSION}, found {header.get('version')}; quantize again"
                )
            graph = _rebuild(header, archive)
    except FileNotFoundError as error:
        raise GraphError(f"{path}: no such graph; run `make quantize` first") from error
    except GraphError:
        raise
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise GraphError(f"{path}: damaged graph file ({type(error).__name__}: {error}); quantize again") from error
    if graph.hash() != header["hash"]:
        raise GraphError(
            f"{path}: content hash {graph.hash()[:12]} differs from the recorded {str(header['hash'])[:12]}; quantize again"
        )
    return verify(graph)


def _rebuild(header: dict[str, Any], archive: zipfile.ZipFile) -> Graph:
    tensors = {t["name"]: Tensor(**(t | {"rate": Fraction(t["rate"])})) for t in header["tensors"]}
    ops = []
    for index, entry in enumerate(header["ops"]):
        kind = OPERATORS[entry.pop("op")]
        entry["inputs"] = tuple(entry["inputs"])
        for f in fields(kind):
            if f.name not in entry:
                with archive.open(f"{index}.{f.name}.npy") as file:
                    entry[f.name] = np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
        ops.append(kind(**entry))
    return Graph(header["name"], tensors, tuple(ops), header["provenance"])
