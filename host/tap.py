"""What every operator of the network does on a board, step by step: CRC-32 of its output, its
ticks, its values.

For an image built with -DMODEL_TAP (`export.build.make_tap_image`). The board keeps the records of
the last step and gives them between two steps as often as asked, so a lost frame costs a repeated
question and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from host import protocol as p
from host.errors import NoTapError, ProtocolError, UnknownRequestError
from host.link import Link


class Step(NamedTuple):
    """One step of the network: outputs (frames · outputs,); of every operator, in order, crcs and
    ticks (operators,)."""

    outputs: NDArray[np.int16]
    crcs: NDArray[np.uint32]
    ticks: NDArray[np.uint32]


def walk(
    link: Link, samples: NDArray[np.int16], what: int = p.WATCH_CRCS, begin: bytes | None = None
) -> Iterator[Step]:
    """Stream int16 samples (whole steps, inputs), one step at a time; `link` after its handshake.
    `begin`: as Link.begin.

    Ticks are without the tap itself, but with a reading of the counter, some 20 cycles each; an
    operator of several bands is the sum of its calls. For times alone watch only ticks. Errors:
    NoTapError, and those of Link.
    """
    assert link.hello is not None, "handshake() comes first"
    link.begin(begin)
    operators = watch(link, what).operators
    size = link.hello.samples_per_step
    for first in range(0, len(samples), size):
        outputs = link.stream(samples[first : first + size]).outputs.reshape(-1)
        yield Step(outputs, *_records(link, operators))


def tensor(
    link: Link, samples: NDArray[np.int16], operator: int, begin: bytes | None = None
) -> NDArray[np.int16]:
    """Everything an operator puts out in the last step of a stream, flat (frames · features,).
    `begin`: as Link.begin.

    A board keeps a part of a large tensor at a time; for each part the stream is repeated.
    """
    found: list[NDArray[np.int16]] = []
    total = 1
    while (first := sum(map(len, found))) < total:
        link.begin(begin)
        kept = watch(link, p.WATCH_TENSOR, operator, first).kept
        link.stream(samples)
        total, values = _values(link, operator, first, kept)
        found.append(values)
    return np.concatenate(found)


def watch(link: Link, what: int, operator: int = 0, first: int = 0) -> p.Watched:
    """What the board is to keep of every step of this session: before its first sample."""
    try:
        answer = link.request(p.TAP_WATCH, np.array([what, operator, first], "<u4").tobytes())
    except UnknownRequestError as error:
        raise NoTapError(
            f"{link.line.name}: the image on the board was built without -DMODEL_TAP and cannot say"
            f" what its operators put out; load the one that can: {link.expected.flash} TAP=1"
        ) from error
    return p.Watched.parse(answer.payload)


def _records(link: Link, operators: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    parts: list[p.TapRecords] = []
    while (first := sum(len(part.crcs) for part in parts)) < operators:
        part = p.TapRecords.parse(link.request(p.TAP_STEP, first.to_bytes(4, "little")).payload)
        _same_step(link, part.steps)
        parts.append(part)
    return np.concatenate([part.crcs for part in parts]), np.concatenate(
        [part.ticks for part in parts]
    )


def _values(link: Link, operator: int, first: int, kept: int) -> tuple[int, NDArray[np.int16]]:
    """(values of the whole tensor, those of them that are kept)."""
    parts: list[NDArray[np.int16]] = []
    count = 1
    while (got := sum(map(len, parts))) < count:
        part = p.TapValues.parse(link.request(p.TAP_VALUES, got.to_bytes(4, "little")).payload)
        _same_step(link, part.steps)
        if (part.operator, part.first) != (operator, first + got):
            raise ProtocolError(
                f"{link.line.name}: asked for value {first + got} of operator {operator}, got"
                f" {part.first} of {part.operator}"
            )
        count = min(kept, part.total - first)
        parts.append(part.values)
    return part.total, np.concatenate(parts)


def _same_step(link: Link, steps: int) -> None:
    if steps != link.frames:
        raise ProtocolError(
            f"{link.line.name}: expected the records of output frame {link.frames}, found those of"
            f" {steps}"
        )
