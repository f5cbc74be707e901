"""Recordings as a test wants them: any rows, any attributes, right or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from compress.data.recording_file import DATASET


def write(path: Path, group: str, table: np.ndarray, attributes: Mapping[str, Any]) -> Path:
    """`group`/timeseries with checksums, in chunks of up to 1,024 rows; an attribute that is None
    is left out."""
    with h5py.File(path, "w") as file:
        chunks = (min(1024, len(table)),) if len(table) else None
        file.create_group(group).create_dataset(
            DATASET, data=table, chunks=chunks, fletcher32=len(table) > 0
        )
        file[group].attrs.update(
            {key: value for key, value in attributes.items() if value is not None}
        )
    return path
