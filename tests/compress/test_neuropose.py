"""NeuroPose over windows: the published forward, window by window, in floats; in integers the same
words from every engine."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.bare import model_steps
from bench.tendon import main as tendon
from compress import graph as g
from compress.errors import GraphError
from compress.frontend import checkpoint
from compress.frontend.builder import Builder
from compress.frontend.families.emg2pose.neuropose import (
    DecoderBlock,
    EncoderBlock,
    NeuroPose,
    ResidualBlock,
)
from compress.frontend.families.emg2pose.neuropose_handlers import neuropose
from compress.frontend.lower import lower
from compress.graph import macs
from compress.graph.samples import to_int16, to_real
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from export.boards import FAMILIES
from export.c import emit, pieces
from export.c.project import build_project, write_project
from host import native
from host.boards import open_board
from tests.conftest import Cases

ELECTRODES = 16
WIDE = (6, 4, 5)  # channels of a small network


def network(
    channels: tuple[int, ...] = WIDE,
    kernel: tuple[int, int] = (3, 2),
    pools: tuple[tuple[int, int], ...] = ((4, 2), (2, 8)),
) -> NeuroPose:
    """A small one of the published kind: encoder blocks of these pools, a residual block, decoder
    blocks that undo the pools."""
    torch.manual_seed(0)
    first, second, third = channels
    (t0, e0), (t1, e1) = pools
    encoder = [
        EncoderBlock(1, first, kernel, (t0, e0)),
        EncoderBlock(first, second, kernel, (t1, e1)),
    ]
    residual = [ResidualBlock(second, second, kernel, 3)]
    decoder = [
        DecoderBlock(second, third, kernel, (t1, e1)),
        DecoderBlock(third, 1, kernel, (t0, 2 * e0)),
    ]
    made = NeuroPose(encoder, residual, decoder, ELECTRODES * 2, 20)
    for norm in (m for m in made.modules() if isinstance(m, nn.BatchNorm2d)):
        for values in (norm.weight, norm.running_var):
            nn.init.uniform_(values, 0.5, 2.0)
        for values in (norm.bias, norm.running_mean):
            nn.init.uniform_(values, -0.5, 0.5)
    return made.eval()


def lowered(model: NeuroPose, window: int) -> g.Graph:
    builder = Builder(ELECTRODES, Fraction(2000))
    neuropose(builder, "network", model, window)
    return g.verify(g.Graph("neuropose", builder.tensors, tuple(builder.ops)))


def signal(samples: int) -> np.ndarray:
    """(samples, 16) with quiet and loud stretches."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, ELECTRODES)) * np.exp(rng.normal(size=(samples, 1)))


def window_by_window(model: nn.Module, x: np.ndarray, window: int) -> np.ndarray:
    """The published forward of windows that follow each other: x (time, 16) -> (time, 20)."""
    windows = torch.from_numpy(x.reshape(-1, window, ELECTRODES).transpose(0, 2, 1)).float()
    with torch.no_grad():
        return model(windows).numpy().transpose(0, 2, 1).reshape(len(x), -1)


@pytest.fixture(scope="module")
def published(published_checkpoint: Any) -> tuple[Any, g.Graph]:
    """The published network with untrained weights, and its graph over windows of the default
    length."""
    loaded = checkpoint.load(published_checkpoint("regression_neuropose"))
    return loaded, lower(loaded)


@pytest.fixture(scope="module")
def integers() -> dict[str, g.Graph]:
    """The small network over windows of 64 samples, at every precision."""
    real = lowered(network(), 64)
    ranges = observe(real, [signal(640)])
    return {
        precision: quantize(real, ranges, precision) for precision in ("w8a16", "w8a8", "w4a16")
    }


def words(graph: g.Graph, windows: int = 4) -> np.ndarray:
    """int16 samples, the last window at full scale."""
    x = to_int16(graph, signal(windows * graph.samples_per_step))
    x[-graph.samples_per_step :] = np.random.default_rng(1).choice(
        [-32768, 32767], size=(graph.samples_per_step, ELECTRODES)
    )
    return x


def test_the_published_network_gives_the_published_poses_of_every_window(
    published: tuple[Any, g.Graph], cases: Cases
) -> None:
    loaded, graph = published
    with np.load(cases / "regression_neuropose/io.npz") as io:
        x = io["input"].T[: 2 * graph.samples_per_step]
    assert (graph.samples_per_step, graph.chunk, graph.output.rate) == (1920, 1920, 2000)
    expected = window_by_window(loaded.model.model.network, x, graph.samples_per_step)
    assert (
        np.abs(FloatInterpreter(graph).run(x[None].astype(np.float64))[0] - expected).max() < 1e-4
    )


def test_the_published_network_fits_half_a_megabyte_since_no_convolution_holds_a_whole_window(
    published: tuple[Any, g.Graph],
) -> None:
    _, real = published
    plan = emit.memory.plan(quantize(real, observe(real, [signal(1920)], products=False), "w8a16"))
    assert plan.arena_bytes == plan.lower_bound_bytes < 2**18
    assert plan.state_bytes == 0


def test_taps_that_only_see_padding_are_left_out(published: tuple[Any, g.Graph]) -> None:
    """Behind the encoder the picture is one column wide, so a kernel of two columns has three taps
    for 256 channels, not six."""
    _, graph = published
    residual = [
        op
        for op in graph.ops
        if isinstance(op, g.Dense) and op.module.startswith("model.network.network.5.")
    ]
    assert [op.weight.size for op in residual] == [3 * 256 * 256] * 3
    assert sum(layer.macs_per_s for layer in macs.count(graph)) == 92_012_800


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from([((4, 2), (2, 8)), ((2, 4), (3, 4)), ((1, 1), (2, 16))]),
    st.integers(1, 3),
)
def test_any_kernel_and_pools_give_what_torch_gives(
    kernel: tuple[int, int], pools: tuple[tuple[int, int], ...], times: int
) -> None:
    model = network(kernel=kernel, pools=pools)
    window = times * math.prod(time for time, _ in pools)
    x = signal(3 * window)
    expected = window_by_window(model, x, window)
    assert np.abs(FloatInterpreter(lowered(model, window)).run(x[None])[0] - expected).max() < 1e-5


@pytest.mark.parametrize("window", [0, -8, 60])
def test_a_window_that_the_pools_do_not_divide_is_refused(window: int) -> None:
    with pytest.raises(
        GraphError, match=f"network: expected a window of a multiple of 8 samples, found {window}"
    ):
        lowered(network(), window)


def test_the_window_is_a_property_of_the_graph(published_checkpoint: Any) -> None:
    loaded = checkpoint.load(published_checkpoint("regression_neuropose"))
    short, long = lower(loaded, window=320), lower(loaded, window=640)
    assert (short.samples_per_step, long.samples_per_step) == (320, 640)
    assert short.hash() != long.hash()
    with pytest.raises(GraphError, match="multiple of 320 samples, found 500"):
        lower(loaded, window=500)
    with pytest.raises(GraphError, match="works over windows"):
        g.in_chunks(short, 640)


def test_a_user_chooses_the_window_and_a_stream_has_none(
    published_checkpoint: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def macs_of(name: str, window: str) -> int:
        path = str(published_checkpoint(name))
        return tendon(
            [
                "macs",
                "--model",
                name,
                "--checkpoint",
                path,
                "--build",
                str(tmp_path),
                "--window",
                window,
            ]
        )

    assert macs_of("regression_neuropose", "960") == 0
    assert macs_of("regression_neuropose", "959") == 2
    assert "expected a window of a multiple of 320 samples, found 959" in capsys.readouterr().err
    assert macs_of("tracking_vemg2pose", "960") == 2
    assert "tracking_vemg2pose runs as a stream and has none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("precision", "relative"), [("w8a16", 0.02), ("w8a8", 0.06), ("w4a16", 0.2)]
)
def test_the_integers_follow_the_floats(
    integers: dict[str, g.Graph], precision: str, relative: float
) -> None:
    """Mean difference relative to how much the angles move."""
    graph, x = integers[precision], signal(640)
    expected = FloatInterpreter(lowered(network(), 64)).run(x[None])[0]
    found = to_real(graph, IntegerInterpreter(graph).run(to_int16(graph, x)[None])[0])
    assert np.abs(found - expected).mean() < relative * expected.std()


@pytest.mark.parametrize("precision", ["w8a16", "w8a8", "w4a16"])
def test_native_c_equals_the_reference_in_any_number_of_pieces(
    integers: dict[str, g.Graph], precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = integers[precision]
    x, arenas = words(graph), []
    expected = IntegerInterpreter(graph).run(x[None])[0]
    for most in (pieces.PIECE_BYTES, 1024):
        monkeypatch.setattr(pieces, "PIECE_BYTES", most)
        arenas.append(emit.build(graph).plan.arena_bytes)
        for family in FAMILIES if (most, precision) == (1024, "w8a8") else FAMILIES[:1]:
            assert np.array_equal(native.load(graph, tmp_path, family=family).run(x), expected), (
                most,
                family,
            )
    assert arenas[0] > arenas[1]


def test_every_operator_of_the_c_equals_the_reference_though_it_comes_in_pieces(
    integers: dict[str, g.Graph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = integers["w8a16"]
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1024)
    expected: list[np.ndarray] = []
    x = words(graph, 1)
    IntegerInterpreter(graph).run(x[None], lambda op, y: expected.append(y[0].reshape(-1)))
    found: dict[int, np.ndarray] = {}
    model = native.load(graph, tmp_path, taps=True)
    model.set_tap(found.__setitem__)
    model.run(x)
    assert len(found) == len(graph.ops) == len(expected)
    for index, values in enumerate(expected):
        assert np.array_equal(found[index], values), graph.ops[index].module


def exported(graph: g.Graph, board: str, folder: Path) -> Path:
    """The C project of a graph for a board."""
    write_project(
        folder, board, emit.files(emit.build(graph)), emit.kernels(graph), "small NeuroPose"
    )
    return folder


def test_a_board_takes_whole_windows_over_the_line_and_returns_every_frame(
    integers: dict[str, g.Graph], tmp_path: Path
) -> None:
    graph = integers["w8a16"]
    x = words(graph)
    image = build_project(exported(graph, "posix", tmp_path / "project"), "posix")
    with open_board("posix", image, graph.hash()) as board:
        board.link.handshake()
        board.link.reset()
        assert np.array_equal(
            board.link.stream(x).outputs, IntegerInterpreter(graph).run(x[None])[0]
        )


def test_an_emulated_cortex_m7_computes_the_same_words(
    integers: dict[str, g.Graph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = integers["w8a16"]
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1024)
    x = words(graph, 2)
    counted = model_steps.count(
        graph, exported(graph, "virtual-m7", tmp_path / "project"), "virtual-m7", x
    )
    assert np.array_equal(counted.words, IntegerInterpreter(graph).run(x[None])[0])
