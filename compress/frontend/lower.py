"""From a PyTorch network to the float stream graph. A module that the graph has no operator for is
an error with its path."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from compress import graph as g
from compress.errors import CheckpointError, WindowError
from compress.frontend.alone import alone
from compress.frontend.builder import Builder, fold_batch_norms
from compress.frontend.checkpoint import Checkpoint


@alone
def lower(checkpoint: Checkpoint, window: int | None = None) -> g.Graph:
    """The float graph of a network, BatchNorm folded, verified. Its provenance says what task it
    does and what it came from.

    `window`: samples that a network which is not causal sees at a time (default: its family's);
    the others are streams and have none: WindowError.
    """
    family = checkpoint.family
    builder = Builder(family.features, Fraction(family.sample_rate))
    found = family.lower(builder, checkpoint.model, _window(checkpoint, window)) or {}
    provenance: dict[str, Any] = {"checkpoint": checkpoint.sha256, "task": family.task} | found
    provenance |= {name: True for name in family.initial_inputs(checkpoint.hyper_parameters)}
    bits = _bits(checkpoint, builder.ops)
    if bits:
        provenance["bits"] = bits
    return finished(builder, checkpoint.name, provenance)


def finished(b: Builder, name: str, provenance: dict[str, Any]) -> g.Graph:
    """The graph of what was appended, BatchNorm folded, verified; its provenance says also how far
    what the norms give moved in training."""
    norms = {op.output: b.norms[op.output] for op in b.ops if op.output in b.norms}
    if norms:
        provenance["norms"] = norms
    initial = {
        extra: g.Tensor(extra, b.tensors[op.output].features, Fraction(0))
        for op in b.ops
        for extra in op.initial_names
    }
    graph = g.Graph(name, b.tensors, tuple(b.ops), provenance, initial=initial)
    return g.verify(fold_batch_norms(g.verify(graph)))


def _window(checkpoint: Checkpoint, wanted: int | None) -> int | None:
    """Samples that the network sees at a time, None for a stream."""
    usual = checkpoint.family.window(checkpoint.model)
    if wanted is not None and usual is None:
        raise WindowError(
            f"a window of {wanted} samples: {checkpoint.name} runs as a stream and has none"
        )
    return usual if wanted is None else wanted


def _bits(checkpoint: Checkpoint, ops: Sequence[g.Op]) -> dict[str, int]:
    """Bits of the weights by matrix, as a compressed checkpoint says; CheckpointError for what is
    no matrix or no such width."""
    own = checkpoint.hyper_parameters.get("tendon", {})
    bits = own.get("bits", {}) if isinstance(own, dict) else own
    if not isinstance(bits, dict):
        raise CheckpointError(f"tendon.bits: expected a dict of matrix to bits, found {bits!r}")
    matrices = {op.module for op in ops if op.multiplies}
    for module, width in bits.items():
        if module not in matrices:
            raise CheckpointError(f"tendon.bits: the network has no matrix {module!r}")
        if isinstance(width, bool) or width not in g.WEIGHT_BITS:
            raise CheckpointError(
                f"tendon.bits: {module}: expected {' or '.join(map(str, g.WEIGHT_BITS))}, found"
                f" {width!r}"
            )
    return {str(module): int(width) for module, width in bits.items()}
