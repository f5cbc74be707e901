"""Files of arrays: what `infer`, `decode`, `diagnose` and the rest take as INPUT=, INITIAL= and
CALIBRATION=."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compress.data import array_file, own_recording
from compress.errors import RecordingError, TendonError
from compress.reading import arrays
from compress.reading.text import UnreadableError
from host import decoders
from tests.fuzz.reader import Reader

HEADERS = (
    *(b"'|O'", b"'<f4'", b"'>f8'", b"'<c16'", b"'|b1'", b"'|V8'", b"'<M8[ns]'", b"'<U9'"),
    *(b"[('a', '<f4')]", b"(1000000000000,)", b"(-1, 2)", b"(0, 4)", b"()", b"(2.0,)", b"True"),
    *(b"__import__('os').abort()", b"lambda: 0", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x03\x00"),
    *(b"PK\x03\x04", b"'descr'", b"'shape'", b"'fortran_order'"),
    np.float32(np.nan).tobytes() * 4,
    np.float64(1e300).tobytes(),
)


def npy(path: Path) -> None:
    """Samples."""
    np.save(path, np.arange(120, dtype=np.float32).reshape(30, 4))


def frames(path: Path) -> None:
    """Log-probabilities of letters."""
    np.save(path, np.full((7, 99), -4.0, np.float32))


def npz(path: Path) -> None:
    """A recording of one's own."""
    signal = np.arange(120, dtype=np.float32).reshape(40, 3)
    np.savez_compressed(path, emg=signal, rate=500.0, label=np.zeros(40, np.int64), target=signal)


READERS = (
    Reader("array", "x.npy", npy, array_file.load, (RecordingError,), HEADERS),
    Reader("mapped array", "x.npy", npy, arrays.mapped, (UnreadableError,), HEADERS),
    Reader("frames to decode", "x.npy", frames, decoders.load_frames, (TendonError,), HEADERS),
    Reader("own recording npz", "x.npz", npz, own_recording.read, (RecordingError,), HEADERS),
)
