"""The network as a stream machine: a list of operators over tensors that each have a rate.

Every operator (`operators.py`) says how many input frames it eats for one output frame and what
state it keeps: so one graph gives MACs, state bytes, latency and the step function. A graph is
either float (`Dense`, `LayerNorm`, …) or integer (`IntDense`, …); passes turn one into the other
and call `verify()` when they are done. `reference.py` says what the integer operators compute.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import zipfile
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import GraphError
from compress.files import replace_atomically
from compress.ops import (  # noqa: F401  a graph is spoken of in its operators: g.Dense
    OPERATORS,
    Activation,
    Add,
    Array,
    BatchNorm,
    DelayedConcat,
    Dense,
    Glu,
    GroupMax,
    GroupMean,
    GroupReduce,
    Im2Col,
    IntAdd,
    IntDelayedConcat,
    IntDense,
    Integrate,
    Interpolate,
    IntGlu,
    IntGroupMax,
    IntGroupMean,
    IntIm2Col,
    IntIntegrate,
    IntInterpolate,
    IntLayerNorm,
    IntLogSoftmax,
    IntLstmCell,
    IntLut,
    IntMaxPool,
    IntMeanPool,
    IntStateSpace,
    IntStep,
    IntTile,
    IntUnfold1d,
    LayerNorm,
    LogSoftmax,
    LstmCell,
    MaxPool,
    MeanPool,
    Op,
    StateSpace,
    Tile,
    Unfold1d,
)

FORMAT_VERSION = 3
INT16 = (-32768, 32767)
INT8 = (-128, 127)
WEIGHT_BITS = (4, 8)
RECURRENT = (
    StateSpace,
    IntStateSpace,
    LstmCell,
    Integrate,
    DelayedConcat,
)  # state that begins with the first valid frame
ACROSS_FRAMES = (Unfold1d, Interpolate, Im2Col, Tile)  # cannot be computed frame by frame


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
class Graph:
    """Operators in execution order. The first tensor is the input, the last operator's output is
    the output.

    `chunk`: output frames that are computed together, in one step; what is computed, and so the
    hash, does not depend on it. 0 stands for as few as there can be.
    """

    name: str
    tensors: dict[str, Tensor]
    ops: tuple[Op, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    chunk: int = 0

    def __post_init__(self) -> None:
        if not self.chunk and self.ops:
            object.__setattr__(self, "chunk", self.shortest_chunk)

    @property
    def input(self) -> Tensor:
        return next(iter(self.tensors.values()))

    @property
    def output(self) -> Tensor:
        return self.tensors[self.ops[-1].output]

    @property
    def samples_per_step(self) -> int:
        """Input frames for the output frames of one step."""
        return self.chunk * int(self.input.rate / self.output.rate)

    @property
    def shortest_chunk(self) -> int:
        """Output frames for which every tensor has whole frames, and a network over windows one
        window."""
        per_output = [tensor.rate / self.output.rate for tensor in self.tensors.values()]
        windows = [
            int(op.frames * self.output.rate / self.tensors[op.inputs[0]].rate)
            for op in self.ops
            if isinstance(op, Im2Col)
        ]
        return math.lcm(*(rate.denominator for rate in per_output), *windows)

    @property
    def stretchable(self) -> bool:
        """Whether a step may hold more output frames than it must: not while a start-up is counted,
        and not over windows."""
        return not self.start_up and not self.windowed

    @property
    def windowed(self) -> bool:
        """Whether each step is a window of its own."""
        return any(isinstance(op, Im2Col) for op in self.ops)

    @property
    def loop(self) -> range:
        """The operators that are computed frame by frame, since the first of them needs what the
        last makes; empty without."""
        made = {op.output: index for index, op in enumerate(self.ops)}
        joins = [(index, op) for index, op in enumerate(self.ops) if isinstance(op, DelayedConcat)]
        ends = [made[name] for _, op in joins for name in op.previous if name in made]
        return range(joins[0][0], max(ends) + 1) if ends else range(0)

    def is_integer(self) -> bool:
        return all(op.is_integer for op in self.ops)

    def frames_per_step(self, name: str) -> int:
        """Frames of this tensor in one step of the network."""
        return int(self.chunk * self.tensors[name].rate / self.output.rate)

    def frames_at_once(self, op: Op) -> int:
        """Output frames of an operator that are computed before the next operator: one in the loop,
        else those of a step."""
        return 1 if self.ops.index(op) in self.loop else self.frames_per_step(op.output)

    @property
    def start_up(self) -> int:
        """Output frames of a stream before the first that a whole-sequence forward has: their
        windows reach before its start."""
        return first_valid_frames(self)[self.output.name]

    @property
    def start_up_steps(self) -> int:
        """The same in steps."""
        return -(-self.start_up // self.chunk)

    @property
    def left_context(self) -> int:
        """Samples before the newest one that an output of a whole-sequence forward is made of,
        recurrent state aside; 0 over windows, whose outputs belong to all of their samples."""
        if self.windowed:
            return 0
        context, jump = 0, 1
        for op in self.ops:
            if isinstance(op, Unfold1d):
                context += (op.frames - 1) * jump
            elif op.stride > 1:
                context += (int(op.stride) - 1) * jump
            jump = jump * int(op.stride) if op.stride >= 1 else jump
        return context

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


def in_chunks(graph: Graph, frames: int) -> Graph:
    """The same network, `frames` output frames a step. GraphError where it has a start-up, which is
    counted in shortest steps."""
    shortest = graph.shortest_chunk
    if frames < 1 or frames % shortest or (frames > shortest and not graph.stretchable):
        most = (
            "or a multiple of it"
            if graph.stretchable
            else "since it has a start-up or works over windows"
        )
        raise GraphError(
            f"{graph.name}: expected {shortest} output frames a step, {most}; found {frames}"
        )
    return dataclasses.replace(graph, chunk=frames)


def first_valid_frames(graph: Graph) -> dict[str, int]:
    """The first frame of each tensor that is made of frames of the stream alone."""
    first = {graph.input.name: 0}
    for op in graph.ops:
        first[op.output] = op.first_valid(max(first[name] for name in op.inputs))
    return first


def verify(graph: Graph) -> Graph:
    """Check shapes, rates and ranges of the whole graph; returns it so that passes can end with
    it."""
    seen = {graph.input.name}
    if not graph.ops:
        raise GraphError(f"{graph.name}: expected at least one operator, found none")
    for op in graph.ops:
        _verify_op(graph, op, seen)
        seen.add(op.output)
    if (graph.input.rate / graph.output.rate).denominator != 1:
        raise GraphError(
            f"{graph.name}: the output rate {graph.output.rate} does not divide the input rate"
            f" {graph.input.rate}"
        )
    _verify_loop(graph)
    _verify_start(graph)
    return graph


def _verify_loop(graph: Graph) -> None:
    """What a DelayedConcat names is made later, has the width it says, and nothing between needs
    more than one frame at a time."""
    made = {op.output: index for index, op in enumerate(graph.ops)}
    for index, op in enumerate(graph.ops):
        if not isinstance(op, DelayedConcat):
            continue
        for name, width in zip(op.previous, op.widths, strict=True):
            if made.get(name, -1) < index or graph.tensors[name].features != width:
                raise GraphError(
                    f"{op.module}: DelayedConcat: expected {name!r} of {width} features to be made later in"  # noqa: E501
                    " the graph"
                )
    for op in (graph.ops[index] for index in graph.loop):
        if isinstance(op, ACROSS_FRAMES) or op.stride != 1:
            raise GraphError(
                f"{op.module}: {type(op).__name__} cannot be computed frame by frame between a DelayedConcat"  # noqa: E501
                " and what it names"
            )
    for op in graph.ops:
        if isinstance(op, Im2Col) and graph.frames_per_step(op.inputs[0]) != op.frames:
            raise GraphError(
                f"{op.module}: Im2Col over {op.frames} frames in a step of"
                f" {graph.frames_per_step(op.inputs[0])}"
            )


def _verify_start(graph: Graph) -> None:
    """Whatever groups frames begins with the first valid frame, and so do state spaces, together,
    at the begin of a step."""
    first = first_valid_frames(graph)
    for op in graph.ops:
        begin, where = first[op.inputs[0]], f"{op.module or graph.name}: {type(op).__name__}"
        if not isinstance(op, Unfold1d) and begin % op.stride:
            raise GraphError(
                f"{where}: groups of {op.stride} frames cannot begin with frame {begin}; expected a"
                " Unfold1d before it"
            )
        if isinstance(op, RECURRENT) and begin != graph.start_up_steps * graph.frames_per_step(
            op.inputs[0]
        ):
            raise GraphError(
                f"{where}: expected its first valid frame at the begin of step"
                f" {graph.start_up_steps}, found {begin}"
            )


def _verify_op(graph: Graph, op: Op, seen: set[str]) -> None:
    where = f"{op.module or graph.name}: {type(op).__name__}"
    unknown = [name for name in op.inputs if name not in seen]
    if unknown or op.output in seen or op.output not in graph.tensors:
        raise GraphError(
            f"{where}: expected inputs computed before and a new output, found {op.inputs} ->"
            f" {op.output}"
        )
    sources, target = [graph.tensors[name] for name in op.inputs], graph.tensors[op.output]
    if any(s.rate != sources[0].rate or s.features != sources[0].features for s in sources):
        raise GraphError(f"{where}: inputs differ in rate or features: {sources}")
    if target.rate != sources[0].rate / op.stride:
        raise GraphError(
            f"{where}: expected rate {sources[0].rate / op.stride}, found {target.rate}"
        )
    if target.features != op.out_features(sources[0].features):
        raise GraphError(
            f"{where}: expected {op.out_features(sources[0].features)} features, found"
            f" {target.features}"
        )
    if (
        isinstance(op, Dense | IntDense)
        and op.shared * op.weight.shape[0] * op.weight.shape[3] != sources[0].features
    ):
        raise GraphError(
            f"{where}: weight {op.weight.shape} does not fit {sources[0].features} input features"
        )
    if isinstance(op, Dense | IntDense) and op.weight.shape[2] != op.frames_per_output:
        found = f"a kernel of {op.weight.shape[2]} frames with stride {op.frames_per_output}"
        raise GraphError(f"{where}: {found}; expected a Unfold1d that gathers its frames")
    if isinstance(op, Unfold1d) and (op.frames < 1 or op.frames_per_output < 1 or op.lag < 0):
        raise GraphError(
            f"{where}: expected frames and stride of 1 or more and no negative lag, found {op}"
        )
    if (
        isinstance(op, Dense | IntDense)
        and op.shared > 1
        and (op.weight.shape[0] > 1 or op.weight.shape[2] > 1)
    ):
        raise GraphError(
            f"{where}: weights shared by groups are of one band and one frame, found"
            f" {op.weight.shape}"
        )
    if isinstance(op, Unfold1d) and sources[0].features % op.bands:
        raise GraphError(f"{where}: {op.bands} bands do not divide {sources[0].features} features")
    if isinstance(op, Im2Col | Tile) and sources[0].features % op.width:
        raise GraphError(
            f"{where}: {op.width} columns do not divide {sources[0].features} features"
        )
    if isinstance(op, GroupReduce) and sources[0].features % (op.bands * op.copies):
        raise GraphError(
            f"{where}: {op.bands} bands of {op.copies} copies do not divide {sources[0].features}"
            " features"
        )
    if isinstance(op, IntDense):
        _verify_weights(op, where)
    for f in fields(op):
        value = getattr(op, f.name)
        if (
            isinstance(value, np.ndarray)
            and value.dtype.kind in "fc"
            and not np.isfinite(value).all()
        ):
            raise GraphError(f"{where}: {f.name} holds NaN or infinite values")
    if op.is_integer and target.scale is None:
        raise GraphError(f"{where}: the output of an integer operator needs a scale")


def _verify_weights(op: IntDense, where: str) -> None:
    if op.weight_bits not in WEIGHT_BITS or op.weight.dtype != np.int8:
        raise GraphError(
            f"{where}: expected int8 weights of 4 or 8 bits, found {op.weight.dtype} of"
            f" {op.weight_bits}"
        )
    limit = 2 ** (op.weight_bits - 1) - 1
    if op.weight.size and np.abs(op.weight.astype(np.int64)).max() > limit:
        raise GraphError(
            f"{where}: expected weights in −{limit}…{limit}, found"
            f" {op.weight.min()}…{op.weight.max()}"
        )


# --- the graph file (SPEC.md part 2) --------------------------------------------------------------


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
    header = {
        "version": FORMAT_VERSION,
        "name": graph.name,
        "tensors": tensors,
        "ops": ops,
        "provenance": graph.provenance,
    }
    return header, arrays


def save(graph: Graph, path: Path) -> None:
    """Write the graph file atomically; the same graph gives the same bytes."""
    header, arrays = _describe(graph)
    header["hash"] = graph.hash()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            zipfile.ZipInfo("graph.json"), json.dumps(header, indent=1, sort_keys=True)
        )
        for key in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[key]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), buffer.getvalue())
    replace_atomically(path, content.getvalue())


def load(path: Path) -> Graph:
    """Read a graph file and verify it; GraphError when it is damaged, of another version or does
    not match its own hash."""
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("graph.json"))
            if header.get("version") != FORMAT_VERSION:
                raise GraphError(
                    f"{path}: expected graph version {FORMAT_VERSION}, found"
                    f" {header.get('version')}; quantize again"
                )
            graph = _rebuild(header, archive)
    except FileNotFoundError as error:
        raise GraphError(f"{path}: no such graph; run `make quantize` first") from error
    except GraphError:
        raise
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise GraphError(
            f"{path}: damaged graph file ({type(error).__name__}: {error}); quantize again"
        ) from error
    if graph.hash() != header["hash"]:
        raise GraphError(
            f"{path}: content hash {graph.hash()[:12]} differs from the recorded"
            f" {str(header['hash'])[:12]}; quantize again"
        )
    return verify(graph)


def _rebuild(header: dict[str, Any], archive: zipfile.ZipFile) -> Graph:
    tensors = {t["name"]: Tensor(**(t | {"rate": Fraction(t["rate"])})) for t in header["tensors"]}
    ops = []
    for index, entry in enumerate(header["ops"]):
        kind = OPERATORS[entry.pop("op")]
        entry |= {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        for f in fields(kind):
            if f.name not in entry:
                with archive.open(f"{index}.{f.name}.npy") as file:
                    entry[f.name] = np.lib.format.read_array(
                        io.BytesIO(file.read()), allow_pickle=False
                    )
        ops.append(kind(**entry))
    return Graph(header["name"], tensors, tuple(ops), header["provenance"])
