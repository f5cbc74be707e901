"""Forms in which a matrix can be kept, and how far the sums of each are from the trained ones.

The error of a form W̃ is what it adds to the variance of the layer's sums, as a share of it:
tr(E·Σ·Eᵀ) / tr(W·Σ·Wᵀ) with E = W − W̃ and the covariance Σ of the inputs that calibration saw.
Rounding is the quantizer's (but for the search of its scales, which here counts inputs as
independent). Factors of rank r lose what the singular values of W·Σ^½ hold from the r-th on; four
bits in both of them are taken to add what four bits add in W, twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compress import graph as g
from compress.compression.cores import Core
from compress.compression.cost import FINE, Matrix, matrix_of
from compress.quantization import rounding
from compress.quantization.calibrate import Ranges
from compress.quantization.rounding import Moments
from compress.report.progress import Bar

SMALL = 4096  # weights; a smaller matrix stays as it is, unless every byte counts
RANKED = 100_000  # weights of a matrix from which on factors are considered
SHARES = (
    0.7,
    0.55,
    0.45,
    0.35,
    0.28,
    0.22,
    0.17,
    0.13,
)  # weights of two factors, of those they stand for
LIMITS = {8: 127, 4: 7}


@dataclass(frozen=True)
class Form:
    """How one matrix is kept: as it is (`rank` None) or as two factors. `rounded` and `lost`: its
    errors by bits and by rank."""

    bits: int
    rank: int | None
    bytes: int
    cycles: float
    rounded: float
    lost: float = 0.0

    @property
    def title(self) -> str:
        return f"{self.bits} bits" if self.rank is None else f"rank {self.rank}, {self.bits} bits"

    @property
    def error(self) -> float:
        return self.rounded + self.lost


@dataclass(frozen=True)
class Probe:
    """Weights as in the graph with one kind of error, the bias (bands, out) that keeps the means,
    and how large the error is."""

    weight: g.Array
    bias: g.Array
    error: float


@dataclass(frozen=True)
class Layer:
    """A matrix of the network, by its path in the graph, and the forms it can have; the first is 8
    bits.

    `probes`: "bits" for one that can have four, "rank" for one that can be two factors.
    """

    module: str
    matrix: Matrix
    weights: int
    forms: tuple[Form, ...]
    probes: dict[str, Probe]


def layers(
    graph: g.Graph,
    ranges: Ranges,
    core: Core,
    rankable: Sequence[str],
    least: int | None = None,
) -> list[Layer]:
    """Every matrix of a float graph. `rankable`: paths of those that the network can hold as two
    factors; `least`: weights of the smallest that can have four bits (default: SMALL)."""
    least = SMALL if least is None else least
    return [
        _layer(
            op,
            matrix_of(graph, op),
            ranges.moments[op.output],
            core,
            op.module in rankable,
            least,
        )
        for op in Bar(graph.matrices, desc="forms", unit="layer")
    ]


def _layer(
    op: g.Dense, matrix: Matrix, seen: Sequence[Moments], core: Core, rankable: bool, least: int
) -> Layer:
    weights = op.weight.reshape(*op.weight.shape[:2], -1)
    if op.weight.size < least:
        return Layer(op.module, matrix, op.weight.size, (_form(matrix, 8, core, 0.0),), {})
    energy = sum(_energy(w, m) for w, m in zip(weights, seen, strict=True)) or 1.0
    kept = {
        bits: [_rounded(w, m, bits) for w, m in zip(weights, seen, strict=True)] for bits in (8, 4)
    }
    errors = {
        bits: sum(_energy(w - k, m) for w, k, m in zip(weights, parts, seen, strict=True)) / energy
        for bits, parts in kept.items()
    }
    forms = [_form(matrix, bits, core, errors[bits]) for bits in (8, 4)]
    probes = {"bits": _probe(op, weights, np.stack(kept[4]), seen, errors[4])}
    wanted = ranks(matrix) if rankable and op.weight.size >= RANKED else []
    if wanted:
        spectrum, directions = singular(weights[0], seen[0])
        lost = {rank: float(spectrum[rank:].sum() / (spectrum.sum() or 1.0)) for rank in wanted}
        forms += [
            _factored(matrix, rank, bits, core, 2 * errors[bits], lost[rank])
            for rank in wanted
            for bits in (8, 4)
        ]
        middle = wanted[len(wanted) // 2]
        some = directions[:, :middle]
        probes["rank"] = _probe(
            op, weights, (some @ (some.T @ weights[0]))[None], seen, lost[middle]
        )
    return Layer(op.module, matrix, op.weight.size, tuple(forms), probes)


def _probe(
    op: g.Dense, weights: g.Array, changed: g.Array, seen: Sequence[Moments], error: float
) -> Probe:
    """Weights and changed weights (bands, out, n). Quantizer and factors add to the bias what the
    means lose, so probes do."""
    drift = np.stack([(w - c) @ m.mean for w, c, m in zip(weights, changed, seen, strict=True)])
    return Probe(changed.reshape(op.weight.shape), op.bias + drift, error)


def ranks(matrix: Matrix) -> list[int]:
    """Ranks whose factors have about so many weights as SHARES says, largest first."""
    each = matrix.rows + matrix.inputs
    wanted = (int(share * matrix.rows * matrix.inputs / each) // FINE * FINE for share in SHARES)
    return sorted(
        {rank for rank in wanted if FINE <= rank < min(matrix.rows, matrix.inputs)}, reverse=True
    )


def _form(matrix: Matrix, bits: int, core: Core, rounded: float) -> Form:
    return Form(bits, None, matrix.bytes(bits), matrix.cycles(bits, core), rounded)


def _factored(
    matrix: Matrix, rank: int, bits: int, core: Core, rounded: float, lost: float
) -> Form:
    parts = matrix.factors(rank)
    return Form(
        bits,
        rank,
        sum(p.bytes(bits) for p in parts),
        sum(p.cycles(bits, core) for p in parts),
        rounded,
        lost,
    )


def _covariance(m: Moments) -> g.Array:
    """(n, n), as it was seen."""
    return np.asarray(m.products / max(m.rows, 1) - np.outer(m.mean, m.mean))


def _energy(weight: g.Array, m: Moments) -> float:
    """Variance of all sums of weight (out, n) together."""
    return float(np.maximum(((weight @ _covariance(m)) * weight).sum(), 0.0))


def _rounded(weight: g.Array, m: Moments, bits: int) -> g.Array:
    """weight (out, n) about as the quantizer would keep it."""
    limit = LIMITS[bits]
    widest = np.abs(weight).max(-1, keepdims=True) / limit
    widest[widest == 0] = 1.0
    if bits == 8:
        return np.asarray(np.round(weight / widest) * widest)
    covariance = m.covariance
    scale = _scales(weight, widest, np.diag(covariance), limit)
    return np.asarray(rounding.integers(weight, scale[:, 0], covariance, limit) * scale)


def _scales(weight: g.Array, widest: g.Array, variance: g.Array, limit: int) -> g.Array:
    """(out, 1): the clipping of each row that costs least when inputs are independent."""
    tried = np.stack([widest * share for share in rounding.CLIPPING])
    costs = [
        ((np.clip(np.round(weight / s), -limit, limit) * s - weight) ** 2) @ variance for s in tried
    ]
    return np.asarray(np.take_along_axis(tried, np.argmin(costs, 0)[None, :, None], 0)[0])


def singular(weight: g.Array, m: Moments) -> tuple[g.Array, g.Array]:
    """Squared singular values of weight · Σ^½, largest first, and their left directions (out,
    count).

    The best factors of rank r are the projection of the weights on the first r directions; they
    lose the other values.
    """
    covariance = _covariance(m)
    if len(weight) <= weight.shape[1]:
        values, directions = np.linalg.eigh(weight @ covariance @ weight.T)
        return np.maximum(values[::-1], 0.0), directions[:, ::-1]
    spread, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(np.maximum(spread, 0.0))
    half = weight @ root
    values, inner = np.linalg.eigh(half.T @ half)
    values, inner = np.maximum(values[::-1], 0.0), inner[:, ::-1]
    return values, half @ inner / np.sqrt(np.maximum(values, 1e-12 * max(values[0], 1e-300)))
