"""The integers stay close to the float network, never overflow, and do not drift."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress import graph as g
from compress.errors import GraphError
from compress.frontend import checkpoint
from compress.frontend.lower import lower
from compress.graph.samples import to_int16, to_real
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.ops import arithmetic
from compress.ops.arithmetic import multiplier
from compress.ops.log_softmax import log_softmax
from compress.ops.norm import layer_norm
from compress.ops.state_space import state_space
from compress.ops.tables import fit_table, gelu
from compress.quantization import rounding
from compress.quantization.calibrate import observe
from compress.quantization.precisions import PRECISIONS
from compress.quantization.proof import accumulator_bounds, prove_no_overflow
from compress.quantization.quantize import quantize
from tests.compress.test_streaming import signal
from tests.conftest import HYBRID

INT32 = 2**31


@pytest.mark.parametrize("name", HYBRID)
@pytest.mark.parametrize(
    ("precision", "least_db"), [("w8a16", 35.0), ("w8a8", 30.0), ("w4a16", 17.0)]
)
def test_log_probabilities_stay_close_to_float(name, precision, least_db, quantized):
    real, integer = quantized(name, precision)
    x = signal(30000)[: 30000 // integer.samples_per_step * integer.samples_per_step]
    expected = FloatInterpreter(real).run(x[None].astype(float))[0]
    found = to_real(integer, IntegerInterpreter(integer).run(to_int16(integer, x)[None])[0])
    noise = np.square(found - expected).sum()
    assert 10 * np.log10(np.square(expected).sum() / noise) > least_db


@pytest.mark.parametrize("name", HYBRID)
@pytest.mark.parametrize("precision", sorted(PRECISIONS))
def test_no_accumulator_can_overflow(name, precision, quantized):
    bounds = accumulator_bounds(quantized(name, precision)[1])
    assert bounds
    assert all(b.largest < INT32 for b in bounds)


@pytest.mark.parametrize("precision", sorted(PRECISIONS))
def test_the_worst_input_of_every_row_reaches_its_bound_and_not_more(precision, quantized):
    _, integer = quantized("TC_S4_small", precision)
    bounds = {b.module: b.largest for b in accumulator_bounds(integer)}
    for op in integer.ops:
        if not isinstance(op, g.IntDense):
            continue
        source = integer.tensors[op.inputs[0]]
        peak = max(-source.lo, source.hi)
        rows = op.weight.astype(object).reshape(-1, op.weight[0, 0].size)
        worst = 0
        for row, bias in zip(rows, op.bias.reshape(-1).astype(object), strict=True):
            x = np.where((row >= 0) == (bias >= 0), peak, -peak).astype(object)
            worst = max(worst, abs(int((row * x).sum() + bias)))
        assert worst << op.shift == bounds[op.module]


def test_a_graph_that_could_overflow_is_refused_with_the_operator_named(quantized):
    _, integer = quantized("TC_S4_small", "w8a16")
    ops = list(integer.ops)
    index = next(
        i for i, op in enumerate(ops) if isinstance(op, g.IntDense) and op.weight.shape[2] > 1
    )
    ops[index] = dataclasses.replace(ops[index], bias=np.full_like(ops[index].bias, INT32 - 1))
    with pytest.raises(GraphError, match=ops[index].module.replace(".", r"\.")):
        prove_no_overflow(dataclasses.replace(integer, ops=tuple(ops)))


def test_dead_rows_channels_and_layers_quantize_and_stay_close(published_checkpoint):
    """Pruning leaves rows without weights; their scale must not disturb the others."""
    real = lower(checkpoint.load(published_checkpoint("TC_S4_small")))
    for op in real.ops:
        if isinstance(op, g.Dense):
            op.weight[:, ::3] = 0.0
            op.bias[:, ::3] = 0.0
        if isinstance(op, g.StateSpace):
            op.c[::4], op.d[::4] = 0.0, 0.0
    silent = next(op for op in real.ops if op.module == "model.5.s4_layers.3.output_linear.0")
    silent.weight[:], silent.bias[:] = 0.0, 0.0
    x = signal(96 * 200)
    integer = quantize(real, observe(real, [x]), "w8a16")
    expected = FloatInterpreter(real).run(x[None].astype(float))[0]
    found = to_real(integer, IntegerInterpreter(integer).run(to_int16(integer, x)[None])[0])
    assert 10 * np.log10(np.square(expected).sum() / np.square(found - expected).sum()) > 35


def test_a_row_whose_sum_could_overflow_gets_a_coarser_scale(published_checkpoint):
    """Every weight of every row at full scale: 384 of them pass 2³¹ only together with a large
    bias."""
    real = lower(checkpoint.load(published_checkpoint("TC_S4_small")))
    op = next(op for op in real.ops if isinstance(op, g.Dense) and op.weight[0, 0].size == 384)
    op.weight[:] = np.sign(op.weight) * 0.05
    op.bias[:] = 60.0
    integer = quantize(real, observe(real, [signal(96 * 100)]), "w8a16")
    assert all(b.safe for b in accumulator_bounds(integer))


def test_four_bit_integers_cost_their_sums_less_than_the_nearest_ones():
    """Correlated inputs, as neighbouring electrodes give them: what counts is the error of the
    sums, not of the weights."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 16)) @ rng.normal(size=(16, 60)) + rng.normal(size=(4000, 60)) + 1.0
    weight = rng.standard_t(4, size=(32, 60))
    seen = rounding.moments(60)
    seen.see(x)
    nearest_scale = np.abs(weight).max(-1) / 7
    nearest = np.round(weight / nearest_scale[:, None])
    scale = rounding.scales(weight, seen.covariance, 7)
    found = rounding.integers(weight, scale, seen.covariance, 7)
    assert found.dtype == np.int8 and np.abs(found).max() == 7

    def noise(q, s):
        return ((x - x.mean(0)) @ (q * s[:, None] - weight).T).var()

    assert noise(found, scale) < 0.5 * noise(nearest, nearest_scale)


@pytest.mark.parametrize("value", [8, -8])
def test_a_graph_with_weights_wider_than_it_says_is_refused(value, quantized):
    _, integer = quantized("TC_S4_small", "w4a16")
    index = next(i for i, op in enumerate(integer.ops) if isinstance(op, g.IntDense))
    weight = integer.ops[index].weight.copy()
    weight.flat[5] = value
    ops = (
        *integer.ops[:index],
        dataclasses.replace(integer.ops[index], weight=weight),
        *integer.ops[index + 1 :],
    )
    with pytest.raises(GraphError, match=r"model\.2.*expected weights in −7…7"):
        g.verify(dataclasses.replace(integer, ops=ops))


def wrap32(v: np.ndarray) -> np.ndarray:
    return (v + INT32) % (2 * INT32) - INT32


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_state_space_sums_never_wrap_even_from_extreme_states(seed, quantized):
    _, integer = quantized("TC_S4_small", "w8a16")
    rng = np.random.default_rng(seed)
    op = next(op for op in integer.ops if isinstance(op, g.IntStateSpace))
    state = rng.choice([-32768, 32767, 0, 1], size=(1, *op.a.shape)).astype(np.int64)
    u = rng.choice([-32768, 32767], size=(1, 1, op.a.shape[0])).astype(np.int64)
    a, c = op.a.astype(np.int64), op.c.astype(np.int64)
    re = a[..., 0] * state[..., 0] - a[..., 1] * state[..., 1] + (u[:, 0] * op.g + 2**14)[..., None]
    im = a[..., 0] * state[..., 1] + a[..., 1] * state[..., 0] + 2**14
    assert (re == wrap32(re)).all() and (im == wrap32(im)).all()
    _, after = state_space(u, op, state, *g.INT16)
    out = u[:, 0] * op.d + (c[..., 0] * after[..., 0] - c[..., 1] * after[..., 1]).sum(-1)
    assert (out == wrap32(out)).all()


@given(st.lists(st.integers(2**30, 2**32 - 1), min_size=1, max_size=200))
def test_rsqrt_is_accurate_over_its_range(values):
    m = np.array([*values, 2**30, 2**32 - 1], dtype=np.int64)
    assert np.abs(arithmetic.rsqrt(m) / (2.0**46 / np.sqrt(m)) - 1).max() < 3e-7


@given(st.integers(1, 2**60))
def test_bit_length_is_exact(value):
    assert arithmetic.bit_length(np.array([value, 2**53 - 1, 2**53 + 1]))[0] == value.bit_length()


@pytest.mark.parametrize("scale", [6 / 32768, 12 / 32768])
def test_a_function_table_is_within_half_a_thousandth_of_the_function(scale):
    x = np.arange(-32768, 32768)
    table = fit_table(gelu, scale, scale, *g.INT16)
    assert np.abs(arithmetic.lut(x, table) * scale - gelu(x * scale)).max() < 1e-3


@given(st.integers(0, 2**32 - 1), st.integers(2, 99), st.integers(6, 10))
@settings(max_examples=50, deadline=None)
def test_log_softmax_is_within_two_steps_of_the_real_one(seed, n, fraction):
    rng = np.random.default_rng(seed)
    scale = 30 / 32768
    x = rng.integers(-32768, 32768, size=(1, 3, n))
    mult, shift = multiplier(np.array([scale * 2**fraction]), 65535, "test")
    y = (
        log_softmax(x, g.IntLogSoftmax(("x",), "y", "", int(mult[0]), shift, fraction))
        * 2.0**-fraction
    )
    real = x * scale
    expected = (
        real
        - real.max(-1, keepdims=True)
        - np.log(np.exp(real - real.max(-1, keepdims=True)).sum(-1, keepdims=True))
    )
    lowest = -(2.0 ** (15 - fraction))
    assert np.abs(y - np.maximum(expected, lowest)).max() < 1.5 * 2.0**-fraction + 1e-3


class Between:
    """A plan with nothing but the scales of one operator."""

    def __init__(self, s_in: float, s_out: float) -> None:
        self._source, self._target = (
            g.Tensor(name, 1, Fraction(1)).scaled(scale)
            for name, scale in (("x", s_in), ("y", s_out))
        )

    def source(self, _: g.Op) -> g.Tensor:
        return self._source

    def target(self, _: g.Op) -> g.Tensor:
        return self._target

    def head(self, op: g.Op) -> tuple[tuple[str, ...], str, str]:
        return op.inputs, op.output, op.module


@given(st.integers(0, 2**32 - 1), st.integers(2, 512))
@settings(max_examples=50, deadline=None)
def test_layer_norm_is_within_one_step_of_the_real_one(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.integers(-32768, 32768, size=(1, 2, n)) >> rng.integers(0, 12)
    scale, out = 10 / 32768, 12 / 32768
    op = g.LayerNorm(
        ("x",), "y", "", rng.uniform(0.5, 1.5, (1, n)), rng.uniform(-1, 1, (1, n)), 1e-5
    )
    y = layer_norm(x, op.quantize(Between(scale, out)), *g.INT16)
    real = x * scale
    centred = real - real.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * op.gain + op.bias
    assert np.abs(y - np.clip(expected / out, *g.INT16)).max() <= 1.5
