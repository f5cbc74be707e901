"""The rows of the table of kernels: which kernel on which core, what its target is, and the floor
its instructions stand on.

A floor is derived in words: what one turn of the innermost loop cannot do without on that core,
loads, unpacks and multiply-accumulates, per MAC (or per the unit named). Requantization, call and
loop control come on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from bench.speed import kernel_cases, recurrent_cases, window_rows
from bench.speed.kernel_cases import Check, Contents
from bench.speed.layers import LAYERS, Layer
from bench.speed.row import Alone, Floor, Row
from bench.speed.window_rows import DSP_CORES, VECTOR_CORE


def rows() -> list[Row]:
    """All rows, core by core and precision by precision."""
    found = []
    for core in DSP_CORES:
        found += [_linear(layer, core, "w8a16", 8) for layer in LAYERS]
        found += [_linear(layer, core, "w4a16", 4) for layer in LAYERS]
        found += [*_of_several_calls(core, "w8a16"), *_others(core)]
    found += [_vector_linear(layer, "w8a16") for layer in LAYERS]
    found += [*_of_several_calls(VECTOR_CORE, "w8a16"), *_others(VECTOR_CORE)]
    found += [_vector_linear(layer, "w8a8") for layer in LAYERS]
    found += _of_several_calls(VECTOR_CORE, "w8a8")
    found += [
        replace(row, precision="w8a8") for row in _others(VECTOR_CORE) if row.target is not None
    ]  # states keep 16 bits
    return found


# --- linear layers --------------------------------------------------------------------------------


def _linear(layer: Layer, core: str, precision: str, bits: int) -> Row:
    kernel = "linear" if bits == 8 else "linear_s4"
    floor = dsp_floor(layer.windows) if bits == 8 else dsp_floor_s4(layer.windows)
    return _row_of(layer, core, precision, kernel, kernel, floor)


def _vector_linear(layer: Layer, precision: str) -> Row:
    """8-bit weights with a Cortex-M55's vectors."""
    case, floor = VECTOR_KERNELS[precision]
    return _row_of(layer, VECTOR_CORE, precision, "linear", case, floor)


def _row_of(layer: Layer, core: str, precision: str, name: str, case: str, floor: Floor) -> Row:
    """`case`: the kernel's name in kernel_cases.LINEAR."""

    def make(contents: Contents) -> list[Check]:
        gaps = (layer.gap, layer.gap and layer.out)
        return [
            kernel_cases.linear(contents, layer.inputs, layer.out, layer.windows, gaps, kernel=case)
        ]

    target = layer.targets.get((core, precision))
    return Row(
        name,
        layer.shape,
        core,
        precision,
        make,
        layer.macs,
        floor=floor,
        target=target,
        peer=_peer_of(layer, core),
    )


def _peer_of(layer: Layer, core: str) -> int | None:
    """A Cortex-M7 executes the Cortex-M4's instructions of CMSIS-NN too."""
    return layer.peer.get("cortex-m4" if core in DSP_CORES else core)


def dsp_floor(frames: int) -> Floor:
    """Of 8-bit weights on Armv7E-M: one frame by four rows that share halfwords, several frames by
    threes and twos."""
    if frames == 1:
        return Floor(
            15 / 16,
            "4 rows × 4 inputs: 1 load of x, 2 of weights, 4 SXTB16, 4 SMLAD, 4 SMLALD = 15 for 16"
            " MACs",
        )
    threes = frames // 3 - (frames % 3 == 1)
    twos = (frames - 3 * threes) // 2
    each = (threes * 3 * 23 / 24 + twos * 2 * 15 / 16) / frames
    three = (
        "2 rows × 3 frames × 4 inputs: 1 load of weights, 4 SXTB16, 6 loads of x, 12 SMLAD = 23 for"
        " 24 MACs"
    )
    two = (
        "2 rows × 2 frames × 4 inputs: 1 load of weights, 4 SXTB16, 2 loads of x, 8 SMLAD = 15 for"
        " 16 MACs"
    )
    return Floor(each, "; ".join(words for words, count in ((three, threes), (two, twos)) if count))


def dsp_floor_s4(frames: int) -> Floor:
    """Of 4-bit weights: several frames as with 8 bits, two loads of weights less and as much more
    to unpack."""
    if frames == 1:
        return Floor(
            18 / 16, "4 rows × 4 inputs: 1 load of x, 1 of weights, 8 AND, 8 SMLAD = 18 for 16 MACs"
        )
    wide = dsp_floor(frames)
    return Floor(wide.per_unit, wide.words.replace("SXTB16", "AND"))


VECTOR_KERNELS = {
    "w8a16": (
        "linear_s16_mve",
        Floor(
            15 / 64,
            "4 rows × 16 inputs: 2 loads of x, which part its bytes, 1 VEOR, 4 loads of weights, 8"
            " VMLADAVA = 15 for 64 MACs",
        ),
    ),
    "w8a8": (
        "linear_s8_mve",
        Floor(
            18 / 128, "8 rows × 16 inputs: 2 loads of x, 8 of weights, 8 VMLADAVA = 18 for 128 MACs"
        ),
    ),
}


# --- layers that are several calls ----------------------------------------------------------------

TDS_FRAMES, TDS_CHANNELS, TDS_KERNEL, TDS_GROUPS = 32, 16, 9, 16


def _of_several_calls(core: str, precision: str) -> Iterator[Row]:
    """Steps of recurrent layers, and a convolution over frames that all groups of features share:
    MACs of the layer in them."""
    case, vector_floor = ("linear", None) if core in DSP_CORES else VECTOR_KERNELS[precision]
    for step in recurrent_cases.STEPS:
        yield step.row(core, precision, case, vector_floor or dsp_floor(1))
    yield Row(
        "tds conv",
        f"{TDS_CHANNELS}ch k{TDS_KERNEL}, {TDS_GROUPS} groups, {TDS_FRAMES} frames",
        core,
        precision,
        lambda contents: recurrent_cases.banded_convolution(
            contents, TDS_FRAMES, TDS_CHANNELS, TDS_KERNEL, TDS_GROUPS, case
        ),
        TDS_FRAMES * TDS_GROUPS * TDS_KERNEL * TDS_CHANNELS**2,
        floor=vector_floor or dsp_floor(TDS_FRAMES * TDS_GROUPS),
    )


# --- everything else ------------------------------------------------------------------------------


def _others(core: str) -> Iterator[Row]:
    """Kernels whose unit is a value, a sample or a state."""
    for kernel, shape, make, units, unit, dsp in OTHERS:
        target = S4D_TARGETS[core] if kernel == "s4d" else None
        floor = dsp if core in DSP_CORES else VECTOR_FLOORS.get(kernel)
        yield Row(kernel, shape, core, "w8a16", _alone(make), units, unit, floor, target)
    yield from window_rows.rows(core)


def _alone(make: Callable[[Contents], Check]) -> Callable[[Contents], list[Check]]:
    return lambda contents: [make(contents)]


S4D_TARGETS = {"cortex-m4": 14.0, "cortex-m7": 14.0, "cortex-m55": 6.0}
VECTOR_FLOORS = recurrent_cases.VECTOR_FLOORS | {
    "layer_norm": Floor(
        23 / 8,
        "8 values: load, VADDVA, VMLALDAVA for the statistics; 2 × load, VMLAS, VRMULH, 2 loads of"
        " gain and bias, VRMULH, VADD, VMAX, VMIN, store",
    ),
    "mean_pool": Floor(
        15 / 16,
        "8 samples: load, VMOVLB, VMOVLT, 2 VADD; 8 outputs, of 32 samples: 2 × VSHL, VRMULH, VMAX,"
        " VMIN; VMOVNT, store",
    ),
    "lut": Floor(
        16 / 8,
        "8 values: load, VEOR, VSHR, 2 gathers, VAND, VSUB, 4 VMULL, 2 VADD, 2 VRSHRN, store",
    ),
    "glu": Floor(18 / 8, "8 values: a lut without its store, 1 load, VQRDMULH, store"),
    "add": Floor(4 / 8, "8 values: 2 loads, VQADD, store"),
    "s4d": Floor(
        11 / 4,
        "4 states: 2 loads of a and c, 1 of the state, VMULLB, VMULLT, VSUB, VADD, VQRDMLADHX,"
        " VQRSHRNB, store, VMLSDAVA",
    ),
}
OTHERS: tuple[Alone, ...] = (
    *recurrent_cases.ALONE,
    (
        "s4d",
        "96 channels × 16 states",
        lambda c: kernel_cases.s4d(c, 96, 16, 1),
        96 * 16,
        "complex state",
        Floor(
            8.0,
            "½ load and ½ store of the state, 1 load of a and c, SMLSD, SMLADX, 2 SSAT, "
            "PKHBT, SMLSD",
        ),
    ),
    (
        "layer_norm",
        "24 × 36",
        lambda c: kernel_cases.layer_norm(c, 36, 24, 36),
        24 * 36,
        "value",
        Floor(
            11.0,
            "1½ for the statistics; ½ load, 1 unpack, MLA, SMMULR, 1 load of gain and bias, "
            "SMMLAR, − lo, USAT, 2 to pack, clamp and store",
        ),
    ),
    (
        "layer_norm",
        "1 × 96",
        lambda c: kernel_cases.layer_norm(c, 96, 1),
        96,
        "value",
        Floor(11.0, "as 24 × 36"),
    ),
    (
        "mean_pool",
        "96 × 32 by 4",
        lambda c: kernel_cases.mean_pool(c, 4, 24, 32),
        96 * 32,
        "sample",
        Floor(
            2.75,
            "½ load, 1 sum; for each output, a quarter of the samples: shift, SMMLAR, "
            "USAT, 2 to pack, clamp and store",
        ),
    ),
    (
        "lut",
        "192",
        lambda c: kernel_cases.lut(c, 192),
        192,
        "value",
        Floor(
            7.0,
            "½ load, 1 segment, 1 fraction, 1 load of both points, MLA, SMLAD, ½ shift, "
            "½ pack, ½ store",
        ),
    ),
    (
        "glu",
        "192 → 96",
        lambda c: kernel_cases.glu(c, 96, 1),
        96,
        "value",
        Floor(9.5, "a lut without its store, ½ load, 1 product, ½ shift, ½ pack, ½ store"),
    ),
    (
        "interpolate",
        "64 by 4",
        lambda c: recurrent_cases.interpolate(c, 1, 64, 2),
        4 * 64,
        "value",
        Floor(3.0, "1 SMLAD, 1 shift, ½ pack, ½ store"),
    ),
    ("integrate", "20", lambda c: recurrent_cases.integrate(c, 20, 1, 8), 20, "value", None),
    (
        "add",
        "96",
        lambda c: kernel_cases.add(c, 96),
        96,
        "value",
        Floor(2.0, "two values: 2 loads, QADD16, 1 store"),
    ),
    ("log_softmax", "99", lambda c: kernel_cases.log_softmax(c, 99, 1), 99, "value", None),
)
WITHOUT_FLOOR = {  # case of bench/bare -> why no floor is derived for it
    "clear": "once a step; it stores zeros",
    "copy": "moves values; its loads and stores are all it does",
    "gather": "moves values; its loads and stores are all it does",
    "integral": "a few values of a frame, around which the call is most of the work",
    "integrate": "a few values of a frame, around which the call is most of the work",
    "log_softmax": "once a frame, with branches that depend on the values",
    "max_pool": "as mean_pool with a comparison for each sum; no published network has one",
    "patches": "moves values; its loads and stores are all it does",
    "repeat": "moves values; its loads and stores are all it does",
    "start_up": "once a step, and only until states begin",
    "step": "a comparison for each value; no published network has one",
    "window": "moves values; its loads and stores are all it does",
    "window_unfold": "moves values; its loads and stores are all it does",
}
