"""CMSIS-NN's int16 operators in executed instructions: depthwise convolution, batched matrix
product and softmax, which peers16.c calls as TFLite-Micro does. A figure counts only when the
answer is the operator's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.speed import peers
from bench.speed.cmsis_nn import Library

Array = npt.NDArray[np.int64]
PROGRAM = "peers16.c"
FUNCTIONS = (b"arm_depthwise_conv_wrapper_s16", b"arm_batch_matmul_s16", b"arm_softmax_s16")
DEPTHWISE, MATMUL, SOFTMAX = range(3)  # of peers16.c
HEADER = np.dtype([("kind", "<u4"), ("repeats", "<u4"), ("size", "<i4", 4), ("scale", "<i4", 2)])
DEEPEST = 10.0  # nats below the largest value where TFLite's softmax ends
SOFTMAX_STEPS = 16  # of 2⁻¹⁵ that its tables may be away from the function


@dataclass(frozen=True)
class Filters:
    """A filter for each channel, over `frames` outputs."""

    shape: str
    channels: int
    kernel: int
    frames: int

    def call(self, seed: int) -> _Call:
        rng = np.random.default_rng(seed)
        weights = rng.integers(-127, 127, (self.kernel, self.channels), endpoint=True)
        bias = rng.integers(-(2**20), 2**20, self.channels)
        multiplier = rng.integers(2**30, 2**31 - 2**17, self.channels)
        shift = np.full(self.channels, -int(np.ceil(np.log2(np.sqrt(self.kernel) * 100))))
        x = _words(rng, (self.kernel + self.frames - 1, self.channels))
        windows = np.stack([x[t : t + self.kernel] for t in range(self.frames)])
        y = requantize((windows * weights).sum(1) + bias, multiplier, shift)
        contents = (
            weights.astype(np.int8).tobytes()
            + bias.astype("<i8").tobytes()
            + np.concatenate([multiplier, shift]).astype("<i4").tobytes()
            + x.astype("<i2").tobytes()
        )
        return _Call(self.shape, DEPTHWISE, (self.channels, self.kernel, self.frames), contents, y)


@dataclass(frozen=True)
class Products:
    """For each of `batches`: rows (rows, terms) with columns (columns, terms)."""

    shape: str
    batches: int
    rows: int
    columns: int
    terms: int

    def call(self, seed: int) -> _Call:
        rng = np.random.default_rng(seed)
        left, right = (
            _words(rng, (self.batches, n, self.terms)) for n in (self.rows, self.columns)
        )
        multiplier, shift = 2**30 + 12345, -int(np.ceil(np.log2(np.sqrt(self.terms)) + 12))
        acc = np.einsum("hik,hjk->hij", left, right)
        y = requantize(acc, np.array(multiplier), np.array(shift))
        contents = left.astype("<i2").tobytes() + right.astype("<i2").tobytes()
        size = (self.batches, self.rows, self.columns, self.terms)
        return _Call(self.shape, MATMUL, size, contents, y, (multiplier, shift))


@dataclass(frozen=True)
class Shares:
    """Softmax over `values` of each row."""

    shape: str
    rows: int
    values: int

    def call(self, seed: int) -> _Call:
        x = _words(np.random.default_rng(seed), (self.rows, self.values))
        scale = 2.0**-12  # of x; the exponential's table takes DEEPEST / 2¹⁶
        ratio = scale * 65536 / DEEPEST
        shift = int(np.ceil(np.log2(ratio)))
        real = np.exp((x - x.max(1, keepdims=True)) * scale)
        y = np.round(real / real.sum(1, keepdims=True) * 2**15).astype(np.int64)
        contents = b"".join(
            np.clip(np.round(table * 32768), -32768, 32767).astype("<i2").tobytes()
            for table in (np.exp(np.linspace(-DEEPEST, 0, 513)), 1 / (1 + np.linspace(0, 1, 513)))
        )
        multiplier = round(ratio / 2.0**shift * 2**31)
        return _Call(
            self.shape,
            SOFTMAX,
            (self.rows, self.values),
            contents + x.astype("<i2").tobytes(),
            np.minimum(y, 32767),
            (multiplier, shift),
            SOFTMAX_STEPS,
        )


Operator = Filters | Products | Shares


@dataclass(frozen=True)
class _Call:
    """One operator with its contents; `scale`: multiplier and shift that all values share."""

    shape: str
    kind: int
    size: tuple[int, ...]
    contents: bytes
    expected: Array
    scale: tuple[int, int] = (0, 0)
    away: int = 1

    @property
    def answer_bytes(self) -> int:
        return 2 * self.expected.size

    def to_bytes(self, repeats: int) -> bytes:
        """A case of peers16.c."""
        head = np.zeros(1, HEADER)
        head["kind"], head["repeats"], head["scale"] = self.kind, repeats, self.scale
        head["size"][0, : len(self.size)] = self.size
        return head.tobytes() + self.contents

    def verify(self, raw: bytes) -> None:
        peers.compare(self.shape, np.frombuffer(raw, "<i2"), self.expected, self.away)


def _words(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(-32768, 32767, shape, endpoint=True)


def requantize(acc: Array, multiplier: Array, shift: Array) -> Array:
    """TFLite's 64-bit rounding with the upper 16 bits of a multiplier: acc·multiplier·2^(shift −
    15)."""
    reduced = (multiplier + 2**15) >> 16
    y = (((acc * reduced) >> (14 - shift)) + 1) >> 1
    return np.clip(y, -32768, 32767)


def there(library: Library) -> bool:
    """Whether a library has these operators: older ones lack the matrix product."""
    content = library.archive.read_bytes()
    return all(name in content for name in FUNCTIONS)


def measure(library: Library, operators: tuple[Operator, ...]) -> dict[str, int]:
    """Shape -> executed instructions of one call. CmsisNnError when an answer is not the
    operator's."""
    calls = [operator.call(seed) for seed, operator in enumerate(operators)]
    return peers.count(library, calls, PROGRAM)
