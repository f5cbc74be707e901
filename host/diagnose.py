"""Two engines side by side: how far apart each layer is, and the first frame, layer and element
that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from compress import graph as g
from compress.errors import TendonError, UsageError
from compress.files import write_json
from compress.graph.samples import Signal
from compress.reading.words import counted
from compress.tasks import distances
from host.engines import Artifacts, layers
from host.names import LAYERED

Array = g.Array
EXACT = ("integer", "native")
TOLERANCE = 0.1  # of a layer's rms: a float and an integer value further apart than this "differ"


@dataclass(frozen=True)
class Difference:
    """Where two engines first part: frame and element of a layer, and both values."""

    module: str
    step: int
    frame: int
    second: float
    element: int
    first: float
    second_value: float


def check(engines: Sequence[str]) -> None:
    """TendonError unless these are two engines whose layers can be seen."""
    wrong = [engine for engine in engines if engine not in LAYERED]
    if wrong or len(engines) != 2:
        raise UsageError(
            f'ENGINE="{" ".join(engines)}": expected two of {", ".join(LAYERED)}, whose layers can'
            " be seen"
        )


def compare(made: Artifacts, engines: tuple[str, str], signal: Signal) -> dict[str, Any]:
    """Per layer rmse, mae, l2r and cosine between two engines (real units), and the earliest
    difference in time."""
    exact = all(e in EXACT for e in engines)
    if not len(signal.samples):
        raise TendonError(
            "the input is shorter than one step of "
            + counted(made.integer.samples_per_step, "sample")
        )
    rows, differences = [], []
    modules = {op.output: op.module for op in made.integer.ops}
    for (name, a), (_, b) in zip(*(layers(e, made, signal) for e in engines), strict=True):
        x, y = _real(made, name, a, engines[0]), _real(made, name, b, engines[1])
        rows.append(
            {"module": modules[name], "shape": list(a.shape)} | distances.tensor_errors(x, y)
        )
        found = _first(made, name, x, y, 0.0 if exact else TOLERANCE)
        if found is not None:
            differences.append(found)
    earliest = min(
        differences, key=lambda d: d.step, default=None
    )  # of one step the first operator, being the cause
    return {
        "model": made.integer.name,
        "engines": list(engines),
        "exact": exact,
        "equal": not differences,
        "first_difference": None if earliest is None else asdict(earliest),
        "layers": rows,
    }


def _real(made: Artifacts, name: str, values: Array, engine: str) -> Array:
    return made.integer.tensors[name].real(values) if engine in EXACT else values


def _first(made: Artifacts, name: str, a: Array, b: Array, tolerance: float) -> Difference | None:
    limit = tolerance * float(np.sqrt(np.mean(np.square(a)))) if tolerance else 0.0
    places = np.argwhere(np.abs(a - b) > limit)
    if not len(places):
        return None
    frame, element = (int(v) for v in places[0])
    op = next(op for op in made.integer.ops if op.output == name)
    second = frame / float(made.integer.tensors[name].rate)
    step = frame // made.integer.frames_per_step(name)
    return Difference(
        op.module, step, frame, second, element, float(a[frame, element]), float(b[frame, element])
    )


def text(report: dict[str, Any]) -> str:
    """The table and the verdict."""
    first, second = report["engines"]
    lines = [f"{'layer':44} {'rmse':>10} {'mae':>10} {'l2r':>10} {'cosine':>10}"]
    for row in report["layers"]:
        lines.append(
            f"{row['module']:44} {row['rmse']:10.3g} {row['mae']:10.3g} {row['l2r']:10.3g}"
            f" {row['cos']:10.7f}"
        )
    d = report["first_difference"]
    rule = "any difference" if report["exact"] else f"more than {TOLERANCE:.0%} of the layer's rms"
    if d is None:
        within = "" if report["exact"] else f" to within {TOLERANCE:.0%} of each layer's rms"
        lines.append(f"{first} and {second} are equal{within}")
    else:
        lines.append(
            f"first difference ({rule}): {d['module']}, frame {d['frame']} ({d['second']:.3f} s),"
            f" element {d['element']}: {first} {d['first']:.6g}, {second} {d['second_value']:.6g}"
        )
    return "\n".join(lines)


def write(report: dict[str, Any], made: Artifacts) -> None:
    """build/<MODEL>/<PRECISION>/diagnose.json"""
    path = made.folder.path / "diagnose.json"
    write_json(path, report)
    print(f"wrote {path}")
