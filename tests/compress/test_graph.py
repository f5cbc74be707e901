"""The graph says what it computes, refuses what does not fit together, and its file is exact."""

from __future__ import annotations

import contextlib
import dataclasses
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from compress import artifacts
from compress import graph as g
from compress.errors import GraphError
from compress.frontend import checkpoint
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, PUBLISHED, build
from compress.frontend.lower import lower
from compress.graph import macs
from tests.conftest import HYBRID


def network(name: str = "TC_S4_small", **changes) -> Checkpoint:
    hyper_parameters = HYPER_PARAMETERS[name] | changes
    return Checkpoint(build(hyper_parameters).eval(), name, hyper_parameters, "0" * 64)


@pytest.mark.parametrize(
    ("name", "samples", "ms"),
    [("TC_S4_small", 96, 48), ("TC_S4_medium", 96, 48), ("S4_large", 64, 32)],
)
def test_rates_follow_from_the_operators(name, samples, ms):
    graph = lower(network(name))
    assert graph.samples_per_step == samples
    assert graph.output.rate == Fraction(1000, ms)
    assert graph.output.features == 99


def test_saving_and_loading_keeps_every_bit_and_the_same_graph_gives_the_same_bytes(tmp_path):
    graph = lower(network())
    g.save(graph, tmp_path / "a.npz")
    again = g.load(tmp_path / "a.npz")
    g.save(again, tmp_path / "b.npz")
    assert again.hash() == graph.hash()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_hash_sees_a_single_changed_weight():
    graph = lower(network())
    op = next(op for op in graph.ops if isinstance(op, g.Dense))
    op.weight[0, 0, 0, 0] += 1e-9
    changed = graph.hash()
    op.weight[0, 0, 0, 0] -= 1e-9
    assert changed != graph.hash()


@pytest.fixture(scope="module")
def graph_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "graph.npz"
    g.save(lower(network()), path)
    return path


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_graph_file_is_refused_or_unharmed(data, graph_file, tmp_path):
    content = bytearray(graph_file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    with contextlib.suppress(GraphError):
        assert g.load(path).hash() == g.load(graph_file).hash()


def test_a_tensor_of_the_wrong_rate_is_refused():
    graph = lower(network())
    name = graph.ops[0].output
    wrong = graph.tensors | {name: dataclasses.replace(graph.tensors[name], rate=Fraction(7))}
    with pytest.raises(GraphError, match="expected rate 500, found 7"):
        g.verify(dataclasses.replace(graph, tensors=wrong))


def test_a_module_the_graph_has_no_operator_for_is_named_with_its_path():
    loaded = network()
    loaded.model.model_LF.s4_layers[2].activation = nn.Tanh()
    with pytest.raises(GraphError, match=r"model\.5\.s4_layers\.2\.activation: Tanh"):
        lower(loaded)


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "batchnorm"},
        {"norm": "none", "non_linearity": "gelu"},
        {"offsets": [1]},
        {"mlp_features": [24, 20]},
        {"input_mean_pooling": 2},
        {
            "model_LF": HYPER_PARAMETERS["TC_S4_small"]["model_LF"]
            | {"prenorm": True, "d_model": 40, "n_layers": 2}
        },
        {
            "model_HF": HYPER_PARAMETERS["TC_S4_small"]["model_HF"]
            | {"norm": "layernorm", "activation": "relu"}
        },
    ],
    ids=lambda c: ",".join(c),
)
def test_other_sizes_and_norms_lower_to_a_graph_that_computes_the_same(changes):
    from compress.frontend import checkpoint
    from compress.interpreter.float import FloatInterpreter

    loaded = network(**changes)
    graph = lower(loaded)
    x = (
        np.random.default_rng(0)
        .standard_normal((graph.samples_per_step * 12, 32))
        .astype(np.float32)
    )
    assert (
        np.abs(
            FloatInterpreter(graph).run(x[None].astype(float))[0] - checkpoint.forward(loaded, x)
        ).max()
        < 1e-4
    )


@pytest.mark.parametrize("name", HYBRID)
def test_macs_agree_with_the_published_total(name):
    total = macs.report(lower(network(name)))["macs_per_s"] / 1e9
    assert abs(total / PUBLISHED[name].gmacs_per_s - 1) < 0.15


def renamed(graph: g.Graph) -> g.Graph:
    """The same network under other names of tensors, modules and of itself."""
    names = {name: f"t{index}" for index, name in enumerate(graph.tensors)}
    extra = {name: f"given{index}" for index, name in enumerate(graph.initial)}

    def other(op: g.Op) -> g.Op:
        changed: dict[str, Any] = {"module": f"elsewhere.{names[op.output]}"}
        for field in op.name_fields:
            value, known = getattr(op, field), extra if field == "initial" else names
            changed[field] = (
                known[value] if isinstance(value, str) else tuple(known[v] for v in value)
            )
        return dataclasses.replace(op, **changed)

    tensors = {names[n]: dataclasses.replace(t, name=names[n]) for n, t in graph.tensors.items()}
    initial = {extra[n]: dataclasses.replace(t, name=extra[n]) for n, t in graph.initial.items()}
    ops = tuple(other(op) for op in graph.ops)
    return g.Graph("other", tensors, ops, {"from": "elsewhere"}, graph.chunk, initial)


@pytest.mark.parametrize("name", ["TC_S4_small", "tracking_vemg2pose"])
def test_the_hash_knows_no_names(name: str) -> None:
    graph = lower(checkpoint.load(artifacts.checkpoint_of(name, None)))
    again = g.verify(renamed(graph))
    assert again.hash() == graph.hash()
    ops = list(graph.ops)
    ops[3] = type("Renamed", (type(ops[3]),), {})(**vars(ops[3]))
    assert dataclasses.replace(graph, ops=tuple(ops)).hash() == graph.hash()


def test_the_hash_knows_every_value_and_every_scale() -> None:
    graph = lower(network())
    seen, changes = {graph.hash()}, 1
    for index, op in enumerate(graph.ops):
        for field in dataclasses.fields(op):
            value = getattr(op, field.name)
            if isinstance(value, np.ndarray):
                changed: Any = value.copy()
                changed.flat[0] += 1
            elif isinstance(value, int | float) and not isinstance(value, bool):
                changed = value + 1
            else:
                continue
            ops = list(graph.ops)
            ops[index] = dataclasses.replace(op, **{field.name: changed})
            seen.add(dataclasses.replace(graph, ops=tuple(ops), chunk=graph.chunk).hash())
            changes += 1
    tensors = graph.tensors | {graph.input.name: graph.input.scaled(0.5)}
    seen.add(dataclasses.replace(graph, tensors=tensors).hash())
    assert len(seen) == changes + 1 > len(graph.ops)


@pytest.mark.parametrize(
    "text", ["[]", "null", "[" * 100_000, '{"version": 4}', '{"version": 4, "tensors": []}']
)
def test_a_graph_file_with_another_header_is_one_clear_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("graph.json", text)
    with pytest.raises(GraphError, match=r"graph.npz: .*quantize again"):
        g.load(path)
    assert g.provenance(path) == {}
