"""What a network over windows may hold besides: attention, pools and recurrence over the whole
window, places, class tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compress import graph as g
from tests.compress.test_trace import WINDOW, C, Forward, kinds, shape, traced


def over_window(forward: Forward, **modules: nn.Module) -> g.Graph:
    graph = traced(forward, WINDOW, **modules)
    assert graph.provenance["lookahead"] == 0
    assert graph.output.rate == graph.input.rate / WINDOW
    return graph


@pytest.mark.parametrize(
    ("forwards", "kind"),
    [
        (
            [
                lambda m, x: x.mean(2),
                lambda m, x: torch.mean(x, dim=-1),
                lambda m, x: nn.AdaptiveAvgPool1d(1)(x).flatten(1),
                lambda m, x: functional.adaptive_avg_pool1d(x, 1)[:, :, 0],
                lambda m, x: functional.avg_pool1d(x, WINDOW).squeeze(-1),
                lambda m, x: x.transpose(1, 2).mean(1),
            ],
            "MeanPool",
        ),
        (
            [
                lambda m, x: x.amax(2),
                lambda m, x: x.max(dim=2).values,
                lambda m, x: x.max(2)[0],
                lambda m, x: nn.AdaptiveMaxPool1d(1)(x)[..., 0],
                lambda m, x: functional.max_pool1d(x, WINDOW).flatten(1),
            ],
            "MaxPool",
        ),
    ],
)
def test_pools_over_the_whole_window_are_one_graph(forwards: list[Forward], kind: str) -> None:
    first, *others = (over_window(forward) for forward in forwards)
    assert kinds(first)[-1] == kind
    assert all(shape(other) == shape(first) for other in others)


def test_adaptive_pools_to_several_places_and_flatten() -> None:
    graph = over_window(
        lambda m, x: m.last(functional.adaptive_max_pool1d(x, 6).flatten(1)),
        last=nn.Linear(6 * C, 2),
    )
    assert "MaxPool" in kinds(graph) and graph.output.features == 2


def test_the_end_of_a_recurrent_layer_is_its_last_frame_or_its_last_state() -> None:
    gru, lstm = nn.GRU(C, 5, batch_first=True), nn.LSTM(C, 5, 2, batch_first=True)
    for layer, state in ((gru, lambda h: h[-1]), (lstm, lambda h: h[0][-1])):
        found = [
            over_window(lambda m, x: m.r(x.mT)[0][:, -1], r=layer),
            over_window(lambda m, x, s=state: s(m.r(x.mT)[1]), r=layer),
        ]
        assert shape(found[0]) == shape(found[1])


def test_recurrence_in_both_directions() -> None:
    layer = nn.LSTM(C, 5, batch_first=True, bidirectional=True)

    def both_ends(m: nn.Module, x: Tensor) -> Tensor:
        _, (h, _) = m.r(x.mT)  # type: ignore[operator]
        return torch.cat([h[0], h[1]], 1)

    assert kinds(over_window(both_ends, r=layer)).count("LstmCell") == 2
    whole = over_window(lambda m, x: m.r(x.mT)[0].mean(1), r=layer)
    assert whole.output.features == 10


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_with_or_without_its_weights(weights: bool, batch_first: bool) -> None:
    layer = nn.MultiheadAttention(C, 2, batch_first=batch_first)

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 1) if batch_first else x.permute(2, 0, 1)
        found = m.a(y, y, y, need_weights=weights)[0]  # type: ignore[operator]
        return found.mean(1 if batch_first else 0)

    found = kinds(over_window(forward, a=layer))
    assert [k for k in found if "Attention" in k or k == "Softmax"] == [
        "AttentionScores",
        "Softmax",
        "AttentionContext",
    ]


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_transformer_encoders(norm_first: bool, activation: str) -> None:
    layer = nn.TransformerEncoderLayer(
        C, 2, 8, activation=activation, batch_first=True, norm_first=norm_first
    )
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    graph = over_window(lambda m, x: m.e(x.mT).mean(1), e=encoder)
    assert kinds(graph).count("AttentionScores") == 2
    assert kinds(graph).count("LayerNorm") == 4


class Token(nn.Module):
    """A class token in front of the frames, places, and an answer from the token alone."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.rand(1, 1, C))
        self.places = nn.Parameter(torch.rand(1, WINDOW + 1, C))
        self.attention = nn.MultiheadAttention(C, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.token.expand(len(x), -1, -1), x.transpose(1, 2)], 1) + self.places
        return (y + self.attention(y, y, y, need_weights=False)[0])[:, 0]


def test_a_class_token_and_places() -> None:
    graph = over_window(lambda m, x: m.t(x), t=Token())
    assert {"Constant", "AttentionScores", "AttentionContext"} <= set(kinds(graph))
    assert graph.output.features == C


def test_places_are_a_constant_of_the_window() -> None:
    places = nn.Parameter(torch.rand(1, WINDOW, C))
    graph = over_window(lambda m, x: (x.transpose(1, 2) + places).amax(1))
    assert kinds(graph)[1:] == ["Constant", "Add", "MaxPool"]


def test_norms_over_a_whole_window_are_norms_of_one_frame() -> None:
    for norm in (nn.GroupNorm(2, C), nn.GroupNorm(1, C)):
        graph = over_window(lambda m, x: m.n(x).mean(2), n=norm)
        assert kinds(graph).count("LayerNorm") == 1


def test_convolutions_over_electrodes_and_time() -> None:
    conv = nn.Sequential(nn.Conv2d(1, 3, (2, 5), padding=(0, 2)), nn.ReLU(), nn.MaxPool2d((1, 4)))
    last = nn.Linear(3 * (C - 1) * WINDOW // 4, 2)
    graph = over_window(lambda m, x: m.last(m.conv(x[:, None]).flatten(1)), conv=conv, last=last)
    assert graph.output.features == 2


@pytest.mark.parametrize(
    "norm",
    [nn.InstanceNorm1d(C, affine=True), nn.LayerNorm([C, WINDOW]), nn.GroupNorm(2, C)],
    ids=lambda n: type(n).__name__,
)
def test_a_norm_over_the_window_is_followed_by_frames(norm: nn.Module) -> None:
    recurrent = over_window(
        lambda m, x: m.gru(m.norm(x).transpose(1, 2))[0][:, -1],
        norm=norm,
        gru=nn.GRU(C, 5, batch_first=True),
    )
    attending = over_window(
        lambda m, x: m.layer(m.norm(x).mT).mean(1),
        norm=norm,
        layer=nn.TransformerEncoderLayer(C, 2, 8, batch_first=True),
    )
    assert "GruCell" in kinds(recurrent) and "AttentionScores" in kinds(attending)
