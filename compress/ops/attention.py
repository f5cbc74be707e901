"""Attention: products of frames with frames, and the softmax between them.

Vaswani et al., "Attention Is All You Need" (2017). Heads lie side by side in a frame. The keys and
values that a frame attends to are the frames of its window (`shared`), or lie side by side in a
frame of their own, (keys, heads, depth), as an unfold of the last frames of a stream gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import multiplier, requant, same_multiplier
from compress.ops.base import INT32, FloatOp, IntOp, Memory, Op, within
from compress.ops.softmax import IntSoftmax, Softmax
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

MARGIN = 1.3  # observed range × this is the range that can be represented
GRAIN = 2.125  # an output's step is at least so many of its sum's: then no shift passes 32 bits
MOST_KEYS = 2**15  # as a softmax takes


@dataclass(frozen=True)
class _Attention(Op):
    """Fields of both products: `frames` keys that a frame attends to, `heads` of `depth` values;
    `shared`: the keys are the frames of the window, the same for each of its frames."""

    frames: int
    heads: int
    depth: int
    shared: bool
    clamps: ClassVar[bool] = True

    @property
    def whole_window(self) -> bool:  # type: ignore[override]  # of a field, not of the class
        """Whether it sees the frames of its window."""
        return self.shared

    @property
    def across_frames(self) -> bool:  # type: ignore[override]
        return self.shared

    @property
    def _sizes(self) -> tuple[int, int]:
        """Features of its two inputs."""
        raise NotImplementedError

    @property
    def _of_keys(self) -> int:
        """Features of the keys, or values, of one frame of their tensor."""
        return (1 if self.shared else self.frames) * self.heads * self.depth

    def macs(self, features: int) -> int:
        return self.frames * self.heads * self.depth

    def work(self, features: int) -> tuple[str, int]:
        return "matrix", self.macs(features)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from within("keys", self.frames, 1, MOST_KEYS)
        if min(self.heads, self.depth) < 1:
            yield f"expected a head and a value or more, found {self.heads} of {self.depth}"
        found = tuple(s.features for s in sources)
        if found != self._sizes:
            yield f"expected inputs of {self._sizes} features, found {found}"

    def both(self, inputs: list[Array]) -> tuple[Array, Array]:
        """First input as (rows, frames, heads, …), second as (rows, keys, heads, depth), where a
        row is what shares its keys."""
        a, b = inputs
        frames = self.frames if self.shared else 1
        return (
            a.reshape(-1, frames, self.heads, self._sizes[0] // self.heads),
            b.reshape(-1, self.frames, self.heads, self.depth),
        )


class _Scores(_Attention):
    """Queries (heads, depth) with keys → (heads, keys)."""

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.heads * self.depth, self._of_keys

    def out_features(self, features: int) -> int:
        return self.heads * self.frames

    def largest(self, queries: int, keys: int) -> int:
        """The largest sum, of inputs up to these."""
        return queries * keys * self.depth

    def products(self, inputs: list[Array]) -> Array:
        """Σ query·key for each head and key: (batch, time, heads·keys)."""
        queries, keys = self.both([np.asarray(x, np.float64) for x in inputs])
        found = np.einsum("rthd,rkhd->rthk", queries, keys, optimize=True)
        return found.reshape(*inputs[0].shape[:2], -1)


class _Context(_Attention):
    """Weights (heads, keys) with values → (heads, depth). The weights of a head are what a softmax
    over the keys gives, so their sum is one, and a sum over the values keeps to 32 bits."""

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.heads * self.frames, self._of_keys

    def out_features(self, features: int) -> int:
        return self.heads * self.depth

    def largest(self, weights: int, values: int) -> int:
        """The largest sum: weights add up to 2¹⁵, and each is rounded up by ½ at most."""
        return (2**15 + 1 + self.frames // 2) * values

    def made_by(self, makers: list[Op | None]) -> Iterator[str]:
        """The weights come of a softmax over the keys of each head."""
        maker = makers[0]
        if not isinstance(maker, Softmax | IntSoftmax) or maker.groups != self.heads:
            yield f"expected weights that a softmax over {self.heads} groups makes"

    def products(self, inputs: list[Array]) -> Array:
        """Σ weight·value for each head: (batch, time, heads·depth)."""
        weights, values = self.both([np.asarray(x, np.float64) for x in inputs])
        found = np.einsum("rthk,rkhd->rthd", weights, values, optimize=True)
        return found.reshape(*inputs[0].shape[:2], -1)


class _FloatProduct(_Attention, FloatOp):
    """What the float forms share."""

    def _factor(self) -> float:
        raise NotImplementedError

    def largest(self, first: int, second: int) -> int:
        raise NotImplementedError

    def products(self, inputs: list[Array]) -> Array:
        raise NotImplementedError

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(self.products(inputs) * self._factor())

    def _sum(self, plan: Plan) -> tuple[float, int, int]:
        """Real value of one step of the shortened sum, its largest magnitude, and the bits that it
        is shortened by."""
        a, b = (plan.tensor(plan.name(name)) for name in self.inputs)
        largest = self.largest(a.peak, b.peak)
        bits = shortening(largest)
        return a.scale * b.scale * self._factor() * 2.0**bits, (largest >> bits) + 1, bits

    def offers(self, plan: Plan, peak: float) -> float:
        """Its own range, or as fine as a shortened sum can be."""
        return max((peak or 1.0) * MARGIN / INT16[1], GRAIN * self._sum(plan)[0])


class _IntProduct(_Attention, IntOp):
    """What the integer forms share: y = clamp(requant((acc + 2^(bits − 1)) >> bits, shift, mult)),
    where acc takes up to 52 bits; with bits = 0 it is not shortened."""

    bits: int
    mult: int
    shift: int

    def products(self, inputs: list[Array]) -> Array:
        raise NotImplementedError

    def largest(self, first: int, second: int) -> int:
        raise NotImplementedError

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from within("bits", self.bits, 0, 31)
        yield from within("mult", self.mult, 0, INT32 - 1)
        yield from within("shift", self.shift, 0, 0)

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        acc = self.products(inputs).astype(np.int64)  # exact: sums keep to 52 bits
        short = (acc + ((1 << self.bits) >> 1)) >> self.bits
        y = requant(short, self.shift, self.mult)
        return np.clip(y, memory.target.lo, memory.target.hi)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        if self.bits != shortening(self.largest(sources[0].peak, sources[1].peak)):
            yield f"bits {self.bits} do not shorten its largest sum to 31"
        factor = getattr(self, "factor", 1.0) * 2.0**self.bits
        if not same_multiplier(
            self.mult, self.shift, sources[0].scale * sources[1].scale * factor / target.scale
        ):
            yield "mult and shift are not the inputs' scales over the output's"


def shortening(largest: int) -> int:
    """Bits by which a sum of up to `largest` is shortened so that it keeps to 30 and a sign."""
    return max(0, largest.bit_length() - 30)


# --- the two products ----------------------------------------------------------------------------


@dataclass(frozen=True)
class AttentionScores(_Scores, _FloatProduct):
    """y = factor·(query · key) for each head and key; factor is 1/√depth as a rule."""

    factor: float
    code: ClassVar[str] = "attention_scores"

    def _factor(self) -> float:
        return self.factor

    def quantize(self, plan: Plan) -> IntAttentionScores:
        step, largest, bits = self._sum(plan)
        mult, shift = multiplier(step / plan.target(self).scale, largest, self.module)
        return IntAttentionScores(
            *plan.head(self),
            self.frames,
            self.heads,
            self.depth,
            self.shared,
            bits,
            int(mult),
            shift,
            self.factor,
        )


@dataclass(frozen=True)
class IntAttentionScores(_Scores, _IntProduct):
    """factor: the float network's, which is in mult."""

    bits: int
    mult: int
    shift: int
    factor: float
    code: ClassVar[str] = "int.attention_scores"


@dataclass(frozen=True)
class AttentionContext(_Context, _FloatProduct):
    """y = Σ weight·value over the keys, for each head."""

    code: ClassVar[str] = "attention_context"

    def _factor(self) -> float:
        return 1.0

    def quantize(self, plan: Plan) -> IntAttentionContext:
        step, largest, bits = self._sum(plan)
        mult, shift = multiplier(step / plan.target(self).scale, largest, self.module)
        return IntAttentionContext(
            *plan.head(self),
            self.frames,
            self.heads,
            self.depth,
            self.shared,
            bits,
            int(mult),
            shift,
        )


@dataclass(frozen=True)
class IntAttentionContext(_Context, _IntProduct):
    """As its base says."""

    bits: int
    mult: int
    shift: int
    code: ClassVar[str] = "int.attention_context"
