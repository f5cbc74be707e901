"""The C of a model: `model.h`, `model.c` (one kernel call per line) and `model_tables.c` (constants). No logic, no timestamps."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from export import linear, memory, pack
from export.version import GENERATOR, NN_VERSION

Array = g.Array
C_TYPES = {
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
}
KERNELS = {
    g.IntMeanPool: "nn_mean_pool_s16",
    g.IntMeanOver: "nn_mean_pool_s16",
    g.IntMaxPool: "nn_max_pool_s16",
    g.IntMaxOver: "nn_max_pool_s16",
    g.IntWindow: "nn_window_s16",
    g.IntStep: "nn_step_s16",
    g.IntLinear: "nn_linear_s8_s16",
    g.IntLayerNorm: "nn_layer_norm_s16",
    g.IntLut: "nn_lut_s16",
    g.IntStateSpace: "nn_s4d_s16",
    g.IntGlu: "nn_glu_s16",
    g.IntAdd: "nn_add_s16",
    g.IntLogSoftmax: "nn_log_softmax_s16",
}
START_UP = "nn_start_up"
COUNTED = 65535  # of rows, features and strides


@dataclass(frozen=True)
class Emitted:
    """What one operator became: so many kernel calls in a row, and the tables that it was the first to need."""

    calls: int
    tables: tuple[str, ...]


@dataclass
class Model:
    """What the emitted files are made of, collected operator by operator."""

    graph: g.Graph
    plan: memory.Plan
    family: str = "dsp"  # of kernels (linear.py)
    operators: list[Emitted] = field(default_factory=list)
    tables: dict[str, Array] = field(default_factory=dict)
    descriptors: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

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
            crc = zlib.crc32(_little_endian(table), crc)
        return crc


def build(graph: g.Graph, family: str = "dsp") -> Model:
    """Plan and collect an integer graph, for one family of kernels: a board's `Description.kernels`."""
    if not graph.is_integer():
        raise GraphError(f"{graph.name}: expected an integer graph to export as C, found float operators; quantize first")
    model = Model(graph, memory.plan(graph), family)
    for index, op in enumerate(graph.ops):
        if type(op) not in KERNELS:
            raise GraphError(f"{op.module}: {type(op).__name__} has no C kernel")
        _check_sizes(graph, op)
        calls, tables = len(model.calls), len(model.tables)
        _EMITTERS[type(op)](model, index, op)
        model.operators.append(Emitted(len(model.calls) - calls, tuple(model.tables)[tables:]))
    if graph.start_up:
        counter = model.plan.start_up_offset // 4
        words = model.plan.state_bytes // 4 - counter - 1
        call = f"{START_UP}(state + {counter}, {graph.start_up}, state + {counter + 1}, {words})"
        model.calls.append(f"    {call}; /* state spaces begin with step {graph.start_up} */")
    return model


def kernels(graph: g.Graph, family: str = "dsp") -> list[str]:
    """Kernel names the graph calls, each the name of a file in firmware/nn."""
    return sorted({_kernel(graph, op, family) for op in graph.ops} | ({START_UP} if graph.start_up else set()))


def _kernel(graph: g.Graph, op: g.Op, family: str) -> str:
    """The kernel of an operator; which one a linear layer calls depends on the layer and the family."""
    return linear.kernel_of(graph, op, family) if isinstance(op, g.IntLinear) else KERNELS[type(op)]


def _check_sizes(graph: g.Graph, op: g.Op) -> None:
    """GraphError for an operator that counts further than the 16 bits of its description."""
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.output]
    rows = graph.frames_per_step(op.output) * (op.bands if isinstance(op, g.OverCopies) else 1)
    largest = max(rows, target.features, source.features * op.stride)
    if largest > COUNTED:
        raise GraphError(f"{op.module}: {type(op).__name__} counts to {largest} in one step; its C kernel counts to {COUNTED}")


def files(model: Model) -> dict[str, bytes]:
    """File name -> content; the same graph gives the same bytes."""
    return {
        name: "".join(f"{line}\n" for line in lines).encode()
        for name, lines in (
            ("model.h", _header(model)),
            ("model.c", _source(model)),
            ("model_tables.h", _tables_header(model)),
            ("model_tables.c", _tables_source(model)),
        )
    }


# --- one emitter per operator ------------------------------------------------------------------------------------------


def _at(model: Model, name: str, offset: int = 0) -> str:
    """C expression for the first value of a tensor."""
    if name == model.graph.input.name:
        return f"samples + {offset}" if offset else "samples"
    if name == model.graph.output.name:
        return "out"
    return f"arena + {model.plan.offsets[name] // 2 + offset}"


def _shape(model: Model, name: str) -> tuple[int, int]:
    return model.graph.frames_per_step(name), model.graph.tensors[name].features


def _call(model: Model, index: int, op: g.Op, arguments: str, last: bool = True) -> None:
    source, target = _shape(model, op.inputs[0]), _shape(model, op.output)
    line = f"    {_kernel(model.graph, op, model.family)}({arguments});"
    if last:
        line += f" TAP({index}, {_at(model, op.output)}, {target[0] * target[1]});"
    model.calls.append(f"{line} /* {source} -> {target}  {op.module} */")


def _clamp(model: Model, op: g.Op) -> str:
    tensor = model.graph.tensors[op.output]
    return f".lo = {tensor.lo}, .hi = {tensor.hi}"


def _groups(model: Model, op: g.Op) -> tuple[int, int, int]:
    """(factor, rows, features) of a pool: copies of a band lie in memory like frames of its features."""
    frames, features = _shape(model, op.output)
    if isinstance(op, g.OverCopies):
        return op.copies, frames * op.bands, features // op.bands
    return op.stride, frames, features


def _mean_pool(model: Model, index: int, op: g.IntMeanPool | g.IntMeanOver) -> None:
    factor, frames, features = _groups(model, op)
    model.descriptors.append(
        f"static const nn_mean_pool op{index} = {{.mult = {op.mult}, .factor = {factor}, .frames = {frames}, "
        f".features = {features}, .shift = {op.shift}, {_clamp(model, op)}}};"
    )
    _call(model, index, op, f"&op{index}, {_at(model, op.inputs[0])}, {_at(model, op.output)}")


def _max_pool(model: Model, index: int, op: g.IntMaxPool | g.IntMaxOver) -> None:
    factor, frames, features = _groups(model, op)
    _call(model, index, op, f"{_at(model, op.inputs[0])}, {_at(model, op.output)}, {factor}, {frames}, {features}")


def _window(model: Model, index: int, op: g.IntWindow) -> None:
    frames, width = _shape(model, op.output)
    features = model.graph.tensors[op.inputs[0]].features
    skip = op.history + op.frames_per_output - op.lag - op.frames
    model.descriptors.append(
        f"static const nn_window op{index} = {{.windows = {frames}, .width = {width}, .stride = {op.stride * features}, "
        f".history = {op.history * features}, .skip = {skip * features}}};"
    )
    history = f"state + {model.plan.state_offsets[op.output] // 4}" if op.history else "0"
    _call(model, index, op, f"&op{index}, {history}, {_at(model, op.inputs[0])}, {_at(model, op.output)}")


def _step(model: Model, index: int, op: g.IntStep) -> None:
    frames, features = _shape(model, op.output)
    _call(model, index, op, f"{_at(model, op.inputs[0])}, {_at(model, op.output)}, {frames * features}, {op.high}")


def _linear(model: Model, index: int, op: g.IntLinear) -> None:
    bands, out, kernel, width = op.weight.shape
    if bands > 1 and kernel > 1:
        raise GraphError(f"{op.module}: a convolution over several frames with separate bands has no C kernel")
    called = linear.kernel_of(model.graph, op, model.family)
    frames, calls = linear.frames_and_calls(model.graph, op, called)
    for band in range(bands):
        name = f"op{index}" if bands == 1 else f"op{index}_band{band}"
        tables = linear.tables_of(op, band, called, frames)
        fields = ", ".join(f".{field} = {model.table(f'{name}_{field}', values)}" for field, values in tables.items())
        model.descriptors.append(
            f"static const nn_linear {name} = {{{fields}, .in = {kernel * width}, "
            f".out = {out}, .frames = {frames}, .x_stride = {bands * kernel * width}, .y_stride = {bands * out}, "
            f".shift = {op.shift}, {_clamp(model, op)}}};"
        )
        for call in range(calls):
            x = _at(model, op.inputs[0], (call * bands * kernel + band) * width)
            y = _at(model, op.output, (call * bands + band) * out)
            _call(model, index, op, f"&{name}, {x}, {y}", last=(band, call) == (bands - 1, calls - 1))


def _layer_norm(model: Model, index: int, op: g.IntLayerNorm) -> None:
    bands, n = op.gain.shape
    rows = model.graph.frames_per_step(op.output)
    for band in range(bands):
        name = f"op{index}" if bands == 1 else f"op{index}_band{band}"
        gain = model.table(f"{name}_gain", op.gain[band].astype(np.int32))
        bias = model.table(f"{name}_bias", op.bias[band].astype(np.int32))
        model.descriptors.append(
            f"static const nn_layer_norm {name} = {{.epsilon = {op.epsilon}u, .gain = {gain}, .bias = {bias}, .n = {n}, "
            f".rows = {rows}, .stride = {bands * n}, {_clamp(model, op)}}};"
        )
        x, y = _at(model, op.inputs[0], band * n), _at(model, op.output, band * n)
        _call(model, index, op, f"&{name}, {x}, {y}", last=band == bands - 1)


def _lut(model: Model, index: int, op: g.IntLut) -> None:
    table = model.table(f"op{index}_table", op.table.astype(np.int16))
    frames, features = _shape(model, op.output)
    _call(model, index, op, f"{table}, {_at(model, op.inputs[0])}, {_at(model, op.output)}, {frames * features}")


def _state_space(model: Model, index: int, op: g.IntStateSpace) -> None:
    channels, states = op.a.shape[:2]
    coefficients, channel = pack.pack_s4d(op.a, op.c, op.g, op.d, op.mult)
    first = model.table(f"op{index}_coefficients", coefficients)
    second = model.table(f"op{index}_channel", channel)
    model.descriptors.append(
        f"static const nn_s4d op{index} = {{.coefficients = {first}, .channel = {second}, .channels = {channels}, "
        f".states = {states}, .frames = {model.graph.frames_per_step(op.output)}, .shift = {op.shift}, {_clamp(model, op)}}};"
    )
    state = f"state + {model.plan.state_offsets[op.output] // 4}"
    _call(model, index, op, f"&op{index}, {state}, {_at(model, op.inputs[0])}, {_at(model, op.output)}")


def _glu(model: Model, index: int, op: g.IntGlu) -> None:
    table = model.table("sigmoid_table", op.table.astype(np.int16))
    frames, features = _shape(model, op.output)
    _call(model, index, op, f"{table}, {_at(model, op.inputs[0])}, {_at(model, op.output)}, {features}, {frames}")


def _add(model: Model, index: int, op: g.IntAdd) -> None:
    frames, features = _shape(model, op.output)
    a, b = (_at(model, name) for name in op.inputs)
    _call(model, index, op, f"{a}, {b}, {_at(model, op.output)}, {frames * features}")


def _log_softmax(model: Model, index: int, op: g.IntLogSoftmax) -> None:
    frames, features = _shape(model, op.output)
    model.descriptors.append(
        f"static const nn_log_softmax op{index} = {{.mult = {op.mult}, .n = {features}, .frames = {frames}, "
        f".shift = {op.shift}, .fraction = {op.fraction}}};"
    )
    _call(model, index, op, f"&op{index}, {_at(model, op.inputs[0])}, {_at(model, op.output)}")


_EMITTERS: dict[type[g.Op], Callable[[Model, int, Any], None]] = {
    g.IntMeanPool: _mean_pool,
    g.IntMeanOver: _mean_pool,
    g.IntMaxPool: _max_pool,
    g.IntMaxOver: _max_pool,
    g.IntWindow: _window,
    g.IntStep: _step,
    g.IntLinear: _linear,
    g.IntLayerNorm: _layer_norm,
    g.IntLut: _lut,
    g.IntStateSpace: _state_space,
    g.IntGlu: _glu,
    g.IntAdd: _add,
    g.IntLogSoftmax: _log_softmax,
}


# --- the files ---------------------------------------------------------------------------------------------------------


def _banner(model: Model, what: str) -> str:
    precision = model.graph.provenance.get("precision", "")
    return f"/* Tendon {GENERATOR}: {model.graph.name} {precision}, {what}. Graph {model.graph.hash()} */"


def _header(model: Model) -> Iterator[str]:
    graph, plan = model.graph, model.plan
    digest = bytes.fromhex(graph.hash())
    yield _banner(model, "the interface of the network")
    yield "#ifndef MODEL_H"
    yield "#define MODEL_H"
    yield "#include <stdint.h>"
    yield ""
    yield f'#define MODEL_GENERATOR "{GENERATOR}"'
    yield f'#define MODEL_NAME "{graph.name}"'
    yield f'#define MODEL_HASH "{graph.hash()}"'
    yield f"#define MODEL_HASH_BYTES {{{', '.join(f'0x{b:02x}' for b in digest)}}}"
    yield f"#define MODEL_INPUTS {graph.input.features} /* int16 values per sample */"
    yield f"#define MODEL_SAMPLE_RATE {graph.input.rate} /* samples per second */"
    yield f"#define MODEL_INPUT_SCALE {graph.input.scale:.9g} /* real value of one step of a sample */"
    yield f"#define MODEL_SAMPLES_PER_STEP {graph.samples_per_step}"
    yield f"#define MODEL_FRAMES_PER_STEP {graph.chunk} /* output frames */"
    yield f"#define MODEL_OUTPUTS {graph.output.features} /* int16 values per output frame */"
    yield f"#define MODEL_OUTPUT_SCALE {graph.output.scale:.9g} /* real value of one step of an output */"
    yield f"#define MODEL_STATE_BYTES {plan.state_bytes}"
    yield f"#define MODEL_ARENA_BYTES {plan.arena_bytes}"
    yield f"#define MODEL_TABLE_COUNT {len(model.tables)}"
    yield f"#define MODEL_TABLE_BYTES {model.table_bytes}"
    yield f"#define MODEL_TABLES_CRC 0x{model.crc():08x}u /* CRC-32 (IEEE 802.3) of all tables in order */"
    yield ""
    yield "typedef struct {"
    yield "    const void *data;"
    yield "    uint32_t bytes;"
    yield "} model_table;"
    yield "extern const model_table model_tables[MODEL_TABLE_COUNT];"
    yield ""
    yield from interface()
    yield "#ifdef MODEL_TAP"
    yield f"#define MODEL_OPERATORS {len(graph.ops)}u"
    largest = max(frames * features for frames, features in (_shape(model, op.output) for op in graph.ops))
    yield f"#define MODEL_LARGEST_OUTPUT {largest}u /* values that one operator puts out in a step, at most */"
    yield "/* Called after every operator with its output; supplied by whoever defines MODEL_TAP. */"
    yield "void model_tap(unsigned op, const int16_t *data, uint32_t count);"
    yield "#endif"
    yield "#endif"


def interface() -> Iterator[str]:
    """What the application calls, whatever computes the step."""
    yield "/* All state to zero, as before the first sample. */"
    yield "void model_reset(void);"
    yield "/* Eats samples (MODEL_SAMPLES_PER_STEP, MODEL_INPUTS), writes out (MODEL_FRAMES_PER_STEP, MODEL_OUTPUTS)."
    yield "   Keeps its state between calls. */"
    yield "void model_step(const int16_t *samples, int16_t *out);"
    yield "/* The state, MODEL_STATE_BYTES long, to save and restore. */"
    yield "void *model_state(void);"


def _source(model: Model) -> Iterator[str]:
    plan = model.plan
    yield _banner(model, "one step of the network")
    yield '#include "model.h"'
    yield '#include "model_tables.h"'
    yield '#include "nn.h"'
    yield "#include <string.h>"
    yield ""
    yield f"#if NN_VERSION != {NN_VERSION}"
    yield f'#error "model.c was generated for version {NN_VERSION} of the kernels"'
    yield "#endif"
    yield ""
    yield "#ifdef MODEL_TAP"
    yield "#define TAP(op, data, count) model_tap(op, data, count)"
    yield "#else"
    yield "#define TAP(op, data, count) ((void)0)"
    yield "#endif"
    yield ""
    yield "/* A board's linker script chooses the memory of each; elsewhere they are arrays like any other. */"
    yield "#ifdef __arm__"
    yield '#define PLACED(section_name) __attribute__((section(".bss." section_name)))'
    yield "#else"
    yield "#define PLACED(section_name)"
    yield "#endif"
    yield '_Alignas(8) static int16_t arena[MODEL_ARENA_BYTES / 2] PLACED("model_arena");'
    yield '_Alignas(8) static uint32_t state[MODEL_STATE_BYTES / 4] PLACED("model_state");'
    sizes = f"sizeof arena == {plan.arena_bytes} && sizeof state == {plan.state_bytes}"
    yield f'_Static_assert({sizes}, "model.h is from another export");'
    yield ""
    yield from model.descriptors
    yield ""
    yield "void model_reset(void)"
    yield "{"
    yield "    memset(state, 0, sizeof state);"
    yield "}"
    yield ""
    yield "void *model_state(void)"
    yield "{"
    yield "    return state;"
    yield "}"
    yield ""
    yield "void model_step(const int16_t *samples, int16_t *out)"
    yield "{"
    yield from model.calls
    yield "}"


def _tables_header(model: Model) -> Iterator[str]:
    yield _banner(model, "its constant tables")
    yield "#ifndef MODEL_TABLES_H"
    yield "#define MODEL_TABLES_H"
    yield "#include <stdint.h>"
    yield ""
    for name, table in model.tables.items():
        yield f"extern const {C_TYPES[table.dtype.name]} {name}[{table.size}];"
    yield "#endif"


def placed_tables() -> Iterator[str]:
    """A section of its own for every table, whatever computes the step."""
    yield "/* A board's linker script chooses the memory of the tables; elsewhere they are constants like any other. */"
    yield "#ifdef __arm__"
    yield '#define TABLE(name) __attribute__((section(".rodata.model_tables." #name)))'
    yield "#else"
    yield "#define TABLE(name)"
    yield "#endif"


def _tables_source(model: Model) -> Iterator[str]:
    yield _banner(model, "its constant tables")
    yield '#include "model.h"'
    yield '#include "model_tables.h"'
    yield ""
    yield from placed_tables()
    for name, table in model.tables.items():
        yield ""
        yield f"_Alignas(8) const {C_TYPES[table.dtype.name]} {name}[{table.size}] TABLE({name}) = {{"
        yield from _values(table)
        yield "};"
    yield ""
    yield "const model_table model_tables[MODEL_TABLE_COUNT] = {"
    for name in model.tables:
        yield f"    {{{name}, sizeof {name}}},"
    yield "};"


def _values(table: Array, width: int = 120) -> Iterable[str]:
    """Comma-separated values, as many as fit a line."""
    line = "   "
    for value in table.reshape(-1).tolist():
        text = f" {value}{'u' if table.dtype.kind == 'u' else ''}," if value != -(2**31) else " -2147483647 - 1,"
        if len(line) + len(text) > width:
            yield line
            line = "   "
        line += text
    yield line


def _little_endian(table: Array) -> bytes:
    return table.astype(table.dtype.newbyteorder("<")).tobytes()
