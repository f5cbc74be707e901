"""A float state space over blocks of frames: one matrix product per channel and block instead of a
recurrence per frame."""

from __future__ import annotations

import numpy as np

from compress.ops.tensor import Array

BLOCK = 16  # frames that a float state space takes at once: whole blocks make a chunk


class Scan:
    """x' = a·x + u, y = 2·Re Σ c·x' for a, c complex (H, N), `size` frames at a time.

    In a block everything is linear in its inputs u_0 … and in the state x it began with: y_t = Σ_{j
        ≤ t} k_{t−j} u_j + 2·Re Σ c·aᵗ⁺¹·x,   k_t = 2·Re Σ c·aᵗ,   x' = Σ_j a^{size−1−j} u_j +
        a^{size}·x
    so (u, Re x, Im x) times one matrix of a channel gives (y, Re x', Im x').
    """

    def __init__(self, a: Array, c: Array, size: int) -> None:
        self.size, (channels, self.states) = size, a.shape
        powers = a[None] ** np.arange(size + 1)[:, None, None]  # (size + 1, H, N)
        answers = 2.0 * c * powers[1:]  # of the beginning state, (size, H, N)
        kernel = np.concatenate(
            [2.0 * (c * powers[:-1]).sum(-1).real, np.zeros((1, channels))]
        )  # (size + 1, H); the last for j > t
        t, j = np.meshgrid(np.arange(size), np.arange(size))
        n = size + self.states
        self.matrix = np.zeros((channels, size + 2 * self.states, size + 2 * self.states))
        self.matrix[:, :size, :size] = kernel[np.where(t >= j, t - j, size)].transpose(2, 0, 1)
        self.matrix[:, size:n, :size], self.matrix[:, n:, :size] = (
            _rows(answers.real),
            _rows(-answers.imag),
        )
        pushed = powers[size - 1 :: -1][:size]  # a^{size−1−j}
        self.matrix[:, :size, size:n], self.matrix[:, :size, n:] = (
            x.transpose(1, 0, 2) for x in (pushed.real, pushed.imag)
        )
        i = np.arange(self.states)
        self.matrix[:, size + i, size + i] = self.matrix[:, n + i, n + i] = powers[size].real
        self.matrix[:, size + i, n + i], self.matrix[:, n + i, size + i] = (
            powers[size].imag,
            -powers[size].imag,
        )

    def run(self, u: Array, state: Array) -> tuple[Array, Array]:
        """u (batch, a multiple of size, H), state complex (batch, H, N) -> (y like u, the state
        behind it)."""
        batch, _, channels = u.shape
        blocks = u.reshape(batch, -1, self.size, channels).transpose(
            1, 3, 0, 2
        )  # (block, H, batch, size)
        row = np.concatenate([np.zeros((channels, batch, self.size)), _halves(state)], axis=-1)
        y = np.empty(blocks.shape)
        for index, block in enumerate(blocks):
            row[..., : self.size] = block
            row = row @ self.matrix
            y[index] = row[..., : self.size]
        re, im = np.split(row[..., self.size :], 2, axis=-1)
        return y.transpose(2, 0, 3, 1).reshape(u.shape), (re + 1j * im).transpose(1, 0, 2)


def _rows(x: Array) -> Array:
    """(time, H, N) -> (H, N, time)."""
    return x.transpose(1, 2, 0)


def _halves(state: Array) -> Array:
    """Complex (batch, H, N) -> real (H, batch, 2N)."""
    return np.concatenate([state.real, state.imag], axis=-1).transpose(1, 0, 2)
