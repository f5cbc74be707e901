"""The generated files of a TFLite-Micro project: model.h, model_tables.c (the file as an array),
main.cc (operators, main)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compress import graph as g
from export.c import columns, text
from export.c.header import check_names, named
from export.c.tables_file import placed_tables
from export.tflite.model import File
from export.tflm import operators
from export.tflm.state import StatePlan
from export.version import GENERATOR

PER_LINE = 16
RESOLVER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"


@dataclass(frozen=True)
class Step:
    """One step of a network as TFLite-Micro runs it. `content` is the `.tflite`; `arena_bytes` what
    its interpreter is given."""

    graph: g.Graph
    file: File
    content: bytes
    state: StatePlan
    arena_bytes: int


def files(step: Step) -> dict[str, bytes]:
    """Name -> content below model/; the same graph gives the same bytes."""
    check_names(step.graph)
    texts = {"model.h": _header(step), "model_tables.c": _tables(step), "main.cc": _main(step)}
    written = {
        name: columns.within("".join(f"{line}\n" for line in lines)).encode("ascii")
        for name, lines in texts.items()
    }
    return written | {"model.tflite": step.content}


def _banner(step: Step, what: str) -> Iterator[str]:
    precision = step.graph.provenance.get("precision", "")
    yield from text.comment(
        f"Tendon {GENERATOR}: {step.graph.name} {precision}, {what}. Graph {step.graph.hash()}"
    )


def _header(step: Step) -> Iterator[str]:
    graph, offsets = step.graph, step.state.offsets
    yield from _banner(step, "the interface of the network around TFLite-Micro's interpreter")
    yield "#ifndef MODEL_H"
    yield "#define MODEL_H"
    yield "#include <stdint.h>"
    yield "#ifdef __cplusplus"
    yield 'extern "C" {'
    yield "#endif"
    yield ""
    yield f'#define MODEL_GENERATOR "{GENERATOR}"'
    yield from named("MODEL_NAME", graph.name)
    yield f'#define MODEL_HASH "{graph.hash()}"'
    yield (
        "#define MODEL_HASH_BYTES"
        f" {{{', '.join(f'0x{b:02x}' for b in bytes.fromhex(graph.hash()))}}}"
    )
    yield f"#define MODEL_INPUTS {graph.input.features} /* int16 values per sample */"
    yield f"#define MODEL_SAMPLE_RATE {graph.input.rate} /* samples per second */"
    yield (
        f"#define MODEL_INPUT_SCALE {graph.input.scale:.9g} /* real value of one step of a"
        " sample */"
    )
    yield f"#define MODEL_SAMPLES_PER_STEP {graph.samples_per_step}"
    yield "#define MODEL_FRAMES_PER_STEP 1 /* output frames */"
    yield f"#define MODEL_OUTPUTS {graph.output.features} /* int16 values per output frame */"
    yield (
        f"#define MODEL_OUTPUT_SCALE {graph.output.scale:.9g} /* real value of one step of an"
        " output */"
    )
    yield f"#define MODEL_STATE_BYTES {step.state.size} /* the first of the arena */"
    yield f"#define MODEL_STATE_COUNT {len(offsets)}"
    yield f"#define MODEL_STATE_OFFSETS {{{', '.join(str(o) for o in offsets)}}}"
    yield (
        f"#define MODEL_ARENA_BYTES {step.arena_bytes} /* state, activations and what the"
        " interpreter keeps */"
    )
    yield "#define MODEL_TABLE_COUNT 1 /* the .tflite */"
    yield f"#define MODEL_TABLE_BYTES {len(step.content)}"
    yield (
        f"#define MODEL_TABLES_CRC 0x{zlib.crc32(step.content):08x}u /* CRC-32 (IEEE 802.3) of the"
        " .tflite */"
    )
    yield ""
    yield "typedef struct {"
    yield "    const void *data;"
    yield "    uint32_t bytes;"
    yield "} model_table;"
    yield "extern const model_table model_tables[MODEL_TABLE_COUNT];"
    yield ""
    yield (
        "/* Why the interpreter cannot start, MODEL_FAULT_NONE when it has started. The first call"
        " starts it. */"
    )
    yield "enum {"
    yield "    MODEL_FAULT_NONE = 0,"
    yield "    MODEL_FAULT_OPERATORS = 1, /* one could not be added to the resolver */"
    yield "    MODEL_FAULT_ARENA = 2,     /* tensors cannot be allocated */"
    yield (
        "    MODEL_FAULT_SHAPE = 3,     /* input or output have another size than this header"
        " says */"
    )
    yield (
        "    MODEL_FAULT_STATE = 4,     /* the state does not lie where the file's memory plan puts"
        " it */"
    )
    yield "};"
    yield "uint32_t model_fault(void);"
    yield "/* Bytes of the arena in use; 0 when the interpreter cannot start. */"
    yield "uint32_t model_arena_used(void);"
    yield "#define MODEL_FAULT model_fault()"
    yield "#define MODEL_ARENA_USED model_arena_used()"
    yield ""
    yield "/* All state to zero, as before the first sample. */"
    yield "void model_reset(void);"
    yield "/* Eats samples (MODEL_SAMPLES_PER_STEP, MODEL_INPUTS), writes out"
    yield "   (MODEL_FRAMES_PER_STEP, MODEL_OUTPUTS). Keeps its state between calls. */"
    yield "void model_step(const int16_t *samples, int16_t *out);"
    yield "/* The state, MODEL_STATE_BYTES long, to save and restore. */"
    yield "void *model_state(void);"
    yield ""
    yield "#ifdef __cplusplus"
    yield "}"
    yield "#endif"
    yield "#endif"


def _tables(step: Step) -> Iterator[str]:
    yield from _banner(step, "model.tflite as an array")
    yield '#include "model.h"'
    yield ""
    yield from placed_tables("MODEL_IN_TABLES")
    yield (
        f"_Alignas(16) MODEL_IN_TABLES(model_tflite) static const uint8_t"
        f" model_tflite[{len(step.content)}] = {{"
    )
    yield from _values(step.content)
    yield "};"
    yield ""
    yield (
        "const model_table model_tables[MODEL_TABLE_COUNT] = {{model_tflite, sizeof model_tflite}};"
    )


def _values(content: bytes) -> Iterable[str]:
    for start in range(0, len(content), PER_LINE):
        yield "    " + " ".join(f"0x{byte:02x}," for byte in content[start : start + PER_LINE])


def _main(step: Step) -> Iterator[str]:
    added = operators.additions(step.file)
    yield from _banner(step, "its operators and the main loop")
    yield '#include "operators.h"'
    yield 'extern "C" {'
    yield '#include "app.h"'
    yield "}"
    for header in (RESOLVER, *operators.headers(step.file)):
        yield f'#include "{header}"'
    yield "#include <new>"
    yield ""
    yield "const tflite::MicroOpResolver *model_operators()"
    yield "{"
    yield f"    using Resolver = tflite::MicroMutableOpResolver<{len(added)}>;"
    yield "    alignas(Resolver) static uint8_t memory[sizeof(Resolver)];"
    yield "    Resolver *resolver = new (memory) Resolver;"
    for call, count in zip(added, operators.counts(step.file).values(), strict=True):
        yield f"    if (resolver->{call} != kTfLiteOk) /* {count} of it */"
        yield "        return nullptr;"
    yield "    return resolver;"
    yield "}"
    yield ""
    yield "int main()"
    yield "{"
    yield "    app_start();"
    yield "    for (;;)"
    yield "        app_turn();"
    yield "}"
