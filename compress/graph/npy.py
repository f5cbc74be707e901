"""Writing arrays that may lie on disk as `.npy`, some rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

import numpy as np

from compress.graph import Array
from compress.graph.samples import pieces


def write(file: IO[bytes], parts: Sequence[Array], last: bool = False) -> tuple[int, ...]:
    """Arrays of one kind (n, …), one or more, one behind the other, as `np.save` writes the whole.
    `last`: rows are columns, (…, n), of parts (n, values). Returns the shape."""
    rows, of, dtype = sum(map(len, parts)), parts[0].shape[1:], parts[0].dtype
    shape = (*of, rows) if last else (rows, *of)
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    begin, done = file.tell() if last else 0, 0
    for part in parts:
        for piece in pieces(part):
            block = np.asarray(piece, dtype)
            if last:
                _columns(file, block, begin + done * dtype.itemsize, rows * dtype.itemsize)
            else:
                file.write(block.tobytes())
            done += len(block)
    return shape


def _columns(file: IO[bytes], block: Array, begin: int, apart: int) -> None:
    """Each value's column of a block, so many bytes apart in the file."""
    for index, column in enumerate(block.T):
        file.seek(begin + index * apart)
        file.write(column.tobytes())
