"""The exported C, compiled for this machine, gives the reference's words: bit for bit, at any
optimization, with sanitizers."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compress import graph as g
from compress.frontend import checkpoint
from compress.graph.samples import to_int16, to_real
from compress.interpreter.integer import IntegerInterpreter
from export.boards import FAMILIES
from export.c import emit
from host import native
from tests.compress.test_streaming import signal


def samples_for(graph: g.Graph, seconds: float) -> np.ndarray:
    """int16 (samples, 32): bursts, then a stretch at full scale that saturates whatever can
    saturate."""
    x = to_int16(graph, signal(round(seconds * 2000)))
    x[len(x) // 2 : len(x) // 2 + 400] = np.random.default_rng(1).choice(
        [-32768, 32767], size=(400, 32)
    )
    return x[: len(x) // graph.samples_per_step * graph.samples_per_step]


@pytest.mark.parametrize(
    ("name", "precision", "seconds"),
    [
        ("TC_S4_small", "w8a16", 60),
        ("TC_S4_small", "w8a8", 20),
        ("TC_S4_small", "w4a16", 20),
        ("TC_S4_medium", "w8a16", 10),
        ("S4_large", "w8a16", 6),
    ],
)
def test_native_c_equals_the_reference_on_every_word(name, precision, seconds, quantized, tmp_path):
    _, graph = quantized(name, precision)
    x = samples_for(graph, seconds)
    expected = IntegerInterpreter(graph).run(x[None])[0]
    for family in FAMILIES if name == "TC_S4_small" else FAMILIES[:1]:
        assert np.array_equal(native.load(graph, tmp_path, family=family).run(x), expected), family


SANITIZERS = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


@pytest.mark.parametrize(
    ("flags", "precision", "family"),
    [
        (("-O0",), "w8a16", "dsp"),
        (("-O3",), "w8a8", "mve"),
        (SANITIZERS, "w8a16", "dsp"),
        (SANITIZERS, "w8a16", "mve"),
    ],
)
def test_every_optimization_and_the_sanitizers_agree(flags, precision, family, quantized, tmp_path):
    """A program of its own, since the address sanitizer has to be loaded first."""
    _, graph = quantized("TC_S4_small", precision)
    x = samples_for(graph, 12)
    expected = IntegerInterpreter(graph).run(x[None])[0]
    files = emit.files(emit.build(graph, family))
    for name, content in files.items():
        (tmp_path / Path(name).name).write_bytes(content)
    (tmp_path / "main.c").write_text(
        '#include "model.h"\n#include <stdio.h>\nint main(void) {\n    int16_t'
        " in[MODEL_SAMPLES_PER_STEP * MODEL_INPUTS], out[MODEL_OUTPUTS];\n    model_reset();\n   "
        " while (fread(in, sizeof in, 1, stdin) == 1) { model_step(in, out); fwrite(out, sizeof"
        " out, 1, stdout); }\n    return 0;\n}\n"
    )
    sources = [
        "main.c",
        *(Path(name).name for name in files if name.endswith(".c")),
        *(str(native.NN / f"{k}.c") for k in emit.kernels(graph, family)),
    ]
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion"]
    subprocess.run(
        ["gcc", *warnings, *flags, "-I", str(native.NN), "-I.", *sources, "-o", "model"],
        cwd=tmp_path,
        check=True,
    )
    done = subprocess.run([tmp_path / "model"], input=x.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert np.array_equal(np.frombuffer(done.stdout, np.int16).reshape(expected.shape), expected)


def test_ten_minutes_of_stream_do_not_drift(quantized, published_checkpoint, tmp_path):
    """The same half minute twenty times: the error of the last is that of the first, so no state
    wanders."""
    _, graph = quantized("TC_S4_small", "w8a16")
    period = signal(96 * 625)
    x = np.tile(period, (20, 1))
    expected = checkpoint.forward(checkpoint.load(published_checkpoint("TC_S4_small")), x)
    error = np.square(
        to_real(graph, native.load(graph, tmp_path).run(to_int16(graph, x))) - expected
    )
    per_period = error.reshape(20, 625, -1).mean((1, 2))
    assert per_period[-1] <= 1.1 * per_period[0]


def test_exporting_twice_gives_identical_bytes(quantized):
    _, graph = quantized("TC_S4_small", "w8a16")
    assert emit.files(emit.build(graph)) == emit.files(emit.build(graph))


def test_four_bits_halve_the_weights_and_change_no_other_size(quantized):
    wide, narrow = (
        emit.build(quantized("TC_S4_small", precision)[1]) for precision in ("w8a16", "w4a16")
    )
    assert {name: table.nbytes for name, table in narrow.tables.items() if "_weights" in name} == {
        name: table.nbytes // 2 for name, table in wide.tables.items() if "_weights" in name
    }
    assert {name: t.nbytes for name, t in narrow.tables.items() if "_weights" not in name} == {
        name: t.nbytes for name, t in wide.tables.items() if "_weights" not in name
    }
    assert (
        narrow.plan.arena_bytes == wide.plan.arena_bytes
        and narrow.plan.state_bytes == wide.plan.state_bytes
    )
    assert "nn_linear_s4_s16" in emit.kernels(
        narrow.graph
    ) and "nn_linear_s8_s16" not in emit.kernels(narrow.graph)


def test_vectors_are_for_the_layers_that_suit_them(quantized):
    _, wide = quantized("TC_S4_small", "w8a16")
    _, narrow = quantized("TC_S4_small", "w8a8")
    assert "nn_linear_s8_s16_mve" in emit.kernels(
        wide, "mve"
    ) and "nn_linear_s8_s8_mve" not in emit.kernels(wide, "mve")
    assert "nn_linear_s8_s8_mve" in emit.kernels(narrow, "mve")
    assert not any(name.endswith("_mve") for name in emit.kernels(narrow))


def test_the_generated_step_is_one_kernel_call_per_line_without_float_or_malloc(
    quantized,
):
    _, graph = quantized("TC_S4_small", "w8a16")
    source = emit.files(emit.build(graph))["model/tc_s4_small.c"].decode()
    step = source[source.index("    nn_mean_pool_s16(") : -len("}\n")]
    code = re.sub(r"/\*.*?\*/", "", step, flags=re.DOTALL)
    statements = [" ".join(words.split()) for words in code.split(";") if words.split()]
    assert all(re.fullmatch(r"(nn_\w+|TAP)\(.*\)", statement) for statement in statements)
    assert sum(statement.startswith("TAP") for statement in statements) == len(graph.ops)
    assert "malloc" not in source and "float" not in source and "double" not in source


def test_the_arena_is_as_small_as_the_lifetimes_allow(quantized):
    for name in ("TC_S4_small", "TC_S4_medium", "S4_large"):
        plan = emit.build(quantized(name, "w8a16")[1]).plan
        assert plan.arena_minimal and plan.arena_bytes == plan.lower_bound_bytes
        for a, b in itertools.combinations(plan.buffers, 2):
            for s, t in itertools.product(a.tensors.values(), b.tensors.values()):
                if s.first <= t.last and t.first <= s.last:
                    assert a.offset + s.size <= b.offset or b.offset + t.size <= a.offset
