"""What quantize.json says of a network in floats and in integers."""

from __future__ import annotations

import logging
from typing import Any

from compress import evaluate
from compress import graph as g
from compress.data.datasets import Dataset
from compress.frontend.families import PUBLISHED
from compress.graph import latency
from compress.quantization.proof import accumulator_bounds
from compress.quantization.signals import as_calibrated
from compress.reading.words import counted
from compress.tasks import distances, groups

log = logging.getLogger(__name__)
REPORT_VERSION = 3


def score(real: g.Graph, integer: g.Graph, dataset: Dataset) -> dict[str, Any]:
    """What quantize.json says of both graphs on the held-out sessions."""
    what = (
        counted(len(dataset.heldout), "held-out session") if dataset.scored else "the signal itself"
    )
    log.info(f"{'scoring' if dataset.scored else 'comparing on'} {what}, float and integer")
    heldout = _compared(real, integer, dataset)
    task, recorded = evaluate.judge(integer, heldout.recorded), heldout.recorded
    a, b = heldout.float_frames(real), heldout.integer_frames(integer)
    errors = [task.error(integer, frames, recorded) for frames in (a, b)]
    by_user, by_kind = (
        groups.scores(task, integer, {"float": a, "quantized": b}, recorded, names, published)
        for names, published in ((dataset.user_of, False), (dataset.generalizes, True))
    )
    low, high = (None, None) if None in errors else task.difference(integer, a, b, recorded)
    published, (amount, amount_is) = PUBLISHED.get(integer.name), task.amount(recorded)
    return {
        "version": REPORT_VERSION,
        "model": integer.name,
        "precision": integer.provenance["precision"],
        "graph": integer.hash(),
        "checkpoint": integer.provenance["checkpoint"],
        "recordings": [p.name for p in dataset.heldout],
        "simulated": dataset.simulated,
        "scored": dataset.scored,
        "stream_latency": latency.of(integer),
        "metric": {
            "name": task.metric,
            "unit": task.unit,
            "float": errors[0],
            "quantized": errors[1],
            "low": low,
            "high": high,
        },
        "published": (
            None if published is None else {"value": published.value, "source": published.source}
        ),
        "amount": amount,
        "amount_is": amount_is,
        **groups.users(by_user),
        "generalization": by_kind,
        "notes": [*dataset.notes],
        "details": {
            "float": task.details(integer, a, recorded),
            "quantized": task.details(integer, b, recorded),
        },
        "trivial": task.trivial(integer, recorded, dataset.calibration),
        "agreement": task.agreement(a, b),
        "sqnr_db": distances.sqnr_of(a, b),
        "accumulators": [
            {"module": x.module, "largest": x.largest, "share": x.largest / 2**31}
            for x in accumulator_bounds(integer)
        ],
    }


def _compared(real: g.Graph, integer: g.Graph, dataset: Dataset) -> evaluate.HeldOut:
    """What both networks are compared on; a signal that calibrates and is compared on, clipped as
    it was for that."""
    if dataset.scored:
        return evaluate.read_heldout(integer, dataset.heldout)
    parts = [(path, evaluate.read(real, path, scored=False)) for path in dataset.heldout]
    clipped = [part for path, found in parts for part in as_calibrated(real, path, found)]
    return evaluate.HeldOut([evaluate.without_glitches(integer, part) for part in clipped])
