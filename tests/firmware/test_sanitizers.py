"""Kernels and whole networks do nothing that C leaves undefined and touch nothing that is not
theirs, by gcc and by clang, whatever a state holds; and from any state the words are the
reference's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.bare import cases
from bench.bare.cores import CLANG
from bench.speed import kernel_cases
from compress import graph as g
from compress.frontend.lower import lower
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export.boards import FAMILIES
from export.c import emit
from host import native
from tests.compress.test_pose_networks import tiny
from tests.compress.test_pose_stream import loaded
from tests.export import loops, own
from tests.firmware.snapshots import any_state, begin_from
from tests.firmware.sweep import assert_equal, linear_checks, window_checks
from tests.firmware.test_kernels import other_checks
from tests.toy import need

SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILERS = {"gcc": "gcc", "clang": CLANG[0]}
MAIN = """#include "model.h"
#include <stdio.h>

/* A state, how many steps to take from it, and their samples; again and again */
int main(void)
{
    static int16_t in[MODEL_SAMPLES_PER_STEP * MODEL_INPUTS];
    static int16_t out[MODEL_FRAMES_PER_STEP * MODEL_OUTPUTS];
    unsigned steps;
    while (fread(model_state(), MODEL_STATE_BYTES, 1, stdin) == 1) {
        if (fread(&steps, sizeof steps, 1, stdin) != 1)
            return 1;
        for (; steps; steps--) {
            if (fread(in, sizeof in, 1, stdin) != 1)
                return 1;
            model_step(in, out);
            fwrite(out, sizeof out, 1, stdout);
        }
    }
    return 0;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_kernel_is_clean_and_equals_the_reference(compiler: str, tmp_path: Path) -> None:
    need(COMPILERS[compiler])
    program = cases.build_native(tmp_path, *SANITIZERS, compiler=COMPILERS[compiler])
    sweeps = [*map(linear_checks, kernel_cases.LINEAR), other_checks(), window_checks()]
    for checks in sweeps:
        assert_equal(checks, cases.run_native(program, [c.case for c in checks]), compiler)


def pose(precision: str = "w8a16") -> g.Graph:
    """A tracker with an LSTM, whose pose is integrated from one that the stream begins with."""
    real = lower(loaded(tiny("VEMG2PoseWithInitialState")))
    return quantize(real, observe(real, [loops.signal_of(real, 40)]), precision)


NETWORKS: dict[str, Callable[[], g.Graph]] = {
    "pose": pose,
    "pose w4a16": lambda: pose("w4a16"),
    "LSTM": lambda: loops.integer(loops.lstm_convolution_lstm()),
    "GRU": lambda: loops.integer(loops.gru_convolution_gru()),
    "integrals": lambda: loops.integer(loops.two_integrals()),
    "state spaces": lambda: loops.integer(loops.state_spaces()),
    **{
        make.__name__: lambda make=make: loops.integer(make())  # type: ignore[misc]
        for make in (*own.STREAMS, *own.WINDOWS)
        if make is not own.joins  # which keeps nothing
    },
}


def built(graph: g.Graph, folder: Path, compiler: str, family: str) -> Path:
    """The program of MAIN around an exported network, under the sanitizers."""
    files = emit.files(emit.build(graph, family)) | {"main.c": MAIN.encode()}
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)
    sources = [Path(name).name for name in files if name.endswith(".c")]
    kernels = [str(native.NN / f"{kernel}.c") for kernel in emit.kernels(graph, family)]
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion"]
    include = ["-I", str(native.NN), "-I."]
    subprocess.run(
        [COMPILERS[compiler], *warnings, *SANITIZERS, *include, *sources, *kernels, "-o", "model"],
        cwd=folder,
        check=True,
    )
    return folder / "model"


def samples_of(graph: g.Graph, steps: int, rng: np.random.Generator) -> g.Array:
    """int16 (samples, inputs): noise, of which half is at full scale."""
    shape = (steps * graph.samples_per_step, graph.input.features)
    loud = rng.choice([graph.input.lo, graph.input.hi], shape)
    quiet = rng.integers(-300, 300, shape)
    return np.where(rng.integers(2, size=shape[:1])[:, None], loud, quiet).astype("<i2")


def steps_from_any_states(graph: g.Graph, program: Path, steps: int, streams: int) -> None:
    """The reference's words from states whose frames are in range, of streams that have begun and
    of others; from states of any bytes, nothing undefined."""
    rng, sent, expected = np.random.default_rng(1), [], []
    for stream in range(3 * streams):
        held = stream < 2 * streams
        state = any_state(graph, rng, held=held, begun=stream % 2 == 0)
        x = samples_of(graph, steps, rng)
        sent += [state, np.uint32(steps).tobytes(), x.tobytes()]
        if held:
            machine = IntegerInterpreter(graph)
            begin_from(machine, state)
            expected.append(machine.run(x[None])[0])
    done = subprocess.run([program], input=b"".join(sent), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found = np.frombuffer(done.stdout, "<i2").reshape(3 * streams, -1, graph.output.features)
    np.testing.assert_array_equal(found[: 2 * streams], np.stack(expected))


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_says_the_words_of_the_reference_from_any_state(
    name: str, compiler: str, tmp_path: Path
) -> None:
    need(COMPILERS[compiler])
    graph = NETWORKS[name]()
    program = built(graph, tmp_path, compiler, "dsp")
    steps_from_any_states(graph, program, steps=10, streams=6)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("precision", "family"), [("w8a16", FAMILIES[-1]), ("w4a16", "dsp")])
def test_a_typing_network_does_so_too(
    precision: str, family: str, compiler: str, quantized, tmp_path: Path
) -> None:
    need(COMPILERS[compiler])
    _, graph = quantized("TC_S4_small", precision)
    program = built(graph, tmp_path, compiler, family)
    steps_from_any_states(graph, program, steps=4, streams=3)
