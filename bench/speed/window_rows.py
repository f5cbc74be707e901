"""Rows of the table for the kernels of windows, attention, filters and joins; some stand beside
CMSIS-NN's int16 operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.speed import kernel_cases, window_cases
from bench.speed.kernel_cases import Check, Contents
from bench.speed.layers import recorded
from bench.speed.peers16 import Filters, Operator, Products, Shares
from bench.speed.row import Floor, Row

DSP_CORES, VECTOR_CORE = ("cortex-m4", "cortex-m7"), "cortex-m55"
DAY = "2026-12-01"  # on which the counts of CMSIS-NN below were measured


@dataclass(frozen=True)
class Beside:
    """CMSIS-NN's operator for the same work, what its operands are, and its recorded counts by
    core."""

    operator: Operator
    operands: str
    counts: dict[str, int]


@dataclass(frozen=True)
class Lines:
    """A row for each core: floors on Armv7E-M and with vectors, and the most instructions per unit
    on Armv7E-M."""

    kernel: str
    shape: str
    make: Callable[[Contents], list[Check]]
    units: int
    unit: str
    dsp: Floor
    mve: Floor
    target: float | None = None
    beside: Beside | None = None

    def row(self, core: str) -> Row:
        dsp, peer = core in DSP_CORES, self.beside
        counts, operands = (peer.counts, peer.operands) if peer else ({}, "")
        return Row(
            self.kernel,
            self.shape,
            core,
            "w8a16",
            lambda contents: _on_words(self.make(contents)),
            self.units,
            self.unit,
            self.dsp if dsp else self.mve,
            self.target if dsp else None,
            counts.get("cortex-m4" if dsp else core),
            operands,
            recorded(operands, DAY),
        )


def rows(core: str) -> list[Row]:
    """All of them for a core."""
    return [lines.row(core) for lines in LINES]


def _on_words(calls: list[Check]) -> list[Check]:
    """Every buffer on a word boundary, as an export has them."""
    for check in calls:
        check.case.offsets = {}
    return calls


def depthwise_convolution(contents: Contents, filters: Filters) -> list[Check]:
    """Frames side by side, and a filter for each channel."""
    seen = kernel_cases.window(contents, filters.kernel, 1, 0, filters.frames, filters.channels)
    x = seen.expected["y"]
    sizes = (filters.channels, filters.kernel, filters.frames)
    return [seen, window_cases.depthwise(contents, *sizes, x=x)]


CHANNELS, TAPS, FRAMES = 64, 9, 8
KEYS, HEADS, DEPTH = 50, 4, 16
FILTERS = Filters(f"{CHANNELS}ch k{TAPS}, {FRAMES} frames", CHANNELS, TAPS, FRAMES)
SCORES = Products(f"{KEYS} × {KEYS} keys, {HEADS} × {DEPTH}", HEADS, KEYS, KEYS, DEPTH)
CONTEXT = Products(f"{KEYS} × {KEYS} values, {HEADS} × {DEPTH}", HEADS, KEYS, DEPTH, KEYS)
SHARES = Shares(f"{KEYS * HEADS} × {KEYS}", KEYS * HEADS, KEYS)
OPERATORS: tuple[Operator, ...] = (FILTERS, SCORES, CONTEXT, SHARES)
DEPTHWISE_FLOORS = (
    Floor(
        12 / 8,
        "4 channels × 2 taps: 2 loads of x, 4 PKH, 2 loads of weights, 4 SMLAD = 12 for 8 MACs",
    ),
    Floor(
        12 / 16,
        "8 channels × 2 taps: VLD2 of the weights in 2, 2 loads of x, 4 VMULL, 4 VADD = 12 for 16"
        " MACs",
    ),
)
PRODUCTS = KEYS * KEYS * HEADS * DEPTH  # MACs of one window
LINES: tuple[Lines, ...] = (
    Lines(
        "depthwise conv",
        FILTERS.shape,
        lambda c: depthwise_convolution(c, FILTERS),
        CHANNELS * TAPS * FRAMES,
        "MAC",
        *DEPTHWISE_FLOORS,
        6.1,
        Beside(FILTERS, "int16×int8", {"cortex-m4": 56_340, "cortex-m55": 25_666}),
    ),
    Lines(
        "depthwise",
        f"{CHANNELS}ch k{TAPS}, 1 frame",
        lambda c: [window_cases.depthwise(c, CHANNELS, TAPS, 1)],
        CHANNELS * TAPS,
        "MAC",
        *DEPTHWISE_FLOORS,
    ),
    Lines(
        "attention_scores",
        SCORES.shape,
        lambda c: [window_cases.attention_scores(c, KEYS, KEYS, HEADS, DEPTH)],
        PRODUCTS,
        "MAC",
        Floor(
            7 / 8,
            "2 keys × 4 values: 1 load of the query, 2 of the keys, 4 SMLALD = 7 for 8 MACs",
        ),
        Floor(4 / 16, "1 key × 16 values: 2 loads, 2 VMLALDAVA = 4 for 16 MACs"),
        2.3,
        Beside(SCORES, "int16×int16", {"cortex-m4": 742_825, "cortex-m55": 479_016}),
    ),
    Lines(
        "attention_context",
        CONTEXT.shape,
        lambda c: [window_cases.attention_context(c, KEYS, KEYS, HEADS, DEPTH)],
        PRODUCTS,
        "MAC",
        Floor(
            11 / 16,
            "2 frames × 8 keys: 1 load of the column, 2 of weights, 8 SMLAD = 11 for 16 MACs",
        ),
        Floor(9 / 32, "4 frames × 8 keys: 5 loads, 4 VMLADAVA = 9 for 32 MACs"),
        1.49,
        Beside(CONTEXT, "int16×int16", {"cortex-m4": 477_023, "cortex-m55": 259_414}),
    ),
    Lines(
        "softmax",
        SHARES.shape,
        lambda c: [window_cases.softmax(c, KEYS, KEYS * HEADS)],
        KEYS * KEYS * HEADS,
        "value",
        Floor(
            17.0,
            "½ load, ½ SSUB16, ½ SEL; ½ load, SMLABB, SMMULR, SSAT, 1 segment, 1 fraction, 1 load"
            " of both points, MLA, SMLAD, ½ shift, ½ pack, ½ store, 1 to add up; ½ load, 1 unpack,"
            " MLA, shift, ½ pack, ½ store",
        ),
        Floor(
            32 / 8,
            "8 values: load, VMAXV; load, 2 × VMOVL, VMLAS, VRMULH, VQMOVN; VSHR, 2 gathers, VSHL,"
            " VAND, 2 VSUB, VQRDMULH, VEOR, VADDVA, store; load, 2 × VMOVL, VMLAS, VSHL, VQMOVN;"
            " store",
        ),
        23.0,
        Beside(SHARES, "int16", {"cortex-m4": 460_468, "cortex-m55": 429_880}),
    ),
    Lines(
        "rms_norm",
        "24 × 36",
        lambda c: [window_cases.rms_norm(c, 36, 24)],
        24 * 36,
        "value",
        Floor(10.5, "a layer_norm without ½ for the mean"),
        Floor(22 / 8, "8 values: a layer_norm without VADDVA"),
    ),
    Lines(
        "rescale",
        "8 × 64",
        lambda c: [window_cases.rescale(c, 64, 8, 64)],
        8 * 64,
        "value",
        Floor(5.5, "two values: load, 2 SMULBB, 2 SMMLAR, 2 USAT, 3 to pack and clamp, store"),
        Floor(12 / 8, "8 values: load, 2 × VMOVL, VSHL, VRMULH, VQMOVN; VMAX, VMIN, store"),
    ),
    Lines(
        "multiply",
        "96",
        lambda c: [window_cases.multiply(c, 96)],
        96,
        "value",
        Floor(6.0, "two values: 2 loads, 2 SMULBB, 2 SMMLAR, 2 USAT, 3 to pack and clamp, store"),
        Floor(11 / 8, "8 values: 2 loads, 2 × VMULL, VRMULH, VQMOVN; VMAX, VMIN, store"),
    ),
    Lines(
        "subtract",
        "96",
        lambda c: [window_cases.subtract(c, 96)],
        96,
        "value",
        Floor(2.0, "two values: 2 loads, QSUB16, 1 store"),
        Floor(4 / 8, "8 values: 2 loads, VQSUB, store"),
    ),
    Lines(
        "clamp",
        "96",
        lambda c: [window_cases.clamp(c, 96)],
        96,
        "value",
        Floor(3.0, "two values: load, 2 × SSUB16, SEL; store"),
        Floor(4 / 8, "8 values: load, VMAX, VMIN, store"),
    ),
)
