"""What else a dry electrode picks up: its own noise, the mains, and the skin moving under it.

Sources: Clancy, Morin, Merletti, "Sampling, noise-reduction and amplitude estimation issues in
surface electromyography" (2002); De Luca, Gilmore, Kuznetsov, Roy (2010) for motion artefacts, most
of which lies below 20 Hz and is removed by the 40 Hz high-pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from compress.data.recording_file import ELECTRODES, SAMPLE_RATE

HIGH_PASS = 40.0  # Hz
_SECTIONS = butter(2, HIGH_PASS, "highpass", fs=SAMPLE_RATE, output="sos")


@dataclass(frozen=True)
class Surroundings:
    """One session: standard deviation of the electrodes' noise, amplitude of the hum, its frequency
    (Hz), artefacts per minute."""

    noise: float
    hum: float
    mains: float
    artefacts: float


def add(signal: np.ndarray, around: Surroundings, rng: np.random.Generator) -> None:
    """Add noise, hum and motion to one band's signal (samples, 16) in place."""
    spread = np.exp(0.25 * rng.standard_normal(ELECTRODES)).astype(np.float32)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise *= np.float32(around.noise) * spread
    signal += noise
    time = np.arange(len(signal)) / SAMPLE_RATE
    coupling = around.hum * np.exp(0.5 * rng.standard_normal(ELECTRODES))
    for harmonic, share in ((1, 1.0), (3, 0.3), (5, 0.1)):
        wave = np.sin(
            2 * np.pi * harmonic * around.mains * time + rng.uniform(0, 2 * np.pi)
        ).astype(np.float32)
        signal += wave[:, None] * (share * coupling).astype(np.float32)
    for _ in range(int(rng.poisson(around.artefacts * len(signal) / SAMPLE_RATE / 60))):
        _bump(signal, rng)


def _bump(signal: np.ndarray, rng: np.random.Generator) -> None:
    """The band is knocked: a slow swing with a steep edge, largest at one electrode."""
    length = int(rng.uniform(0.1, 0.4) * SAMPLE_RATE)
    if length >= len(signal):
        return
    at = int(rng.integers(len(signal) - length))
    swing = np.exp(-np.linspace(0, 5, length)) * np.sin(
        np.linspace(0, rng.uniform(2, 6) * np.pi, length)
    )
    around = np.exp(
        -0.5
        * ((np.arange(ELECTRODES) - rng.integers(ELECTRODES) + 8) % ELECTRODES - 8.0) ** 2
        / 4.0
    )
    signal[at : at + length] += (rng.uniform(2, 12) * swing[:, None] * around).astype(np.float32)


def high_pass(signal: np.ndarray) -> np.ndarray:
    """Second-order Butterworth at 40 Hz along time, causal as on the device; float32."""
    return sosfilt(_SECTIONS.astype(np.float32), signal, axis=0).astype(np.float32, copy=False)
