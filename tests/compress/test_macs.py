"""The MAC count is what an independent counter (fvcore) finds on the layers it can see, and near
the published total."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from compress import graph as g
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, PUBLISHED, build
from compress.frontend.lower import lower
from compress.graph import macs
from tests.conftest import HYBRID

FRAMES = 50


def seen_by_fvcore(model: nn.Module, samples: int) -> dict[nn.Module, int]:
    """Linear or convolutional layer -> its multiply-accumulates by fvcore on so many samples of
    signal."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(model, torch.zeros(samples, 1, 2, 16)).unsupported_ops_warnings(
        False
    )
    counts = analysis.uncalled_modules_warnings(False).by_module_and_operator()
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d)
    }
    return {
        module: int(counts[name]["linear"] + counts[name]["conv"])
        for name, module in layers.items()
    }


@dataclass
class Counted:
    """A network, its graph, and what fvcore counted per second of signal."""

    model: nn.Module
    graph: g.Graph
    seen: dict[nn.Module, float]

    def expected(self, path: str) -> float:
        """fvcore's count of the layer at a graph's module path; * stands for all bands."""
        paths = [path.replace("*", str(band)) for band in range(2)] if "*" in path else [path]
        return sum(self.seen[self.model.get_submodule(p)] for p in paths)


@pytest.fixture(scope="module", params=HYBRID)
def counted(request: pytest.FixtureRequest) -> Counted:
    hyper_parameters = HYPER_PARAMETERS[request.param]
    model = build(hyper_parameters).eval()
    graph = lower(Checkpoint(model, request.param, hyper_parameters, "0" * 64))
    seconds = FRAMES / float(graph.output.rate)
    seen = seen_by_fvcore(model, FRAMES * graph.samples_per_step)
    return Counted(model, graph, {module: count / seconds for module, count in seen.items()})


def test_every_layer_fvcore_can_see_has_its_count(counted: Counted) -> None:
    layers = [m for m in macs.count(counted.graph) if not m.state_space]
    assert {m.module: m.macs_per_s for m in layers} == pytest.approx(
        {m.module: counted.expected(m.module) for m in layers}
    )


def test_the_totals_agree_and_the_rest_is_state_space(counted: Counted) -> None:
    graph, report = counted.graph, macs.report(counted.graph)
    assert report["dense_macs_per_s"] == pytest.approx(sum(counted.seen.values()))
    states = sum(
        op.a.size * float(graph.tensors[op.output].rate)
        for op in graph.ops
        if isinstance(op, g.StateSpace)
    )
    channels = sum(
        op.a.shape[0] * float(graph.tensors[op.output].rate)
        for op in graph.ops
        if isinstance(op, g.StateSpace)
    )
    assert report["state_space_macs_per_s"] == pytest.approx(6 * states + channels)


def test_the_published_total_is_met_within_15_percent(counted: Counted) -> None:
    graph = counted.graph
    assert macs.report(graph)["macs_per_s"] / 1e9 == pytest.approx(
        PUBLISHED[graph.name].gmacs_per_s, rel=0.15
    )
