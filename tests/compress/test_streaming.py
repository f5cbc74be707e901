"""The recurrent step equals the convolution: frame by frame in the stream graph = the published
whole-sequence forward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.frontend import checkpoint
from compress.frontend.lower import lower
from compress.interpreter.float import FloatInterpreter
from compress.ops.scan import Scan
from tests.conftest import HYBRID

SECONDS, RATE = 20, 2000


def signal(samples: int) -> np.ndarray:
    """Bursts and rest, like the recordings: (samples, 32)."""
    rng = np.random.default_rng(7)
    envelope = np.repeat(rng.uniform(0.1, 2.5, samples // 500 + 1), 500)[:samples, None]
    return (rng.standard_normal((samples, 32)) * envelope).astype(np.float32)


@pytest.mark.parametrize("name", HYBRID)
def test_every_state_space_layer_stepped_equals_its_convolution(name, published_checkpoint):
    model = checkpoint.load(published_checkpoint(name)).model
    frames = int(SECONDS * 125)
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in model.model_LF.s4_layers:
            u = torch.randn(1, layer.D.shape[0], frames)
            state = torch.zeros(1, *layer.kernel.log_A_real.shape, dtype=torch.cfloat)
            a, c = layer.kernel.discrete()
            stepped = []
            for t in range(frames):
                state = a * state + u[..., t].unsqueeze(-1)
                stepped.append(2.0 * (c * state).sum(-1).real + u[..., t] * layer.D)
            expected = layer.convolve(u)
            assert (torch.stack(stepped, -1) - expected).abs().max() < 1e-4 * max(
                1.0, float(expected.abs().max())
            )


@pytest.mark.parametrize("name", HYBRID)
def test_the_network_streamed_frame_by_frame_equals_the_whole_sequence(name, published_checkpoint):
    loaded = checkpoint.load(published_checkpoint(name))
    graph = lower(loaded)
    step = graph.samples_per_step
    x = signal(SECONDS * RATE // step * step)
    machine = FloatInterpreter(graph)
    streamed = np.concatenate(
        [machine.run(x[None, i : i + step])[0] for i in range(0, len(x), step)]
    )
    assert np.abs(streamed - checkpoint.forward(loaded, x)).max() < 1e-4


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_blocks_of_frames_are_the_recurrence(
    batch: int, channels: int, states: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.uniform(0.0, 1.0, (channels, states)) * np.exp(
        2j * np.pi * rng.uniform(size=(channels, states))
    )
    c = rng.standard_normal((channels, states)) + 1j * rng.standard_normal((channels, states))
    state = rng.standard_normal((batch, channels, states)) + 1j * rng.standard_normal(
        (batch, channels, states)
    )
    u = rng.standard_normal((batch, 24, channels))
    y, after = Scan(a, c, 8).run(u, state)
    for t in range(24):
        state = a * state + u[:, t, :, None]
        np.testing.assert_allclose(y[:, t], 2.0 * (c * state).sum(-1).real, atol=1e-10)
    np.testing.assert_allclose(after, state, atol=1e-10)
