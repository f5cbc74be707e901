"""The shipped networks on simulated recordings: hard enough to be meaningful, and quantization costs next to nothing.

Whole held-out sessions, minutes long, more than 3,000 characters; nothing here is a figure for real recordings.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from compress import artifacts, checkpoint, scores
from compress.__main__ import main
from compress.data import datasets
from compress.data.session import SAMPLE_RATE, Session
from tests.conftest import ROOT

MODELS = ["TC_S4_small", "TC_S4_medium", "S4_large"]  # by size


@pytest.fixture(scope="module")
def report(simulated):
    """(precision, model) -> quantize.json of the shipped checkpoint, on the recordings in build/ (made when missing)."""
    made = {}

    def make(precision: str, model: str = "TC_S4_small") -> dict:
        if (precision, model) not in made:
            assert main(["quantize", "--model", model, "--precision", precision, "--build", str(ROOT / "build")]) == 0
            made[precision, model] = json.loads(Path(ROOT / "build" / model / precision / "quantize.json").read_text())
        return made[precision, model]

    return make


@pytest.mark.parametrize("model", MODELS)
def test_a_shipped_network_is_neither_broken_nor_trivial(model, report):
    found = report("w8a16", model)
    assert found["amount"] >= 3000 and found["simulated"]
    assert 4.0 <= found["metric"]["float"] <= 15.0


@pytest.mark.parametrize("model", MODELS)
def test_w8a16_costs_nothing_that_can_be_seen(model, report):
    found = report("w8a16", model)
    assert abs(found["metric"]["quantized"] - found["metric"]["float"]) <= 0.2
    assert found["agreement"] >= 0.995
    assert found["sqnr_db"] >= 40.0


def test_no_network_is_worse_than_the_next_smaller_one(simulated):
    """Paired over the same held-out characters: the interval of CER(larger) − CER(smaller) is not above zero."""
    paths = datasets.find(None, ROOT / "build").heldout
    frames, texts = {}, []
    for model in MODELS:
        network = checkpoint.load(artifacts.checkpoint_of(model, None))
        frames[model] = [checkpoint.forward(network, _whole(datasets.samples(path))) for path in paths]
    for path in paths:
        with Session(path) as session:
            texts.append(session.text(0.0, len(_whole(datasets.samples(path))) / SAMPLE_RATE))
    for smaller, larger in itertools.pairwise(MODELS):
        low, _ = scores.bootstrap_difference(frames[smaller], frames[larger], texts)
        assert low <= 0.0, f"{larger} reads worse than {smaller}"


def _whole(signal):
    """Samples that are whole steps of every network: 96 of them."""
    return signal[: len(signal) // 96 * 96]


def test_w8a8_costs_less_than_a_point(report):
    found = report("w8a8")
    assert abs(found["metric"]["quantized"] - found["metric"]["float"]) <= 1.0


def test_w4a16_costs_less_than_a_point(report):
    """Measured: +0.11 points, 95 % interval −0.40 … +0.62, 98.3 % equal arg-max, 33.5 dB; to the nearest +2.1, 27.8 dB."""
    found = report("w4a16")
    assert abs(found["metric"]["quantized"] - found["metric"]["float"]) <= 0.8
    assert found["agreement"] >= 0.975
    assert found["sqnr_db"] >= 31.0


@pytest.mark.parametrize("precision", ["w8a16", "w8a8", "w4a16"])
def test_the_report_names_scale_clipping_and_error_of_every_layer(precision, report):
    layers = report(precision)["layers"]
    assert len(layers) > 40
    assert all(layer["scale"] > 0 and layer["clipped"] < 0.01 for layer in layers)
    assert all(bound["largest"] < 2**31 for bound in report(precision)["accumulators"])
