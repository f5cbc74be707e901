"""`app/model.h` and `app/model.c`: the names under which the serial application knows its network,
whichever that is."""

from __future__ import annotations

from collections.abc import Iterator

from export.c import text
from export.c.step import Model

CONSTANTS = (
    "GENERATOR NAME HASH HASH_BYTES INPUTS SAMPLE_RATE INPUT_SCALE SAMPLES_PER_STEP FRAMES_PER_STEP"
    " OUTPUTS OUTPUT_SCALE STATE_BYTES ARENA_BYTES TABLE_COUNT TABLE_BYTES TABLES_CRC"
)
TAPPED = "OPERATORS LARGEST_OUTPUT"


def header(model: Model) -> Iterator[str]:
    """Plain renaming: the application has one network and one stream of it."""
    name, upper = model.identifier, model.identifier.upper()
    yield from text.comment(
        f"The network that this application runs is {name}: its interface under the names that"
        " app/ uses, and the one stream of it that there is."
    )
    yield "#ifndef MODEL_H"
    yield "#define MODEL_H"
    yield f'#include "{name}.h"'
    yield ""
    yield from (f"#define MODEL_{word} {upper}_{word}" for word in CONSTANTS.split())
    yield "#ifdef MODEL_TAP"
    yield from (f"#define MODEL_{word} {upper}_{word}" for word in TAPPED.split())
    yield f"#define model_tap {name}_tap"
    yield "#endif"
    if model.tables:
        yield f"#define model_tables {name}_tables"
    yield ""
    yield "#ifdef __cplusplus"
    yield 'extern "C" {'
    yield "#endif"
    yield f"extern {name} model_stream;"
    yield "#ifdef __cplusplus"
    yield "}"
    yield "#endif"
    yield ""
    yield "static inline void model_reset(void)"
    yield "{"
    yield f"    {name}_reset(&model_stream);"
    yield "}"
    yield ""
    yield "static inline void model_step(const int16_t *samples, int16_t *out)"
    yield "{"
    yield f"    {name}_step(&model_stream, samples, out);"
    yield "}"
    yield ""
    yield "static inline void *model_state(void)"
    yield "{"
    yield "    return model_stream.state;"
    yield "}"
    yield "#endif"


def source(model: Model) -> Iterator[str]:
    """The stream and its memory."""
    name, upper = model.identifier, model.identifier.upper()
    parts = {"state": model.plan.state_bytes, "arena": model.plan.arena_bytes}
    yield '#include "model.h"'
    yield ""
    yield from (
        f"static {name}_{part} {part} {upper}_IN_{part.upper()};"
        for part, size in parts.items()
        if size
    )
    places = ", ".join(f"&{part}" if size else "0" for part, size in parts.items())
    yield f"{name} model_stream = {{{places}}};"
