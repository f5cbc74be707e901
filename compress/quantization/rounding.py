"""Which integers stand for a row of weights when they have only four bits: the choice that changes
the row's sums least.

The cost of an error e in a row is the variance it adds to the sum, eᵀ·C·e, with C the covariance of
the inputs as calibration saw them; what it adds to the mean goes into the bias. Scales are searched
for that cost (Banner et al., 2019), and each weight's rounding error is passed on to the weights
behind it (Frantar et al., GPTQ, 2022, after LeCun's optimal brain surgeon). C is drawn halfway to
its diagonal: minutes of calibration say more about how strong an input is than about which inputs
go together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress.ops.tensor import Array

CLIPPING = np.linspace(
    0.4, 1.0, 25
)  # scales that are tried, as shares of the one that clips nothing
BLOCK = 64  # inputs whose rounding errors are passed on together
INDEPENDENT = 0.5  # how far C is drawn towards its diagonal


@dataclass
class Moments:
    """Sums over everything that one matrix multiplied: rows of n values, their sum (n,) and their
    products (n, n)."""

    rows: int
    total: Array
    products: Array

    def see(self, x: Array) -> None:
        """x (rows, n)"""
        self.rows += len(x)
        self.total += x.sum(0)
        self.products += x.T @ x

    @property
    def mean(self) -> Array:
        return np.asarray(self.total / max(self.rows, 1))

    @property
    def covariance(self) -> Array:
        """(n, n), drawn towards its diagonal; an input that never moves counts as moving very
        little."""
        c = self.products / max(self.rows, 1) - np.outer(self.mean, self.mean)
        variance = np.maximum(np.diag(c), 0.0)
        # of constant inputs nothing is left here but what sums of squares were rounded by
        rounded = 1e-9 * float((self.mean**2).mean())
        variance = np.maximum(variance, max(1e-6 * float(variance.mean()), rounded) or 1e-6)
        return np.asarray((1 - INDEPENDENT) * (c - np.diag(np.diag(c))) + np.diag(variance))


def moments(n: int) -> Moments:
    """Of nothing seen yet."""
    return Moments(0, np.zeros(n), np.zeros((n, n)))


def scales(weight: Array, covariance: Array, limit: int) -> Array:
    """The scale of each row of weight (out, n) that costs least when every weight is rounded to the
    nearest of −limit…limit."""
    widest = np.abs(weight).max(-1) / limit
    found, least = widest.copy(), np.full(len(weight), np.inf)
    for share in CLIPPING:
        scale = np.where(widest == 0, 1.0, widest * share)[:, None]
        error = np.clip(np.round(weight / scale), -limit, limit) * scale - weight
        cost = ((error @ covariance) * error).sum(-1)
        found, least = np.where(cost < least, widest * share, found), np.minimum(cost, least)
    return found


def integers(weight: Array, scale: Array, covariance: Array, limit: int) -> Array:
    """weight (out, n) over scale (out,) in −limit…limit, each error made good by the weights not
    yet rounded, strongest first.

    Within a block the errors are passed on one weight at a time, to what lies behind it all at
    once: the same sums, in another order, with far less memory moved.
    """
    order = np.argsort(-np.diag(covariance), kind="stable")
    factor = _factor_of_inverse(covariance[np.ix_(order, order)])
    left, found = weight[:, order] / scale[:, None], np.empty_like(weight)
    for begin in range(0, len(order), BLOCK):
        block = slice(begin, min(begin + BLOCK, len(order)))
        rest, errors = left[:, block], np.empty((len(weight), block.stop - begin))
        for i in range(block.stop - begin):
            row = factor[begin + i, block]
            whole = np.clip(np.round(rest[:, i]), -limit, limit)
            found[:, order[begin + i]] = whole
            errors[:, i] = (rest[:, i] - whole) / row[i]
            rest[:, i + 1 :] -= np.outer(errors[:, i], row[i + 1 :])
        left[:, block.stop :] -= errors @ factor[block, block.stop :]
    return found.astype(np.int8)


def _factor_of_inverse(covariance: Array) -> Array:
    """Upper R with Rᵀ·R = covariance⁻¹: the inverse of the upper M with M·Mᵀ = covariance, without
    the inverse itself."""
    from scipy.linalg import lapack  # slow to import, and needed only for four bits

    upper = np.linalg.cholesky(covariance[::-1, ::-1])[::-1, ::-1]
    inverse, failed = lapack.dtrtri(np.asfortranarray(upper), lower=0)
    if failed:
        raise np.linalg.LinAlgError(f"row {failed} of a covariance depends on the others")
    return np.asarray(inverse)
