"""Operators appended one after the other."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from compress import graph as g
from compress.errors import GraphError


class Builder:
    """Appends operators; `here` is the name of the newest tensor."""

    def __init__(self, features: int, rate: Fraction) -> None:
        self.here = "samples"
        self.tensors = {self.here: g.Tensor(self.here, features, rate)}
        self.ops: list[g.Op] = []
        self._first_valid = {self.here: 0}
        # what a batch norm gives, and the spread that its statistics say it had in training
        self.norms: dict[str, float] = {}

    @property
    def features(self) -> int:
        return self.tensors[self.here].features

    @property
    def rate(self) -> Fraction:
        return self.tensors[self.here].rate

    @property
    def first_valid(self) -> int:
        return self._first_valid[self.here]

    def first_valid_of(self, name: str) -> int:
        """The first frame of a tensor that is made of valid frames alone."""
        return self._first_valid[name]

    def take(self, other: Builder) -> None:
        """Everything that another builder has."""
        self.here, self.tensors, self.ops = other.here, other.tensors, other.ops
        self._first_valid, self.norms = other._first_valid, other.norms

    def note_norm(self, name: str, gain: Any) -> None:
        """A tensor is what a batch norm of these gains (features,) gives: in training each feature
        had its gain as the standard deviation."""
        self.norms[name] = float(np.sqrt(np.square(np.asarray(gain, np.float64)).mean()))

    def add(self, op_type: type[g.Op], module: str, *others: str, **attributes: Any) -> str:
        """Append an operator on the newest tensor and `others`; returns the name of what it
        makes."""
        source = self.tensors[self.here]
        name = module if module not in self.tensors else f"{module}.{op_type.__name__.lower()}"
        op = op_type((self.here, *others), name, module, **attributes)
        self.tensors[name] = g.Tensor(
            name, op.out_features(source.features), source.rate / op.stride
        )
        self.ops.append(op)
        self._first_valid[name] = op.first_valid(max(self._first_valid[n] for n in op.inputs))
        self.here = name
        return name


def fold_batch_norms(graph: g.Graph) -> g.Graph:
    """Multiply each BatchNorm into the convolution in front of it."""
    ops: list[g.Op] = []
    tensors = dict(graph.tensors)
    for op in graph.ops:
        if not op.folds:
            ops.append(op)
            continue
        if not ops:
            raise GraphError(f"{op.module}: nothing before it that it could fold into")
        del tensors[ops[-1].output]
        ops[-1] = op.folded_into(ops[-1])
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(ops))
