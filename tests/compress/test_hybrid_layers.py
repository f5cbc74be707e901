"""GRU layers and padded convolutions of the hybrid networks stream as they compute whole
sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compress.errors import CheckpointError
from compress.frontend import checkpoint
from compress.frontend.lower import lower
from compress.interpreter.float import FloatInterpreter
from tests.compress.test_networks import BASE, network, signal

GRU = "emg2qwerty.modules.GRULayer"
LAYER: dict[str, Any] = {
    "_target_": GRU,
    "d_hidden": 6,
    "norm": "batchnorm",
    "num_layers": 1,
    "bidirectional": False,
    "prenorm": False,
    "include_encoder": False,
    "include_decoder": False,
    "include_residual": False,
    "HLfreq_ratio": 6,
    "reduction_mode": "mean",
    "include_linear_layer": 5,
    "non_linearity": "sparse_relu_10",
    "gru_model": "GRU",
}
POOLED: dict[str, Any] = {
    "_target_": "emg2qwerty.modules.GRULayerPooled",
    "d_hidden": 6,
    "norm": "layernorm",
    "n_layers": 2,
    "include_GLU": True,
    "include_residual": True,
    "include_decoder": True,
    "end_layer_pools": [2, 1],
    "end_layer_pool_mode": "mean",
}
POOLING = {
    "mean_pooling": 2,
    "reduction_mode": "last",
    "norm": "layernorm",
    "include_encoder": True,
}
FRAME_BY_FRAME = {"HLfreq_ratio": 1, "reduction_mode": "none", "include_linear_layer": 0}
NETWORKS: dict[str, dict[str, Any]] = {
    "GRU in front": {"model_HF": LAYER},
    "GRU in front, pooled first": {"model_HF": LAYER | POOLING | {"include_decoder": True}},
    "GRU behind": {"model_LF": LAYER | FRAME_BY_FRAME},
    "pooled GRUs behind": {"model_LF": POOLED},
    "padding": {"model_HF": BASE["model_HF"] | {"out_channels": [6, 7, 5], "padding": 1}},
}


def built(**changes: Any) -> checkpoint.Checkpoint:
    if "model_LF" not in changes:
        return network(**changes)
    low = changes.pop("model_LF")
    h = network(**changes).hyper_parameters | {"model_LF": low}
    model = checkpoint.build(h).eval()
    return checkpoint.Checkpoint(model, "custom", h, "0" * 64)


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_it_gives_the_frames_of_the_published_forward(changes: dict[str, Any]) -> None:
    loaded = built(**changes)
    graph = lower(loaded)
    x = signal(graph.samples_per_step * 40)
    found = FloatInterpreter(graph).run(x[None].astype(np.float64))[0, graph.start_up :]
    # as padding looks ahead, the forward is given what comes after the last frame of the stream
    expected = checkpoint.forward(loaded, np.concatenate([x, signal(4096)]))[: len(found)]
    assert len(found) > 30 and np.abs(found - expected).max() < 1e-4


def test_padding_on_both_sides_is_said_as_look_ahead() -> None:
    assert lower(built(**NETWORKS["padding"])).provenance["lookahead"] > 0
    assert "lookahead" not in lower(built(**NETWORKS["GRU in front"])).provenance


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gru_model": "EventBasedGRU"}, "event-based GRU has no operator"),
        ({"num_layers": 2}, "hands the hidden state of all to each and fails"),
        ({"bidirectional": True}, "a stream has no end to begin with"),
        ({"norm": "none"}, "without a norm the published layer skips its GRU"),
        ({"HLfreq_ratio": 5, "mean_pooling": 2}, "that mean_pooling divides"),
    ],
)
def test_what_it_cannot_be_is_refused_with_the_reason(change: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        built(model_HF=LAYER | change)
