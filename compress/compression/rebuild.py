"""The chosen forms as a PyTorch network: factors where a rank was chosen, and what the checkpoint
has to say about bits."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from compress import graph as g
from compress.compression.candidates import RANKED, Form, Layer
from compress.errors import CheckpointError
from compress.frontend import checkpoint
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.factored import FactoredConv1d, FactoredLinear, factorize
from compress.frontend.families import PoseNetwork
from compress.frontend.lower import lower
from compress.quantization.calibrate import Ranges

# what the matrix of an LSTM's layer is called in the graph, behind the layer's own path
GATES = ".gates"


def rankable(loaded: Checkpoint, graph: g.Graph) -> list[str]:
    """Matrices of the graph that the network can hold as two factors: large ones of a pose
    network."""
    if not isinstance(loaded.model, PoseNetwork):
        return []  # the layers of typing networks are small, and four bits suffice
    large = [op for op in graph.matrices if op.weight.size >= RANKED and op.shared == 1]
    return [op.module for op in large if _weights(loaded.model, _path(op.module)) is not None]


def entries(layers: Sequence[Layer], forms: Sequence[Form]) -> dict[str, Any]:
    """What `hyper_parameters["tendon"]` says of a choice: ranks by module of the network, bits by
    matrix of the graph."""
    ranks: dict[str, int] = {}
    bits: dict[str, int] = {}
    for layer, form in zip(layers, forms, strict=True):
        names = [layer.module] if form.rank is None else [f"{layer.module}.v", f"{layer.module}.u"]
        if form.rank is not None:
            ranks[_path(layer.module)] = form.rank
        bits |= {name: form.bits for name in names if form.bits != 8}
    return {"ranks": ranks, "bits": bits}


def rebuild(
    loaded: Checkpoint, graph: g.Graph, ranges: Ranges, tendon: Mapping[str, Any]
) -> nn.Module:
    """A copy of the network with factors of the ranks in `tendon`, the best for the inputs that
    calibration saw."""
    model = copy.deepcopy(loaded.model)
    seen = {_path(op.module): ranges.moments[op.output][0] for op in graph.matrices}
    orders = columns(loaded, graph, list(tendon["ranks"]))
    means, covariances, weights = {}, {}, {}
    for path, order in orders.items():
        m = seen[path]
        spread = m.products / max(m.rows, 1) - np.outer(m.mean, m.mean)
        back = np.argsort(order)
        covariances[path] = torch.from_numpy(spread[np.ix_(back, back)])
        means[path] = torch.from_numpy(m.mean[back])
        weights[path] = _joint(loaded.model, path)
    factorize(model, dict(tendon["ranks"]), covariances)
    with torch.no_grad():
        for path, mean in means.items():
            _keep_mean(model.get_submodule(path), weights[path], mean)
    return model.eval()


def _keep_mean(factors: nn.Module, weight: torch.Tensor, mean: torch.Tensor) -> None:
    """Add to the bias what the factors would take from the mean of the sums."""
    assert isinstance(factors, FactoredLinear | FactoredConv1d)
    product = factors.u.weight.flatten(1).double() @ factors.v.weight.flatten(1).double()
    if factors.bias is not None:
        factors.bias.add_(((weight.double() - product) @ mean).to(factors.bias.dtype))


def save(path: Any, loaded: Checkpoint, model: nn.Module, tendon: Mapping[str, Any]) -> None:
    """Write the checkpoint aside and rename it; it says what it was made from."""
    own = dict(tendon) | {"from": loaded.sha256}
    checkpoint.save(path, model, loaded.hyper_parameters | {"tendon": own})


def columns(loaded: Checkpoint, graph: g.Graph, paths: Sequence[str]) -> dict[str, g.Array]:
    """Path -> for each column of the matrix in the graph the column of the network's weight that it
    is.

    The lowering is asked: in a copy of the network every weight is replaced by the number of its
    column.
    """
    model = copy.deepcopy(loaded.model)
    with torch.no_grad():
        for path in paths:
            parts = _weights(model, path)
            assert parts is not None
            begin = 0
            for part in parts:
                rows = part.flatten(1)
                part.copy_(
                    torch.arange(begin, begin + rows.shape[1])
                    .expand(rows.shape)
                    .reshape(part.shape)
                )
                begin += rows.shape[1]
    marked = lower(dataclasses.replace(loaded, model=model))
    found = {_path(op.module): op for op in marked.matrices}
    # Column numbers may have come out scaled; their order has not changed.
    return {
        path: np.argsort(np.argsort(found[path].weight[0, 0].reshape(-1), kind="stable"))
        for path in paths
    }


def modules_of(model: nn.Module, matrix: str) -> list[tuple[nn.Module, str]]:
    """Modules of the network, and the names of their weights, that make one matrix of the graph;
    `*` stands for each band."""
    path = matrix.replace(GATES, "")  # of a factor too: …l0.gates.v is …l0.v
    named = dict(model.named_modules(remove_duplicate=False))
    parent, _, last = path.rpartition(".")
    if path not in named and isinstance(named.get(parent), nn.LSTM):
        return [(named[parent], f"weight_{part}_{last}") for part in ("ih", "hh")]
    before, star, after = path.partition("*")
    if star:
        fits = (name for name in named if name.startswith(before) and name.endswith(after))
        paths = [name for name in fits if name.count(".") == path.count(".")]
    else:
        paths = [path] if path in named else []
    if not paths:
        raise CheckpointError(f"tendon.bits: the network has no module {matrix}")
    return [(named[name], "weight") for name in paths]


def _path(matrix: str) -> str:
    """Path of a matrix of the graph in the network."""
    return matrix.removesuffix(GATES)


def _weights(model: nn.Module, path: str) -> list[torch.Tensor] | None:
    """The weights that side by side are one matrix, or None for what is not stored as two
    factors."""
    named = dict(model.named_modules(remove_duplicate=False))
    parent, _, last = path.rpartition(".")
    module, lstm = named.get(path), named.get(parent)
    if isinstance(module, nn.Linear):
        return [module.weight]
    if isinstance(module, nn.Conv1d) and module.groups == 1:
        return [module.weight]
    if module is None and isinstance(lstm, nn.LSTM):
        return [getattr(lstm, f"weight_{part}_{last}") for part in ("ih", "hh")]
    return None


def _joint(model: nn.Module, path: str) -> torch.Tensor:
    """The matrix (out, inputs) of a module or of an LSTM's layer."""
    parts = _weights(model, path)
    assert parts is not None
    return torch.cat([part.detach().flatten(1) for part in parts], dim=1)
