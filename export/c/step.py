"""Operators as kernel calls: the step of a network in C, one small function per operator."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from export.c import linear, memory, pack
from export.c.pieces import Stretch

Array = g.Array
KERNELS = {
    g.IntMeanPool: "nn_mean_pool_s16",
    g.IntGroupMean: "nn_mean_pool_s16",
    g.IntMaxPool: "nn_max_pool_s16",
    g.IntGroupMax: "nn_max_pool_s16",
    g.IntUnfold1d: "nn_window_s16",
    g.IntStep: "nn_step_s16",
    g.IntDense: "nn_linear_s8_s16",
    g.IntLayerNorm: "nn_layer_norm_s16",
    g.IntLut: "nn_lut_s16",
    g.IntStateSpace: "nn_s4d_s16",
    g.IntGlu: "nn_glu_s16",
    g.IntAdd: "nn_add_s16",
    g.IntLogSoftmax: "nn_log_softmax_s16",
    g.IntInterpolate: "nn_interpolate_s16",
    g.IntDelayedConcat: "nn_copy_s16",
    g.IntLstmCell: "nn_lstm_cell_s16",
    g.IntIntegrate: "nn_integrate_s16",
    g.IntIm2Col: "nn_patches_s16",
    g.IntTile: "nn_repeat_s16",
}
POSE = "nn_pose_s16"  # what a join reads of an integration
COUNTED = 65535  # of rows, features and strides


@dataclass(frozen=True)
class Call:
    """One kernel call of the step: the operator it is of (None: the end of a start-up), the kernel,
    the line of C."""

    operator: int | None
    kernel: str
    line: str


@dataclass
class Model:
    """What the emitted files are made of, collected operator by operator.

    `frame`: the frame of a loop that is being emitted; then tensors are spoken of one frame at a
    time. `stretch` and `piece`: the piece of a stretch that is being emitted; then they are spoken
    of in its frames.
    """

    graph: g.Graph
    plan: memory.Plan
    family: str = "dsp"  # of kernels (linear.py)
    first_tables: dict[int, tuple[str, ...]] = field(
        default_factory=dict
    )  # that each operator was the first to need
    tables: dict[str, Array] = field(default_factory=dict)
    descriptors: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    frame: int | None = None
    stretch: Stretch | None = None
    piece: int = 0

    def calls_of(self, operator: int) -> list[Call]:
        """All kernel calls of a step for one operator of the graph."""
        return [call for call in self.calls if call.operator == operator]

    def describe(self, line: str) -> None:
        """Add a kernel's description; the frames of a loop have the same, and most pieces of a
        stretch."""
        if line not in self.descriptors:
            self.descriptors.append(line)

    def table(self, name: str, values: Array) -> str:
        """The name of a table with these values; equal tables are stored once."""
        for known, other in self.tables.items():
            if other.dtype == values.dtype and np.array_equal(other, values):
                return known
        self.tables[name] = np.ascontiguousarray(values)
        return name

    @property
    def table_bytes(self) -> int:
        return sum(t.nbytes for t in self.tables.values())

    def crc(self) -> int:
        """CRC-32 of all tables in order, as the board computes it at boot."""
        crc = 0
        for table in self.tables.values():
            crc = zlib.crc32(little_endian(table), crc)
        return crc


def kernel_of(graph: g.Graph, op: g.Op, family: str) -> str:
    """The kernel of an operator; which one a linear layer calls depends on the layer and the
    family."""
    return linear.kernel_of(graph, op, family) if isinstance(op, g.IntDense) else KERNELS[type(op)]


def _at(model: Model, name: str, offset: int = 0) -> str:
    """C expression for the first value of a tensor."""
    offset += _frames_before(model, name) * model.graph.tensors[name].features
    if name in (model.graph.input.name, model.graph.output.name):
        base = "samples" if name == model.graph.input.name else "out"
        return f"{base} + {offset}" if offset else base
    return f"arena + {model.plan.offsets[name] // 2 + offset}"


def _frames_before(model: Model, name: str) -> int:
    """Frames of a tensor, as it is held, before those that are being emitted."""
    stretch = model.stretch
    if stretch is None:
        return model.frame or 0
    return 0 if name in stretch.between else model.piece * shape(model, name)[0]


def _halves(byte_offset: int) -> str:
    """C expression for 16-bit values in the state."""
    return f"(int16_t *)(state + {byte_offset // 4})"


def shape(model: Model, name: str) -> tuple[int, int]:
    """(frames, features) that a call works on."""
    pieces = model.stretch.pieces if model.stretch else 1
    frames = 1 if model.frame is not None else model.graph.frames_per_step(name) // pieces
    return frames, model.graph.tensors[name].features


def _call(
    model: Model, index: int, op: g.Op, arguments: str, last: bool = True, kernel: str = ""
) -> None:
    """One kernel call. `last` of the operator's in this frame; the last of a step hands its whole
    output to a tap, the last of a piece that piece."""
    source, target = shape(model, op.inputs[0]), shape(model, op.output)
    kernel = kernel or kernel_of(model.graph, op, model.family)
    line = f"    {kernel}({arguments});"
    frames = target[0] if model.frame is None else model.graph.frames_per_step(op.output)
    if last and model.frame in (None, frames - 1):
        first = _at(model, op.output, -(model.frame or 0) * target[1])
        line += f" TAP({index}, {first}, {frames * target[1]});"
    model.calls.append(Call(index, kernel, f"{line} /* {source} -> {target}  {op.module} */"))


def _clamp(model: Model, op: g.Op) -> str:
    tensor = model.graph.tensors[op.output]
    return f".lo = {tensor.lo}, .hi = {tensor.hi}"


def _groups(model: Model, op: g.Op) -> tuple[int, int, int]:
    """(factor, rows, features) of a pool: copies of a band lie in memory like frames of its
    features."""
    frames, features = shape(model, op.output)
    if isinstance(op, g.GroupReduce):
        return op.copies, frames * op.bands, features // op.bands
    return int(op.stride), frames, features


def _mean_pool(model: Model, index: int, op: g.IntMeanPool | g.IntGroupMean) -> None:
    factor, frames, features = _groups(model, op)
    model.describe(
        f"static const nn_mean_pool op{index} = {{.mult = {op.mult}, .factor = {factor}, .frames ="
        f" {frames}, .features = {features}, .shift = {op.shift}, {_clamp(model, op)}}};"
    )
    _call(model, index, op, f"&op{index}, {_at(model, op.inputs[0])}, {_at(model, op.output)}")


def _max_pool(model: Model, index: int, op: g.IntMaxPool | g.IntGroupMax) -> None:
    factor, frames, features = _groups(model, op)
    _call(
        model,
        index,
        op,
        f"{_at(model, op.inputs[0])}, {_at(model, op.output)}, {factor}, {frames}, {features}",
    )


def _window(model: Model, index: int, op: g.IntUnfold1d) -> None:
    frames, width = shape(model, op.output)
    features = model.graph.tensors[op.inputs[0]].features
    skip = op.history + op.frames_per_output - op.lag - op.frames
    model.describe(
        f"static const nn_window op{index} = {{.windows = {frames}, .width = {width}, .stride ="
        f" {op.stride * features}, .history = {op.history * features}, .skip = {skip * features},"
        f" .features = {features}, .bands = {op.bands}}};"
    )
    history = f"state + {model.plan.kept_offsets[op.output] // 4}" if op.history else "0"
    _call(
        model,
        index,
        op,
        f"&op{index}, {history}, {_at(model, op.inputs[0])}, {_at(model, op.output)}",
    )


def _step(model: Model, index: int, op: g.IntStep) -> None:
    frames, features = shape(model, op.output)
    _call(
        model,
        index,
        op,
        f"{_at(model, op.inputs[0])}, {_at(model, op.output)}, {frames * features}, {op.high}",
    )


def _linear(model: Model, index: int, op: g.IntDense) -> None:
    bands, out, kernel, width = op.weight.shape
    if bands > 1 and kernel > 1:
        raise GraphError(
            f"{op.module}: a convolution over several frames with separate bands has no C kernel"
        )
    called = linear.kernel_of(model.graph, op, model.family)
    frames, calls = linear.frames_and_calls(model.graph, op, called)
    for band in range(bands):
        name = f"op{index}" if bands == 1 else f"op{index}_band{band}"
        tables = linear.tables_of(op, band, called, frames)
        fields = ", ".join(
            f".{field} = {model.table(f'{name}_{field}', values)}"
            for field, values in tables.items()
        )
        model.describe(
            f"static const nn_linear {name} = {{{fields}, .in = {kernel * width}, .out = {out},"
            f" .frames = {frames}, .x_stride = {bands * kernel * width}, .y_stride = {bands * out},"
            f" .shift = {op.shift}, {_clamp(model, op)}}};"
        )
        for call in range(calls):
            x = _at(model, op.inputs[0], (call * bands * kernel + band) * width)
            y = _at(model, op.output, (call * bands + band) * out)
            _call(
                model, index, op, f"&{name}, {x}, {y}", last=(band, call) == (bands - 1, calls - 1)
            )


def _layer_norm(model: Model, index: int, op: g.IntLayerNorm) -> None:
    bands, n = op.gain.shape
    rows = shape(model, op.output)[0]
    for band in range(bands):
        name = f"op{index}" if bands == 1 else f"op{index}_band{band}"
        gain = model.table(f"{name}_gain", op.gain[band].astype(np.int32))
        bias = model.table(f"{name}_bias", op.bias[band].astype(np.int32))
        model.describe(
            f"static const nn_layer_norm {name} = {{.epsilon = {op.epsilon}u, .gain = {gain}, .bias"
            f" = {bias}, .n = {n}, .rows = {rows}, .stride = {bands * n}, {_clamp(model, op)}}};"
        )
        x, y = _at(model, op.inputs[0], band * n), _at(model, op.output, band * n)
        _call(model, index, op, f"&{name}, {x}, {y}", last=band == bands - 1)


def _lut(model: Model, index: int, op: g.IntLut) -> None:
    table = model.table(f"op{index}_table", op.table.astype(np.int16))
    frames, features = shape(model, op.output)
    _call(
        model,
        index,
        op,
        f"{table}, {_at(model, op.inputs[0])}, {_at(model, op.output)}, {frames * features}",
    )


def _state_space(model: Model, index: int, op: g.IntStateSpace) -> None:
    channels, states = op.a.shape[:2]
    coefficients, channel = pack.pack_s4d(op.a, op.c, op.g, op.d, op.mult)
    first = model.table(f"op{index}_coefficients", coefficients)
    second = model.table(f"op{index}_channel", channel)
    model.describe(
        f"static const nn_s4d op{index} = {{.coefficients = {first}, .channel = {second}, .channels"
        f" = {channels}, .states = {states}, .frames = {shape(model, op.output)[0]}, .shift ="
        f" {op.shift}, {_clamp(model, op)}}};"
    )
    state = f"state + {model.plan.state_offsets[op.output] // 4}"
    _call(
        model,
        index,
        op,
        f"&op{index}, {state}, {_at(model, op.inputs[0])}, {_at(model, op.output)}",
    )


def _glu(model: Model, index: int, op: g.IntGlu) -> None:
    table = model.table("sigmoid_table", op.table.astype(np.int16))
    frames, features = shape(model, op.output)
    _call(
        model,
        index,
        op,
        f"{table}, {_at(model, op.inputs[0])}, {_at(model, op.output)}, {features}, {frames}",
    )


def _add(model: Model, index: int, op: g.IntAdd) -> None:
    frames, features = shape(model, op.output)
    a, b = (_at(model, name) for name in op.inputs)
    _call(model, index, op, f"{a}, {b}, {_at(model, op.output)}, {frames * features}")


def _log_softmax(model: Model, index: int, op: g.IntLogSoftmax) -> None:
    frames, features = shape(model, op.output)
    model.describe(
        f"static const nn_log_softmax op{index} = {{.mult = {op.mult}, .n = {features}, .frames ="
        f" {frames}, .shift = {op.shift}, .fraction = {op.fraction}}};"
    )
    _call(model, index, op, f"&op{index}, {_at(model, op.inputs[0])}, {_at(model, op.output)}")


def _interpolate(model: Model, index: int, op: g.IntInterpolate) -> None:
    frames, features = shape(model, op.inputs[0])
    past, shift = _halves(model.plan.kept_offsets[op.output]), op.factor.bit_length() - 1
    _call(
        model,
        index,
        op,
        f"{_at(model, op.inputs[0])}, {past}, {_at(model, op.output)}, {frames}, {features},"
        f" {shift}",
    )


def _join(model: Model, index: int, op: g.IntDelayedConcat) -> None:
    """The frame, then what was kept of each tensor it names."""
    at = model.graph.tensors[op.inputs[0]].features
    _call(
        model,
        index,
        op,
        f"{_at(model, op.inputs[0])}, {_at(model, op.output)}, {at}",
        last=not op.previous,
    )
    for name, width, place in _named(model, op):
        made, last = _maker(model, name), name == op.previous[-1]
        y = _at(model, op.output, at)
        if isinstance(model.graph.ops[made], g.IntIntegrate):
            initial, total = _halves(model.plan.kept_offsets[name]), _sum(model, name)
            _call(model, index, op, f"&op{made}, {initial}, {total}, {y}", last, POSE)
        else:
            _call(model, index, op, f"{_halves(place)}, {y}, {width}", last)
        at += width


def _named(model: Model, op: g.IntDelayedConcat) -> Iterator[tuple[str, int, int]]:
    """Name, features and place in the state (bytes) of all that a Join keeps."""
    place = model.plan.state_offsets[op.output] if op.previous else 0
    for name, width in zip(op.previous, op.widths, strict=True):
        yield name, width, place
        place += (2 * width + 3) // 4 * 4


def keep(model: Model, made: str) -> None:
    """Keep a frame for every Join that names it; an integration keeps its own pose."""
    for index in model.graph.loop:
        op = model.graph.ops[index]
        for name, width, place in _named(model, op) if isinstance(op, g.IntDelayedConcat) else ():
            if name == made and not isinstance(
                model.graph.ops[_maker(model, name)], g.IntIntegrate
            ):
                _call(
                    model, index, op, f"{_at(model, name)}, {_halves(place)}, {width}", last=False
                )


def _maker(model: Model, name: str) -> int:
    return next(i for i, op in enumerate(model.graph.ops) if op.output == name)


def _sum(model: Model, name: str) -> str:
    return f"(int32_t *)(state + {model.plan.state_offsets[name] // 4})"


def _lstm_cell(model: Model, index: int, op: g.IntLstmCell) -> None:
    frames, features = shape(model, op.output)
    sigmoid = model.table("sigmoid_table", op.sigmoid.astype(np.int16))
    tanh = model.table("tanh_table", op.tanh.astype(np.int16))
    model.describe(
        f"static const nn_lstm_cell op{index} = {{.sigmoid = {sigmoid}, .tanh = {tanh}, .mult ="
        f" {op.mult}, .n = {features}, .frames = {frames}}};"
    )
    _call(
        model,
        index,
        op,
        f"&op{index}, {_sum(model, op.output)}, {_at(model, op.inputs[0])},"
        f" {_at(model, op.output)}",
    )


def _integrate(model: Model, index: int, op: g.IntIntegrate) -> None:
    frames, features = shape(model, op.output)
    model.describe(
        f"static const nn_integrate op{index} = {{.n = {features}, .frames = {frames}, "
        f".positions = {op.position_steps}, .fraction = {op.fraction}}};"
    )
    initial, total = _halves(model.plan.kept_offsets[op.output]), _sum(model, op.output)
    _call(
        model,
        index,
        op,
        f"&op{index}, {initial}, {total}, {_at(model, op.inputs[0])}, {_at(model, op.output)}",
    )


def _patches(model: Model, index: int, op: g.IntIm2Col) -> None:
    features = model.graph.tensors[op.inputs[0]].features
    frames, begin = shape(model, op.output)[0], op.factor * _frames_before(model, op.inputs[0])
    above, below = (op.kernel_frames - 1) // 2, op.kernel_frames // 2
    before, after = min(above, begin), min(below, op.factor * op.frames - begin - frames)
    name = f"op{index}" if (before, after) == (0, 0) else f"op{index}_{before}_{after}"
    model.describe(
        f"static const nn_patches {name} = {{.frames = {frames}, .width = {op.width * op.copies},"
        f" .n = {features // op.width}, .kernel_frames = {op.kernel_frames}, .kernel_columns ="
        f" {op.kernel_columns}, .before = {before}, .after = {after}, .factor = {op.factor},"
        f" .copies = {op.copies}}};"
    )
    _call(model, index, op, f"&{name}, {_at(model, op.inputs[0])}, {_at(model, op.output)}")


def _repeat(model: Model, index: int, op: g.IntTile) -> None:
    frames, features = shape(model, op.inputs[0])
    counts = f"{frames}, {op.width}, {features // op.width}, {op.factor}, {op.copies}"
    _call(model, index, op, f"{_at(model, op.inputs[0])}, {_at(model, op.output)}, {counts}")


EMITTERS: dict[type[g.Op], Callable[[Model, int, Any], None]] = {
    g.IntMeanPool: _mean_pool,
    g.IntGroupMean: _mean_pool,
    g.IntMaxPool: _max_pool,
    g.IntGroupMax: _max_pool,
    g.IntUnfold1d: _window,
    g.IntStep: _step,
    g.IntDense: _linear,
    g.IntLayerNorm: _layer_norm,
    g.IntLut: _lut,
    g.IntStateSpace: _state_space,
    g.IntGlu: _glu,
    g.IntAdd: _add,
    g.IntLogSoftmax: _log_softmax,
    g.IntInterpolate: _interpolate,
    g.IntDelayedConcat: _join,
    g.IntLstmCell: _lstm_cell,
    g.IntIntegrate: _integrate,
    g.IntIm2Col: _patches,
    g.IntTile: _repeat,
}


def little_endian(table: Array) -> bytes:
    return table.astype(table.dtype.newbyteorder("<")).tobytes()
