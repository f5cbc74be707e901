"""Every kernel of firmware/nn equals the integer reference: on this machine and on the emulated
cores, bit for bit."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.bare import cases
from bench.bare.cases import Case, CaseError
from bench.speed import kernel_cases, recurrent_cases, window_cases
from bench.speed.kernel_cases import MODES, Check, Contents
from compress import graph as g
from compress.errors import GraphError
from compress.ops import log_softmax
from compress.ops.arithmetic import lut
from compress.ops.softmax import softmax
from export import compilers
from export.c import pack
from tests.firmware.sweep import (
    EIGHT,
    Build,
    Runner,
    assert_equal,
    drawn,
    every_build,
    linear_checks,
    window_checks,
)

SANITIZERS = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
NATIVE = {"O0": ("-O0",), "O3": ("-O3",), "sanitized": SANITIZERS}
EMULATED = (
    "cortex-m4 gcc -O3",
    "cortex-m4 gcc -O0",
    "cortex-m4 gcc -O2 -DNN_PORTABLE",
    "cortex-m7 gcc -O3",
    "cortex-m33 gcc -O3",
    "cortex-m55 gcc -O3",
    "cortex-m55 gcc -O0",
)
FASTEST = [name for name in EMULATED if name.endswith("-O3")]
# bytes a kernel on average; no model links all: one of the linear kernels, and recurrent ones or
# state spaces
KERNEL_FLASH = 700

contents = st.builds(Contents, st.integers(0, 2**63), st.sampled_from(MODES))
in_place = st.booleans()
any_words = st.booleans()  # in a state, as a snapshot may hold them
even = st.integers(0, 4).map(lambda n: 2 * n)
weight_bits = st.sampled_from([8, 4])
scalar_linear = st.sampled_from(["linear", "linear_s4"])
vector_linear = st.sampled_from(["linear_s16_mve", "linear_s8_mve"])
any_linear = st.builds(
    kernel_cases.linear,
    contents,
    st.integers(1, 70),
    st.integers(1, 13),
    st.integers(1, 8),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    st.booleans(),
    scalar_linear,
)
fast_linear = st.builds(
    kernel_cases.linear,
    contents,
    st.integers(1, 20).map(lambda n: 4 * n),
    st.integers(1, 7).map(lambda n: 2 * n),
    st.integers(1, 8),
    st.tuples(even, even),
    st.just(True),
    scalar_linear,
)
longest_linear = st.builds(
    kernel_cases.linear,
    contents,
    st.sampled_from([512, 516]),
    st.integers(1, 6),
    st.integers(1, 3),
    st.just((0, 0)),
    st.just(True),
    scalar_linear,
)
any_vector_linear = st.builds(
    kernel_cases.linear,
    contents,
    st.integers(16, 90),
    st.integers(8, 21),
    st.integers(1, 4),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    st.booleans(),
    vector_linear,
)
fast_vector_linear = st.builds(
    kernel_cases.linear,
    contents,
    st.one_of(st.just(8), st.integers(8, 90), st.sampled_from([256, 258, 270])).map(
        lambda n: 2 * n
    ),
    st.integers(8, 21),
    st.integers(1, 4),
    st.tuples(even, st.integers(0, 5)),
    st.just(True),
    vector_linear,
)
few = st.integers(1, 4)
fraction = st.integers(0, 14)
around = st.tuples(st.integers(0, 3), st.integers(0, 3))
any_recurrent = st.one_of(
    st.builds(
        kernel_cases.window,
        contents,
        st.integers(1, 9),
        st.integers(1, 3),
        st.integers(0, 3),
        few,
        st.integers(1, 19),
        few,
    ),
    st.builds(kernel_cases.window, contents, st.integers(1, 9), few, few, few, st.just(16), few),
    st.builds(
        kernel_cases.window,
        contents,
        st.integers(1, 5),
        st.integers(1, 3),
        st.integers(0, 3),
        few,
        st.sampled_from([1, 2, 5, 16]),
        few,
        dilation=few,
    ),
    st.builds(recurrent_cases.copy, contents, st.integers(0, 70)),
    st.builds(recurrent_cases.interpolate, contents, few, st.integers(1, 20), st.integers(0, 8)),
    st.builds(
        recurrent_cases.lstm_cell, contents, st.integers(1, 35), few, in_place, any_words=any_words
    ),
    st.builds(recurrent_cases.gru_cell, contents, st.integers(1, 35), few, any_words=any_words),
    st.builds(
        recurrent_cases.integrate,
        contents,
        st.integers(1, 20),
        few,
        fraction,
        st.just(0),
        st.just(0),
        in_place,
        any_words,
    ),
    st.builds(
        recurrent_cases.integrate,
        contents,
        st.integers(1, 20),
        few,
        fraction,
        st.just(3),
        st.integers(0, 3),
        in_place,
        any_words,
    ),
    st.builds(recurrent_cases.integral, contents, st.integers(1, 20), fraction, any_words),
    st.builds(
        recurrent_cases.patches,
        contents,
        few,
        few,
        st.integers(1, 19),
        st.tuples(few, st.integers(1, 5)),
        around,
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
    ),
    st.builds(
        recurrent_cases.repeat,
        contents,
        few,
        few,
        st.integers(1, 19),
        st.integers(1, 3),
        st.integers(1, 3),
    ),
)
depth = st.one_of(st.integers(1, 21), st.sampled_from([4, 8, 12, 16, 32, 36]))
any_of_windows = st.one_of(
    st.builds(window_cases.depthwise, contents, st.integers(1, 40), st.integers(1, 10), few),
    st.builds(
        window_cases.attention_scores,
        contents,
        few,
        st.integers(1, 11),
        st.integers(1, 3),
        depth,
        st.booleans(),
    ),
    st.builds(
        window_cases.attention_context,
        contents,
        st.integers(1, 9),
        st.one_of(st.integers(1, 21), st.integers(56, 70)),
        st.integers(1, 3),
        depth,
        st.booleans(),
    ),
    st.builds(window_cases.softmax, contents, st.integers(1, 70), few, in_place),
    st.builds(
        window_cases.window_unfold,
        contents,
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(1, 5),
        st.integers(0, 3),
        st.integers(1, 3),
        st.integers(-4, 12),
        st.integers(1, 19),
        few,
        st.booleans(),
    ),
    st.builds(window_cases.clear, contents, st.integers(0, 9)),
    st.builds(
        window_cases.rescale, contents, st.integers(1, 21), few, st.integers(0, 3), st.booleans()
    ),
    st.builds(window_cases.gather, contents, few, st.integers(1, 30), st.integers(1, 30)),
    st.builds(window_cases.multiply, contents, st.integers(0, 40), in_place),
    st.builds(window_cases.subtract, contents, st.integers(0, 40), in_place),
    st.builds(window_cases.clamp, contents, st.integers(0, 40), in_place),
    st.builds(
        window_cases.rms_norm,
        contents,
        st.integers(2, 512),
        st.integers(1, 3),
        st.integers(0, 3),
        in_place,
    ),
)
any_other = st.one_of(
    any_recurrent,
    any_of_windows,
    st.builds(
        kernel_cases.mean_pool,
        contents,
        st.integers(1, 9),
        st.integers(1, 4),
        st.integers(1, 40),
        in_place,
    ),
    st.builds(
        kernel_cases.max_pool,
        contents,
        st.integers(1, 9),
        st.integers(1, 4),
        st.integers(1, 40),
        in_place,
    ),
    st.builds(
        kernel_cases.window,
        contents,
        st.integers(1, 9),
        st.integers(1, 5),
        st.integers(0, 6),
        st.integers(1, 4),
        st.integers(1, 7),
    ),
    st.builds(kernel_cases.step, contents, st.integers(0, 40), in_place),
    st.builds(
        kernel_cases.start_up, contents, st.integers(0, 3), st.integers(0, 3), st.integers(0, 9)
    ),
    st.builds(
        kernel_cases.layer_norm,
        contents,
        st.integers(2, 512),
        st.integers(1, 3),
        st.integers(0, 3),
        in_place,
    ),
    st.builds(
        kernel_cases.s4d,
        contents,
        st.integers(1, 6),
        st.integers(1, 18),
        st.integers(1, 4),
        in_place,
    ),
    st.builds(kernel_cases.lut, contents, st.integers(0, 40), in_place),
    st.builds(kernel_cases.glu, contents, st.integers(1, 20), st.integers(1, 3), in_place),
    st.builds(kernel_cases.add, contents, st.integers(0, 40), in_place),
    st.builds(kernel_cases.log_softmax, contents, st.integers(1, 120), st.integers(1, 3), in_place),
)
any_check = st.one_of(
    any_other,
    any_recurrent,
    any_of_windows,
    any_linear,
    any_vector_linear,
    fast_vector_linear,
    fast_linear,
    longest_linear,
)


def need(*tools: str) -> None:
    missing = [t for t in tools if not shutil.which(t)]
    if missing and os.environ.get("CI"):
        pytest.fail(f"missing: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `make tools` installs them")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The case runner for this machine, by kind of build."""
    need("gcc")
    return {
        name: cases.build_native(tmp_path_factory.mktemp(name), *flags)
        for name, flags in NATIVE.items()
    }


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runner]:
    """The case runner for the emulated cores, by core and kind of build."""
    need("arm-none-eabi-gcc", "qemu-system-arm")
    return {name: Build.of(name).runner(tmp_path_factory.mktemp("emulated")) for name in EMULATED}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(checks=st.lists(any_check, min_size=10, max_size=30))
def test_the_portable_kernels_equal_the_reference_under_every_compiler_setting(
    native: dict[str, Path], checks: list[Check]
) -> None:
    for name, program in native.items():
        assert_equal(checks, cases.run_native(program, [c.case for c in checks]), name)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(checks=st.lists(any_check, min_size=10, max_size=40))
def test_the_kernels_on_every_emulated_core_equal_the_reference(
    emulated: dict[str, Runner], checks: list[Check]
) -> None:
    for name, runner in emulated.items():
        assert_equal(checks, runner.run(checks), name)


ALL = os.environ.get("COMPILERS") == "all"
# else those of clang: builds by gcc are EMULATED above, whole images by either in test_compilers
BUILDS = every_build() if ALL else [name for name in EIGHT if "clang" in name]


@pytest.mark.parametrize("name", BUILDS)
def test_one_sweep_over_all_kernels_under_every_compiler(name: str, tmp_path: Path) -> None:
    need("arm-none-eabi-gcc", compilers.clang(), f"ld.{compilers.lld()}", "qemu-system-arm")
    runner = Build.of(name).runner(tmp_path)
    for kernel in kernel_cases.LINEAR:
        runner.check(linear_checks(kernel))
    runner.check(other_checks())
    runner.check(window_checks())


@functools.cache
def other_checks() -> tuple[Check, ...]:
    """Of all kernels but the linear ones, the same each time."""
    return drawn(any_other, 1200)


@pytest.mark.parametrize("kernel", kernel_cases.LINEAR)
def test_one_sweep_over_all_small_shapes_of_a_linear_layer(
    kernel: str, native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    checks = linear_checks(kernel)
    found = cases.run_native(native["sanitized"], [c.case for c in checks])
    assert_equal(checks, found, "sanitized")
    for name in FASTEST:
        emulated[name].check(checks)


def test_one_sweep_over_small_shapes_of_filters_and_attention(emulated: dict[str, Runner]) -> None:
    for name in FASTEST:
        emulated[name].check(window_checks())


@pytest.mark.parametrize("kernel", ["linear", "linear_s16_mve", "linear_s8_mve"])
def test_sums_at_the_edge_of_32_bits_are_exact(
    kernel: str, native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    checks, kind = [], kernel_cases.LINEAR[kernel]
    largest, least = 2**31 - 1, kind.x[0]
    for sign in (1, -1):
        for frames in (1, 3):
            weight, x = (
                np.full((8, 512), 127 * sign, np.int8),
                np.full(512 * frames, least, np.int16),
            )
            bias = np.full(8, -sign * (largest + 127 * 512 * least), np.int32)
            mult = np.array([largest, 2**30, 1, 0] * 2, np.int32)
            exact = -sign * largest * mult.astype(object) + 2**31
            row = np.clip([int(v) >> 32 for v in exact], -32768, 32767).astype(np.int16)
            buffers = kind.tables(weight, bias, mult, frames) | {
                "x": x,
                "y": np.zeros(8 * frames, np.int16),
            }
            checks.append(
                Check(
                    Case(kernel, (512, 8, frames, 512, 8, 0, -32768, 32767), buffers),
                    {"y": np.tile(row, frames)},
                )
            )
    assert_equal(
        checks, cases.run_native(native["sanitized"], [c.case for c in checks]), "sanitized"
    )
    for name in FASTEST:
        assert_equal(checks, emulated[name].run(checks), name)


def test_four_bit_sums_are_exact_although_those_on_the_way_wrap(
    native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    """With eight added to each weight 15·4,681·32,768 passes 2³¹; the sum itself, 7·4,681·32,768 +
    bias, stays just below."""
    checks = []
    for sign in (1, -1):
        for inputs, frames in ((4680, 1), (4680, 2), (4680, 3), (4681, 1)):
            weight, x = (
                np.full((4, inputs), 7 * sign, np.int8),
                np.full(inputs * frames, -32768, np.int16),
            )
            bias = np.full(4, -sign * (2**31 - 1 - 7 * inputs * 32768), np.int32)
            buffers = {
                "table": pack.pack_linear(weight, frames, 4),
                "second": bias,
                "third": np.full(4, 2**15, np.int32),
                "x": x,
            }
            buffers["y"] = np.zeros(4 * frames, np.int16)
            row = (-sign * (2**31 - 1) * 2**15 + 2**31) >> 32
            case = Case("linear_s4", (inputs, 4, frames, inputs, 4, 0, -32768, 32767), buffers)
            checks.append(Check(case, {"y": np.full(4 * frames, row, np.int16)}))
    assert_equal(
        checks, cases.run_native(native["sanitized"], [c.case for c in checks]), "sanitized"
    )
    for name in FASTEST:
        assert_equal(checks, emulated[name].run(checks), name)


def test_a_step_of_an_lstm_and_a_convolution_in_groups_are_what_the_reference_says(
    native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    """The calls an export makes of them, with every kernel of linear layers."""
    for kernel in ("linear", "linear_s4", "linear_s16_mve", "linear_s8_mve"):
        checks = []
        for i, mode in enumerate(MODES):
            checks += recurrent_cases.lstm_step(Contents(i, mode), 12, 20, kernel)
            checks += recurrent_cases.banded_convolution(Contents(i, mode), 4, 16, 5, 6, kernel)
        assert_equal(
            checks, cases.run_native(native["sanitized"], [c.case for c in checks]), "sanitized"
        )
        for name in FASTEST:
            assert_equal(checks, emulated[name].run(checks), name)


@pytest.mark.parametrize("kernel", ["linear", "linear_s4", "linear_s16_mve", "linear_s8_mve"])
def test_the_widest_layers_of_pose_networks_are_exact(
    kernel: str, emulated: dict[str, Runner]
) -> None:
    """4352 inputs (34 columns of 128 channels), 2048 rows (gates of 512 cells), 512 frames (16
    groups of 32)."""
    shapes = ((4352, 64, 1), (4352, 10, 2), (18, 2048, 1), (18, 2048, 2), (144, 16, 512))
    checks = [
        kernel_cases.linear(Contents(i), *shape, kernel=kernel) for i, shape in enumerate(shapes)
    ]
    for name in FASTEST:
        assert_equal(checks, emulated[name].run(checks), name)


def test_every_int16_goes_through_a_table_as_the_reference_says(
    native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    table = np.random.default_rng(1).integers(-32768, 32768, 257).astype(np.int16)
    x = np.arange(-32768, 32768).astype(np.int16)
    case = Case("lut", (x.size,), {"table": table, "x": x, "y": np.zeros_like(x)})
    checks = [Check(case, {"y": lut(x.astype(np.int64), table).astype(np.int16)})]
    assert_equal(checks, cases.run_native(native["O3"], [case]), "O3")
    for name in FASTEST:
        assert_equal(checks, emulated[name].run(checks), name)


def test_every_distance_from_the_largest_value_goes_through_the_table_of_softmax(
    native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    """All that lies up to 32,767 steps of 2⁻¹¹ nats below, and one value alone."""
    x = np.arange(32767, -1, -1).astype(np.int16)
    checks = []
    for row in (x, x[:1]):
        values, shift, mult = row.astype(np.int64), 1, 2**31 - 1
        op = g.IntSoftmax(("x",), "y", "", 1, mult, shift)
        case = Case("softmax", (mult, row.size, 1, shift), {"x": row, "y": np.zeros_like(row)})
        checks.append(Check(case, {"y": softmax(values, op).astype(np.int16)}))
    assert checks[1].expected["y"] == 32767
    assert_equal(
        checks, cases.run_native(native["sanitized"], [c.case for c in checks]), "sanitized"
    )
    for name in FASTEST:
        assert_equal(checks, emulated[name].run(checks), name)


def test_a_cell_is_held_to_its_limits_and_every_gate_goes_through_its_table(
    native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    """Gates fully open drive the cell to either limit, where it stays; then all int16 as each of
    the gates."""
    open_gates = np.full((140, 4, 8), 32767, np.int16)
    open_gates[:, 2, ::2] = -32768
    tables = (
        (np.arange(257) * 32767 // 256).astype(np.int16),
        (np.arange(-128, 129) * 32767 // 128).astype(np.int16),
    )
    checks = [
        recurrent_cases.lstm_cell(
            Contents(1), 8, 140, gates=open_gates.reshape(140, -1), tables=tables
        )
    ]
    limits = [-recurrent_cases.CELL_MAX, recurrent_cases.CELL_MAX] * 4
    np.testing.assert_array_equal(checks[0].expected["state"], limits)
    for gate in range(4):
        gates = Contents(gate).integers(-32768, 32767, (64, 4, 1024))
        gates[:, gate] = np.arange(-32768, 32768).reshape(64, 1024)
        checks.append(
            recurrent_cases.lstm_cell(Contents(gate), 1024, 64, gates=gates.reshape(64, -1))
        )
    assert_equal(
        checks, cases.run_native(native["sanitized"], [c.case for c in checks]), "sanitized"
    )
    for name in FASTEST:
        assert_equal(checks, emulated[name].run(checks), name)


def test_a_hidden_state_is_held_to_its_limits_and_every_input_goes_through_its_table(
    native: dict[str, Path], emulated: dict[str, Runner]
) -> None:
    """A gate that lets the new value in drives the state to either end; then all int16 as each of
    the inputs."""
    tables = (
        (np.arange(257) * 32767 // 256).astype(np.int16),
        (np.arange(-128, 129) * 32767 // 128).astype(np.int16),
    )
    gates, a, b = (np.full((40, width), 32767, np.int16) for width in (16, 8, 8))
    gates[:, 8:], a[:, ::2], b[:, ::2] = -32768, -32768, -32768
    checks = [recurrent_cases.gru_cell(Contents(1), 8, 40, (gates, a, b), tables)]
    np.testing.assert_array_equal(checks[0].expected["state"], [-32767 << 9, 32766 << 9] * 4)
    every = np.arange(-32768, 32768).astype(np.int16).reshape(64, 1024)
    for place in range(4):
        gates, a, b = (Contents(place).integers(-32768, 32767, (64, w)) for w in (2048, 1024, 1024))
        target = (gates[:, :1024], gates[:, 1024:], a, b)[place]
        target[:] = every
        checks.append(recurrent_cases.gru_cell(Contents(place), 1024, 64, (gates, a, b)))
    assert_equal(
        checks, cases.run_native(native["sanitized"], [c.case for c in checks]), "sanitized"
    )
    for name in FASTEST:
        assert_equal(checks, emulated[name].run(checks), name)


def test_a_kernel_that_left_its_buffers_would_be_noticed(native: dict[str, Path]) -> None:
    """The checks of this file bite: told of one value more than there is, a kernel is caught,
    writing or reading."""
    x, y = np.zeros(9, np.int16), np.ones(8, np.int16)
    writes = Case("add", (9,), {"second": x, "x": x, "y": y})
    assert not cases.run_native(native["O3"], [writes])[0].intact
    reads = Case("add", (9,), {"second": x, "x": y, "y": x})
    for case in (writes, reads):
        with pytest.raises(CaseError, match="AddressSanitizer"):
            cases.run_native(native["sanitized"], [case])


def test_all_kernels_together_are_small(tmp_path: Path) -> None:
    need("arm-none-eabi-gcc")
    kernels = [s for s in cases.sources()[1:] if not s.stem.endswith("_mve")]
    for source in kernels:
        command = [
            "arm-none-eabi-gcc",
            "-mcpu=cortex-m4",
            "-mthumb",
            *cases.WARNINGS,
            "-O3",
            "-c",
            str(source),
        ]
        subprocess.run([*command, "-o", str(tmp_path / f"{source.stem}.o")], check=True)
    sizes = subprocess.run(
        ["arm-none-eabi-size", *tmp_path.glob("*.o")], capture_output=True, text=True, check=True
    ).stdout
    total = sum(int(line.split()[0]) for line in sizes.splitlines()[1:])
    assert 1000 < total <= KERNEL_FLASH * len(kernels)


def test_the_tables_of_log_softmax_are_those_of_the_definition() -> None:
    header = (cases.ROOT / "firmware" / "nn" / "nn_log_softmax_tables.h").read_text()
    bodies = re.findall(r"\{([^}]*)\}", header)
    tables = [
        np.array([int(v) for v in body.replace("\n", " ").split(",") if v.strip()])
        for body in bodies
    ]
    np.testing.assert_array_equal(tables[0], log_softmax.EXP)
    np.testing.assert_array_equal(tables[1], log_softmax.LOG)


def test_the_table_of_softmax_is_that_of_the_definition() -> None:
    source = (cases.ROOT / "firmware" / "nn" / "nn_softmax_s16.c").read_text()
    body = re.search(r"exponentials\[257\] = \{([^}]*)\}", source)
    assert body
    table = [int(v) for v in body.group(1).replace("\n", " ").split(",") if v.strip()]
    np.testing.assert_array_equal(np.array(table) + 32768, log_softmax.EXP)


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 12))
def test_packing_of_taps_keeps_every_weight(seed: int, channels: int, kernel: int) -> None:
    weight = np.random.default_rng(seed).integers(-127, 128, (channels, kernel)).astype(np.int8)
    packed = pack.pack_taps(weight)
    assert packed.dtype == np.int16 and packed.shape == (-(-kernel // 2), channels, 2)
    found = packed.transpose(1, 0, 2).reshape(channels, -1)
    np.testing.assert_array_equal(found[:, :kernel], weight)
    assert not found[:, kernel:].any()


@given(
    seed=st.integers(0, 2**32),
    out=st.integers(1, 12),
    inputs=st.integers(1, 12),
    frames=st.integers(1, 3),
    bits=weight_bits,
)
def test_packing_keeps_every_weight_and_takes_the_bytes_announced(
    seed: int, out: int, inputs: int, frames: int, bits: int
) -> None:
    limit = 2 ** (bits - 1) - 1
    weight = np.random.default_rng(seed).integers(-limit, limit + 1, (out, inputs)).astype(np.int8)
    packed = pack.pack_linear(weight, frames, bits)
    assert packed.nbytes == pack.packed_bytes(out, inputs, frames, bits)
    np.testing.assert_array_equal(
        (unpack if bits == 8 else unpack_nibbles)(packed, out, inputs, frames), weight
    )


@given(
    seed=st.integers(0, 2**32),
    out=st.integers(8, 30),
    inputs=st.integers(16, 70),
    name=st.sampled_from(sorted(pack.LANES)),
)
def test_packing_for_vectors_keeps_every_weight_bias_and_mult(
    seed: int, out: int, inputs: int, name: str
) -> None:
    rng, lanes = np.random.default_rng(seed), pack.LANES[name]
    weight = rng.integers(-127, 128, (out, inputs)).astype(np.int8)
    bias, mult = (rng.integers(-(2**31), 2**31, out).astype(np.int32) for _ in range(2))
    rows, steps = lanes.rows, -(-inputs // 16)
    blocks = pack.pack_lanes(weight, bias, mult, lanes).reshape(
        -(-out // rows), rows * (16 * steps + 8)
    )
    order = np.concatenate(
        [
            np.arange(first, first + rows)
            for first in [min(n, out - rows) for n in range(0, out, rows)]
        ]
    )
    found = (
        blocks[:, 4 * rows : -4 * rows]
        .reshape(-1, steps, rows, 16)
        .transpose(0, 2, 1, 3)
        .reshape(-1, 16 * steps)
    )
    rest = inputs % 16 or 16
    np.testing.assert_array_equal(found[:, : inputs - rest], weight[order, : inputs - rest])
    np.testing.assert_array_equal(found[:, 16 * steps - rest :], weight[order, inputs - rest :])
    assert not found[:, inputs - rest : 16 * steps - rest].any()
    np.testing.assert_array_equal(
        blocks[:, -4 * rows :].copy().view("<i4").reshape(-1), mult[order]
    )
    wrapped = blocks[:, : 4 * rows].copy().view("<i4").reshape(-1) - bias[order].astype(np.int64)
    np.testing.assert_array_equal(
        (wrapped - lanes.zero * weight[order].sum(1, dtype=np.int64)) % 2**32, 0
    )


def unpack(packed: np.ndarray, out: int, inputs: int, frames: int) -> np.ndarray:
    """The layouts of nn_linear_s8_s16.c read back."""
    padded = -(-inputs // 4) * 4
    if frames > 1:
        return packed.reshape(-1, padded, 2).transpose(0, 2, 1).reshape(-1, padded)[:out, :inputs]
    pairs = (
        packed.view("<i2").reshape(-1, padded // 2, 2, 2).transpose(0, 2, 1, 3).reshape(-1, padded)
    )
    first = pairs.astype(np.int8)
    return np.stack([first, (pairs.astype(int) - first) // 256], 1).reshape(-1, padded)[
        :out, :inputs
    ]


def unpack_nibbles(packed: np.ndarray, out: int, inputs: int, frames: int) -> np.ndarray:
    """The layouts of nn_linear_s4_s16.c read back, weight by weight."""
    words, steps, pairs = packed.view("<u4"), -(-inputs // 4), 2 if frames == 1 else 1
    found = np.zeros((out, inputs), np.int64)
    for n, k in np.ndindex(out, inputs):
        word = words[(n // 2 // pairs * steps + k // 4) * pairs + n // 2 % pairs]
        found[n, k] = (int(word) >> [0, 16, 8, 24][k % 4] + 4 * (n % 2) & 15) - 8
    return found


def test_packing_refuses_what_16_bits_cannot_hold() -> None:
    with pytest.raises(GraphError, match="−128"):
        pack.pack_linear(np.full((1, 4), -128, np.int8), 1)
    with pytest.raises(GraphError, match="−7…7, found −8…−8"):
        pack.pack_linear(np.full((1, 4), -8, np.int8), 1, 4)
    with pytest.raises(GraphError, match="int16"):
        pack.pack_linear(np.zeros((1, 4), np.int16), 1)
    with pytest.raises(GraphError, match="at least 8 rows of 16 inputs, found 7 of 16"):
        pack.pack_lanes(
            np.zeros((7, 16), np.int8),
            *np.zeros((2, 7), np.int32),
            pack.LANES["nn_linear_s8_s8_mve"],
        )
    with pytest.raises(GraphError, match="one shape"):
        pack.pack_s4d(
            np.zeros((2, 3, 2), np.int16),
            np.zeros((2, 4, 2), np.int16),
            *np.zeros((3, 2), np.int32),
        )
