"""A published family is a folder and a line in a table: nothing outside it knows its name, and what
is common to families is common."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend import checkpoint, families, handlers
from compress.frontend.builder import Builder
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.frontend.lower import lower
from compress.interpreter.float import FloatInterpreter
from tests.compress.test_networks import network as typing_network
from tests.compress.test_pose_networks import tiny
from tests.conftest import ROOT

FRONTEND = ROOT / "compress" / "frontend"
COMMON = [  # what every family goes through
    *sorted(FRONTEND.glob("*.py")),
    FRONTEND / "families" / "record.py",
    *(
        ROOT / "compress" / "compression" / f"{name}.py"
        for name in ("rebuild", "candidates", "rounded", "sensitivity", "check", "tuned")
    ),
]


def test_the_table_lists_every_folder() -> None:
    folders = [path.parent.name for path in (FRONTEND / "families").glob("*/family.py")]
    assert sorted(folders) == sorted(families.FOLDERS)


@pytest.mark.parametrize("path", COMMON, ids=lambda path: path.stem)
def test_what_is_common_names_no_family_and_no_task(path: Path) -> None:
    every = [family for family in families.every() if family.networks]
    words = {*families.FOLDERS, *(f.source for f in every), *HYPER_PARAMETERS}
    words |= {"HybridNetwork", "PoseNetwork", "NeuroPose", *(f'"{f.task}"' for f in every)}
    words |= {f"tasks.{f.task}" for f in every}
    named = re.findall("|".join(map(re.escape, words)), path.read_text(), re.IGNORECASE)
    assert named == []


def test_names_and_hyper_parameters_of_all_families_are_read_without_torch() -> None:
    code = (
        "import sys; from compress.frontend.families import *;"
        "from compress.frontend import families as f;"
        "assert f.HYPER_PARAMETERS and f.PUBLISHED;"
        "assert [f.family_of(h).task for h in f.HYPER_PARAMETERS.values()];"
        "assert 'torch' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_shipped_networks_are_those_with_a_checkpoint_here() -> None:
    shipped = [name for family in families.every() for name in family.shipped]
    files = (ROOT / "compress" / "checkpoints").glob("*.ckpt")
    assert sorted(shipped) == sorted(path.stem for path in files)
    assert set(shipped) <= set(HYPER_PARAMETERS)


NEW = """
import torch
from torch import nn
from compress.frontend import handlers
from compress.frontend.families.record import Family

class Network(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.conv, self.lstm = nn.Conv1d(4, 6, 5, 3), nn.LSTM(6, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 3)

    def forward(self, x):
        return self.out(self.lstm(self.conv(x).swapaxes(1, 2))[0])

class New(Family):
    task, source, keys, networks = "typing", "nobody", ("hidden",), {}
    features, sample_rate, forward_is_stream = 4, 300, True

    def build(self, h):
        return Network(h["hidden"])

    def structure(self, h):
        return h

    def lower(self, b, model, window):
        handlers.convolution(b, "conv", model.conv)
        handlers.lstm(b, "lstm", model.lstm)
        handlers.dense(b, "out", model.out)

    def forward(self, loaded, samples, initial):
        return loaded.model(samples.t()[None])[0]

FAMILY = New()
"""


def test_a_new_family_is_a_folder_and_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of it is read, lowered and streamed; nothing else had to know."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "family.py").write_text(NEW)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    monkeypatch.setattr(families, "FOLDERS", (*families.FOLDERS, "new"))
    h = {"hidden": 5}
    checkpoint.save(tmp_path / "new.ckpt", build(h), h)
    loaded = checkpoint.load(tmp_path / "new.ckpt")
    graph, x = lower(loaded), noise(60, 4)
    assert (loaded.name, loaded.task, graph.samples_per_step) == ("custom", "typing", 3)
    streamed = FloatInterpreter(graph).run(x[None].astype(np.float64))[0, graph.start_up :]
    expected = checkpoint.stream_forward(loaded, graph, x)[graph.start_up :]
    np.testing.assert_allclose(streamed, expected[: len(streamed)], atol=1e-5)


def custom(h: dict[str, Any]) -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(build(h).eval(), "custom", h, "")


def noise(samples: int, features: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((samples, features)).astype(np.float32)


def test_the_published_forward_on_a_streams_frames_begins_with_what_says_nothing() -> None:
    for loaded, nothing in (
        (typing_network(high={"kernel_sizes": [3, 2]}), -np.log(99)),
        (custom(tiny()), 0.0),
    ):
        graph = lower(loaded)
        x = noise((graph.start_up_steps + 6) * graph.samples_per_step, graph.input.features)
        found, whole = checkpoint.stream_forward(loaded, graph, x), checkpoint.forward(loaded, x)
        assert graph.start_up > 0 and np.allclose(found[: graph.start_up], nothing)
        np.testing.assert_array_equal(found[graph.start_up :], whole)
        if loaded.family.forward_is_stream:
            streamed = FloatInterpreter(graph).run(x[None].astype(np.float64))[0]
            frames = slice(graph.start_up, min(len(streamed), len(found)))
            np.testing.assert_allclose(found[frames], streamed[frames], atol=1e-4)


def test_a_network_is_causal_or_has_a_window() -> None:
    causal = custom(tiny())
    assert causal.family.window(causal.model) is None
    with pytest.raises(GraphError, match="a window of 640 samples: custom runs as a stream"):
        lower(causal, 640)
    windowed = custom(HYPER_PARAMETERS["regression_neuropose"])
    assert windowed.family.window(windowed.model) == 1920
    graph, x = lower(windowed, 640), noise(1280, 16)
    assert graph.windowed and graph.samples_per_step == 640
    each = [checkpoint.forward(windowed, part) for part in (x[:640], x[640:])]
    found = checkpoint.stream_forward(windowed, graph, x)
    np.testing.assert_array_equal(found, np.concatenate(each))


# --- the common vocabulary ------------------------------------------------------------------------


def lowered(features: int, make: Any) -> g.Graph:
    builder = Builder(features, Fraction(100))
    make(builder)
    return g.verify(g.Graph("network", builder.tensors, tuple(builder.ops)))


@pytest.mark.parametrize("bias", [True, False])
def test_an_lstm_of_any_network_streams_as_pytorch_computes_it(bias: bool) -> None:
    torch.manual_seed(0)
    module = nn.LSTM(3, 5, num_layers=2, bias=bias, batch_first=True)
    graph = lowered(3, lambda b: handlers.lstm(b, "lstm", module))
    x = noise(20, 3)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)[None])[0].numpy()
    np.testing.assert_allclose(FloatInterpreter(graph).run(x[None]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Conv1d(3, 4, 3, padding=1), "layer: expected no padding, dilation or groups"),
        (nn.Conv1d(3, 4, 3, dilation=2), "expected no padding, dilation or groups"),
        (nn.LSTM(3, 4, bidirectional=True), "layer: expected one direction and no projection"),
        (nn.GELU("tanh"), "layer: GELU has no operator"),
        (nn.LeakyReLU(0.2), "layer: LeakyReLU has no operator"),
        (nn.InstanceNorm1d(3), "layer: InstanceNorm1d has no operator"),
    ],
)
def test_what_the_vocabulary_does_not_hold_is_refused_by_name(
    module: nn.Module, message: str
) -> None:
    b = Builder(3, Fraction(100))
    with pytest.raises(GraphError, match=message):
        if isinstance(module, nn.Conv1d):
            handlers.convolution(b, "layer", module)
        elif isinstance(module, nn.LSTM):
            handlers.lstm(b, "layer", module)
        elif isinstance(module, nn.InstanceNorm1d):
            handlers.norm(b, "layer", [module])
        else:
            handlers.activation(b, "layer", module)
