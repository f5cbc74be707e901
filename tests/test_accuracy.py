"""The shipped network on simulated recordings: hard enough to be meaningful, and quantization costs next to nothing.

Whole held-out sessions, minutes long, more than 3,000 characters; nothing here is a figure for real recordings.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compress.__main__ import main
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def report(simulated):
    """precision -> quantize.json of the shipped checkpoint, on the recordings in build/ (made when missing)."""
    made = {}

    def make(precision: str) -> dict:
        if precision not in made:
            assert main(["quantize", "--precision", precision, "--build", str(ROOT / "build")]) == 0
            made[precision] = json.loads(Path(ROOT / "build/TC_S4_small" / precision / "quantize.json").read_text())
        return made[precision]

    return make


def test_the_shipped_network_is_neither_broken_nor_trivial(report):
    found = report("w8a16")
    assert found["characters"] >= 3000 and found["simulated"]
    assert 4.0 <= found["metric"]["float"] <= 15.0


def test_w8a16_costs_nothing_that_can_be_seen(report):
    found = report("w8a16")
    assert abs(found["metric"]["quantized"] - found["metric"]["float"]) <= 0.2
    assert found["agreement"] >= 0.995
    assert found["sqnr_db"] >= 40.0


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
