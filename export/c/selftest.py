"""`<name>_selftest.c`: three steps whose words are known, for any application.

Recurrent state that begins with a later step would be cleared behind all three. So its count is set
to the last step before it begins: the first step clears it, the second and third carry it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from compress import graph as g
from compress.interpreter.integer import IntegerInterpreter
from export.c import text
from export.c.step import Model

STEPS = 3
MULTIPLIER, INCREMENT = 1664525, 1013904223  # Numerical Recipes, "An Even Quicker Generator"
SEED = 1
MOST_BITS = 13  # of a sample's size: a quarter of what 16 bits hold, so that not all is clipped


def source(model: Model) -> Iterator[str]:
    """The function, with the CRC of the reference's words in it."""
    name, upper = model.identifier, model.identifier.upper()
    shift, offset = _range(model.graph)
    yield f'#include "{name}.h"'
    yield ""
    yield "/* CRC-32 (IEEE 802.3), bit by bit: about 45 instructions a byte */"
    yield "static uint32_t crc_of(uint32_t crc, const void *bytes, uint32_t count)"
    yield "{"
    yield "    const uint8_t *at = (const uint8_t *)bytes;"
    yield "    crc = ~crc;"
    yield "    while (count-- > 0) {"
    yield "        crc ^= *at++;"
    yield "        for (int bit = 0; bit < 8; bit++)"
    yield "            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));"
    yield "    }"
    yield "    return ~crc;"
    yield "}"
    yield ""
    yield "/* The same samples everywhere: the upper bits of a linear congruential generator */"
    yield "static uint32_t make_samples(uint32_t seed, int16_t *samples)"
    yield "{"
    yield f"    for (uint32_t i = 0; i < {upper}_STEP_SAMPLES; i++) {{"
    yield f"        seed = seed * {MULTIPLIER}u + {INCREMENT}u;"
    yield f"        samples[i] = (int16_t)((int32_t)(seed >> {shift}) - {offset});"
    yield "    }"
    yield "    return seed;"
    yield "}"
    yield ""
    if model.tables:
        yield from _check_of_tables(name, upper)
        yield ""
    yield from text.call(f"int {name}_selftest({name} *self, int16_t *samples, int16_t *out)", 0)
    yield "{"
    yield f"    uint32_t crc = 0, seed = {SEED}u;"
    yield f"    {name}_reset(self);"
    if model.tables:
        yield "    if (!tables_are_whole())"
        yield "        return 1;"
    yield from _last_of_start_up(model)
    yield f"    for (int step = 0; step < {STEPS}; step++) {{"
    yield "        seed = make_samples(seed, samples);"
    yield f"        {name}_step(self, samples, out);"
    yield f"        crc = crc_of(crc, out, 2u * {upper}_STEP_OUTPUTS);"
    yield "    }"
    yield f"    {name}_reset(self);"
    yield from text.comment("what the reference, Tendon's integer interpreter, gave", 4)
    yield f"    return crc == 0x{golden(model.graph):08x}u ? 0 : 2;"
    yield "}"


def _last_of_start_up(model: Model) -> Iterator[str]:
    """Counts of steps before recurrent state begins, one less than they go to."""
    counted = [group for group in model.plan.groups if group.counter is not None]
    if counted:
        says = "The first step is the last before recurrent state begins; the others carry it."
        yield from text.comment(says, 4)
    for group in counted:
        assert group.counter is not None
        counter = model.members[group.counter].name
        yield f"    self->state->{counter}[0] = {group.begin - 1};"


def _check_of_tables(name: str, upper: str) -> Iterator[str]:
    yield "static int tables_are_whole(void)"
    yield "{"
    yield "    uint32_t crc = 0;"
    yield f"    const {name}_table *table = {name}_tables;"
    yield f"    for (uint32_t i = 0; i < {upper}_TABLE_COUNT; i++, table++)"
    yield "        crc = crc_of(crc, table->data, table->bytes);"
    yield f"    return crc == {upper}_TABLES_CRC;"
    yield "}"


def golden(graph: g.Graph) -> int:
    """CRC-32 of the reference's words."""
    return zlib.crc32(np.ascontiguousarray(words(graph).astype("<i2")).tobytes())


def words(graph: g.Graph) -> g.Array:
    """What the reference makes of the samples."""
    reference = IntegerInterpreter(graph)
    reference.shorten_start_up()
    return reference.run(samples(graph)[None])[0]


def samples(graph: g.Graph) -> g.Array:
    """What the function feeds, int16 (samples, inputs)."""
    shift, offset = _range(graph)
    count = STEPS * graph.samples_per_step * graph.input.features
    seed, values = SEED, np.empty(count, np.int64)
    for i in range(count):
        seed = (seed * MULTIPLIER + INCREMENT) % 2**32
        values[i] = (seed >> shift) - offset
    return values.astype(np.int16).reshape(-1, graph.input.features)


def _range(graph: g.Graph) -> tuple[int, int]:
    """Right shift of 32 random bits, and what is taken off, so that samples keep to their range."""
    low, high = graph.input.lo, graph.input.hi
    if low >= 0:
        return 32 - min(MOST_BITS + 1, (high + 1).bit_length() - 1), 0
    bits = min(MOST_BITS, (min(high + 1, -low)).bit_length() - 1)
    return 31 - bits, 2**bits
