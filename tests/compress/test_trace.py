"""Each row of what a network file may hold, as module, function and method: one graph for all of
them, of the operators that are expected, with PyTorch's numbers (which every trace compares)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.builder import Builder
from compress.frontend.trace import trace
from compress.frontend.trace.check import frames_of

C, WINDOW = 4, 24
Forward = Callable[..., Tensor]


class Net(nn.Module):
    """A forward of the modules that it is given."""

    def __init__(self, forward: Forward, **modules: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, module in modules.items():
            self.add_module(name, module)
        with torch.no_grad():
            for p in self.parameters():
                p.uniform_(-0.7, 0.7)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def traced(forward: Forward, window: int | None = None, **modules: nn.Module) -> g.Graph:
    """The graph, its look-ahead in its provenance."""
    torch.manual_seed(1)
    b = Builder(C, Fraction(1000))
    found = trace(b, Net(forward, **modules).eval(), C, 1000, window)
    return g.verify(g.Graph("traced", b.tensors, tuple(b.ops), found))


def kinds(graph: g.Graph) -> list[str]:
    return [type(op).__name__ for op in graph.ops]


def shape(graph: g.Graph) -> list[object]:
    """What a graph computes, whatever its tensors are called."""
    names = {"samples": "samples"} | {op.output: str(i) for i, op in enumerate(graph.ops)}

    def field(value: object) -> object:
        return value.tobytes() if isinstance(value, np.ndarray) else value

    hidden = ("inputs", "output", "module")
    return [
        (
            type(op).__name__,
            [names[n] for n in op.inputs],
            {k: field(v) for k, v in vars(op).items() if k not in hidden},
        )
        for op in graph.ops
    ]


# --- functions of one value -----------------------------------------------------------------------


def module(layer: nn.Module) -> Forward:
    return lambda m, x: layer(x)


FUNCTIONS: dict[str, list[Forward]] = {
    "relu": [
        module(nn.ReLU()),
        module(nn.ReLU(inplace=True)),
        lambda m, x: functional.relu(x),
        lambda m, x: x.relu(),
        lambda m, x: torch.relu(x),
        lambda m, x: x.clone().relu_(),
        lambda m, x: x.clamp(min=0),
    ],
    "relu6": [module(nn.ReLU6()), lambda m, x: functional.relu6(x), lambda m, x: x.clamp(0, 6)],
    "leaky_relu": [module(nn.LeakyReLU(0.2)), lambda m, x: functional.leaky_relu(x, 0.2)],
    "elu": [module(nn.ELU(0.7)), lambda m, x: functional.elu(x, 0.7)],
    "gelu": [module(nn.GELU()), lambda m, x: functional.gelu(x)],
    "gelu_tanh": [
        module(nn.GELU(approximate="tanh")),
        lambda m, x: functional.gelu(x, approximate="tanh"),
    ],
    "silu": [module(nn.SiLU()), lambda m, x: functional.silu(x)],
    "hardswish": [module(nn.Hardswish()), lambda m, x: functional.hardswish(x)],
    "softplus": [module(nn.Softplus()), lambda m, x: functional.softplus(x)],
    "sigmoid": [
        module(nn.Sigmoid()),
        lambda m, x: functional.sigmoid(x),
        lambda m, x: x.sigmoid(),
        lambda m, x: torch.sigmoid(x),
    ],
    "tanh": [
        module(nn.Tanh()),
        lambda m, x: functional.tanh(x),
        lambda m, x: x.tanh(),
        lambda m, x: torch.tanh(x),
    ],
    "hardtanh": [
        module(nn.Hardtanh(-0.5, 1.0)),
        lambda m, x: functional.hardtanh(x, -0.5, 1.0),
        lambda m, x: torch.clamp(x, -0.5, 1.0),
        lambda m, x: x.clip(-0.5, 1.0),
    ],
    "softmax": [
        module(nn.Softmax(dim=1)),
        lambda m, x: functional.softmax(x, 1),
        lambda m, x: x.softmax(-2),
        lambda m, x: x.transpose(1, 2).softmax(-1).transpose(1, 2),
    ],
    "log_softmax": [
        module(nn.LogSoftmax(dim=1)),
        lambda m, x: functional.log_softmax(x, 1),
        lambda m, x: x.log_softmax(1),
    ],
    "negative": [lambda m, x: -x, lambda m, x: x * -1, lambda m, x: x / -1, lambda m, x: 0 - x],
    "double": [lambda m, x: 2 * x, lambda m, x: x * torch.tensor(2.0), lambda m, x: x.mul(2)],
    "square": [lambda m, x: x * x, lambda m, x: x**2, lambda m, x: x.square()],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_module_function_and_method_are_one_graph(name: str) -> None:
    first, *others = (shape(traced(forward)) for forward in FUNCTIONS[name])
    assert len(first) == 1
    assert all(other == first for other in others)


LAYERS: dict[str, tuple[nn.Module, Forward]] = {
    "linear": (
        nn.Linear(C, 3),
        lambda m, x: functional.linear(x.mT, m.layer.weight, m.layer.bias).mT,
    ),
    "layer norm": (
        nn.LayerNorm(C),
        lambda m, x: functional.layer_norm(x.mT, (C,), m.layer.weight, m.layer.bias).mT,
    ),
    "rms norm": (nn.RMSNorm(C), lambda m, x: functional.rms_norm(x.mT, (C,), m.layer.weight).mT),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_frames_and_its_function_are_one_graph(name: str) -> None:
    layer, function = LAYERS[name]
    found = [
        shape(traced(forward, layer=layer))
        for forward in (lambda m, x: m.layer(x.transpose(1, 2)).permute(0, 2, 1), function)
    ]
    assert found[0] == found[1] and len(found[0]) == 1


def test_a_convolution_is_its_function_and_a_matrix_in_every_place() -> None:
    conv = nn.Conv1d(C, 3, 1)
    functions: list[Forward] = [
        lambda m, x: m.conv(x),
        lambda m, x: functional.conv1d(x, m.conv.weight, m.conv.bias),
        lambda m, x: functional.linear(x.mT, m.conv.weight[..., 0], m.conv.bias).mT,
        lambda m, x: m.conv.weight[..., 0] @ x + m.conv.bias[:, None],
    ]
    found = [traced(forward, conv=conv) for forward in functions]
    assert all(kinds(graph) == ["Dense"] for graph in found)
    assert all(
        np.allclose(graph.ops[0].weight, found[0].ops[0].weight, atol=1e-6)  # type: ignore[attr-defined]
        for graph in found
    )


# --- convolutions and time ------------------------------------------------------------------------


def test_depthwise_filters_are_an_operator_of_their_own() -> None:
    for out in (C, 2 * C):
        conv = nn.Conv1d(C, out, 3, groups=C, dilation=2)
        graph = traced(lambda m, x: m.conv(functional.pad(x, (4, 0))), conv=conv)
        assert kinds(graph)[-1] == "Depthwise" and graph.output.features == out
        assert "Dense" not in kinds(graph)


@pytest.mark.parametrize(
    ("kernel", "dilation", "padding", "lookahead"),
    [(3, 1, 1, 1), (5, 1, 2, 2), (3, 4, 4, 4), (5, 1, "same", 2), (4, 1, "same", 2), (5, 2, 0, 0)],
)
def test_padding_on_both_sides_looks_ahead(
    kernel: int, dilation: int, padding: int | str, lookahead: int
) -> None:
    conv = nn.Conv1d(C, 3, kernel, padding=padding, dilation=dilation)
    graph = traced(lambda m, x: m.conv(x), conv=conv)
    assert graph.provenance["lookahead"] == lookahead
    late = dilation * (kernel - 1) - (lookahead if padding else 0)
    assert graph.start_up == (late if padding == 0 else lookahead)


def test_look_ahead_adds_up_over_layers_and_rates() -> None:
    first, second = nn.Conv1d(C, C, 5, stride=2, padding=2), nn.Conv1d(C, C, 3, padding=1)
    graph = traced(lambda m, x: m.second(m.first(x)), first=first, second=second)
    newest = 2 + 2  # of the first output frame's first layer, and two samples a frame later
    assert graph.output.rate == 500
    assert graph.provenance["lookahead"] in range(newest, newest + 2)


def test_padding_on_the_left_is_history() -> None:
    conv = nn.Conv1d(C, 3, 5)
    for forward in (
        lambda m, x: m.conv(functional.pad(x, (4, 0))),
        lambda m, x: m.conv(nn.ConstantPad1d((4, 0), 0.0)(x)),
        lambda m, x: m.conv(torch.cat([torch.zeros(1, C, 4), x], 2)),
    ):
        graph = traced(forward, conv=conv)
        assert (graph.start_up, graph.provenance["lookahead"]) == (0, 0)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.conv(functional.pad(m.first(x), (800, 0))),
        lambda m, x: m.conv(torch.cat([torch.zeros(1, C, 800), m.first(x)], 2)),
        lambda m, x: functional.conv1d(m.first(x), m.conv.weight, None, 1, 400, 400),
        lambda m, x: functional.avg_pool1d(functional.pad(m.first(x), (999, 0)), 1000, 1),
        lambda m, x: m.first(x) + functional.pad(x, (500, 0))[..., :-500],
    ],
)
def test_frames_from_long_ago_count_however_short_the_traced_signal_is(forward: Forward) -> None:
    """At 256 samples nothing but padding is seen of them."""
    first, conv = nn.Conv1d(C, C, 1), nn.Conv1d(C, 3, 3, dilation=400)
    net = Net(forward, first=first, conv=conv).eval()
    b = Builder(C, Fraction(1000))
    trace(b, net, C, 1000)
    noise = np.random.default_rng(0).normal(size=(C, 3000)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(noise)[None])[0].double().numpy()
    found = frames_of(g.verify(g.Graph("traced", b.tensors, tuple(b.ops))), noise, None)
    n = min(found.shape[1], expected.shape[1])
    assert n > 2000 and np.abs(found[:, :n] - expected[:, :n]).max() < 1e-4


def test_more_padding_than_any_traced_signal_shows_is_refused() -> None:
    conv = nn.Conv1d(C, 3, 2, dilation=20000)
    with pytest.raises(GraphError, match="20000 frames of padding"):
        traced(lambda m, x: m.conv(functional.pad(x, (20000, 0))), conv=conv)


def test_both_sides_cut_at_the_end_are_history() -> None:
    conv = nn.Conv1d(C, 3, 5, padding=4)
    graph = traced(lambda m, x: m.conv(x)[..., :-4], conv=conv)
    assert (graph.start_up, graph.provenance["lookahead"]) == (0, 0)


@pytest.mark.parametrize(
    ("layer", "kind", "rate"),
    [
        (nn.AvgPool1d(4), "MeanPool", 250),
        (nn.MaxPool1d(4), "MaxPool", 250),
        (nn.AvgPool1d(4, 2), "GroupMean", 500),
        (nn.MaxPool1d(3, 1), "GroupMax", 1000),
    ],
)
def test_pools_over_time(layer: nn.Module, kind: str, rate: int) -> None:
    graph = traced(lambda m, x: layer(x))
    assert kinds(graph)[-1] == kind and graph.output.rate == rate


def test_the_last_of_each_group_of_frames_is_a_pool() -> None:
    graph = traced(lambda m, x: x[:, :, 3::4])
    assert graph.output.rate == 250 and not {"Dense", "Gather"} & set(kinds(graph))


# --- folded into layers ---------------------------------------------------------------------------


def test_weight_norms_old_and_new_and_batch_norm_fold_into_the_layer() -> None:
    plain = kinds(traced(lambda m, x: m.conv(x), conv=nn.Conv1d(C, 3, 3)))
    new = nn.utils.parametrizations.weight_norm(nn.Conv1d(C, 3, 3))
    old = nn.utils.weight_norm(nn.Conv1d(C, 3, 3))
    spectral = nn.utils.parametrizations.spectral_norm(nn.Conv1d(C, 3, 3))
    normed = nn.Sequential(nn.Conv1d(C, 3, 3), nn.BatchNorm1d(3))
    dropped = nn.Sequential(nn.Dropout1d(), nn.Conv1d(C, 3, 3), nn.Dropout(0.3), nn.Identity())
    for conv in (new, old, spectral, normed, dropped):
        assert kinds(traced(lambda m, x: m.conv(x), conv=conv)) == plain


def test_scalars_and_parameters_fold_into_the_layer() -> None:
    gain = nn.Parameter(torch.rand(3, 1))
    conv = nn.Conv1d(C, 3, 1)
    graph = traced(lambda m, x: (m.conv(x) * gain - 0.5) / 3 + 1, conv=conv)
    assert kinds(graph) == ["Dense"]


# --- layouts and joins ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: x.transpose(1, 2).transpose(-1, -2),
        lambda m, x: x.permute(2, 0, 1).permute(1, 2, 0),
        lambda m, x: x.reshape(1, 2, C // 2, -1).flatten(1, 2),
        lambda m, x: x.unsqueeze(1).squeeze(1),
        lambda m, x: x.permute(0, 2, 1).contiguous().view(1, -1, C).swapaxes(1, 2),
        lambda m, x: torch.cat(x.chunk(2, 1), 1),
        lambda m, x: torch.cat(torch.split(x, [1, 3], 1), dim=1),
        lambda m, x: torch.stack([x[:, i] for i in range(C)], 1),
        lambda m, x: torch.cat([x[:, :1], x[:, 1:]], -2),
        lambda m, x: x.flip(1).flip(1),
    ],
)
def test_what_only_moves_values_costs_nothing(forward: Forward) -> None:
    def behind(m: Net, x: Tensor) -> Tensor:
        return m.last(forward(m, x))

    assert kinds(traced(behind, last=nn.Conv1d(C, 2, 1))) == ["Dense"]


@pytest.mark.parametrize(
    ("forward", "kind"),
    [
        (lambda m, x: x + m.conv(x), "Add"),
        (lambda m, x: torch.add(m.conv(x), x), "Add"),
        (lambda m, x: x - m.conv(x), "Subtract"),
        (lambda m, x: x * m.conv(x), "Multiply"),
        (lambda m, x: torch.cat([x, m.conv(x)], 1), "Concat"),
        (lambda m, x: functional.glu(torch.cat([m.conv(x), m.conv(x)], 1), 1), "Multiply"),
    ],
)
def test_two_tensors_meet(forward: Forward, kind: str) -> None:
    assert kinds(traced(forward, conv=nn.Conv1d(C, C, 3, padding="same")))[-1] == kind


def test_a_gated_layer_is_one_operator_as_module_and_as_function() -> None:
    conv = nn.Conv1d(C, 6, 1)
    for forward in (
        lambda m, x: nn.GLU(dim=1)(m.conv(x)),
        lambda m, x: functional.glu(m.conv(x), dim=1),
        lambda m, x: nn.GLU()(m.conv(x).mT).mT,
    ):
        assert kinds(traced(forward, conv=conv)) == ["Dense", "Glu"]


def test_a_forward_without_gradients_is_as_any_other() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = m.first(x)
        return m.last(x)

    layers = {"first": nn.Conv1d(C, 5, 1), "last": nn.Conv1d(5, 3, 1)}
    assert kinds(traced(forward, **layers)) == ["Dense", "Dense"]


def test_modules_in_lists_and_of_any_nesting() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv1d(C, C, 1) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x).relu()
            return x

    graph = traced(lambda m, x: m.inner(x), inner=nn.Sequential(Inner(), Inner()))
    assert kinds(graph) == ["Dense", "Activation"] * 6
    assert graph.ops[2].module == "inner.0.layers.1"


# --- recurrence -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "cell"), [(nn.LSTM, "LstmCell"), (nn.GRU, "GruCell"), (nn.RNN, "DelayedConcat")]
)
def test_recurrent_layers_batch_first_or_not(kind: type[nn.RNNBase], cell: str) -> None:
    both = [
        traced(lambda m, x: m.r(x.mT)[0].mT, r=kind(C, 5, 2, batch_first=True)),
        traced(lambda m, x: m.r(x.permute(2, 0, 1))[0].permute(1, 2, 0), r=kind(C, 5, 2)),
    ]
    assert shape(both[0]) == shape(both[1])
    assert kinds(both[0]).count(cell) == 2 and both[0].output.features == 5


def test_a_recurrence_behind_a_start_up_waits_for_a_step_to_begin() -> None:
    """Three frames of a valid convolution start up, and a pool behind makes steps of two: the
    recurrence begins with the fourth, in front of which one frame waits."""
    graph = traced(
        lambda m, x: functional.avg_pool1d(m.gru(m.conv(x).mT)[0].mT, 2),
        conv=nn.Conv1d(C, 4, 4),
        gru=nn.GRU(4, 5, batch_first=True),
    )
    assert kinds(graph).count("Unfold1d") == 2 and graph.provenance["lookahead"] == 1
    assert all(begin == 2 for begin in graph.begins.values())
