"""From a PyTorch network to the float stream graph. A module that the graph has no operator for is
an error with its path."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from compress import graph as g
from compress.errors import CheckpointError, GraphError
from compress.frontend.builder import Builder, fold_batch_norms
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families.emg2pose.handlers import pose
from compress.frontend.families.emg2pose.neuropose_handlers import WINDOW
from compress.frontend.families.hybrid.handlers import hybrid
from compress.frontend.families.hybrid.model import BANDS, ELECTRODES, SAMPLE_RATE, HybridNetwork


def lower(checkpoint: Checkpoint, window: int | None = None) -> g.Graph:
    """The float graph of a network, BatchNorm folded, verified. Its provenance says what task it
    does and what it came from.

    `window`: samples that a network which is not causal (NeuroPose) sees at a time (default: 0.96
    s); the others are streams and have none: GraphError.
    """
    provenance: dict[str, Any] = {"checkpoint": checkpoint.sha256, "task": checkpoint.task}
    if isinstance(checkpoint.model, HybridNetwork):
        builder = Builder(BANDS * ELECTRODES, Fraction(SAMPLE_RATE))
        hybrid(builder, checkpoint.model)
    else:
        builder = Builder(ELECTRODES, Fraction(SAMPLE_RATE))
        pose(builder, checkpoint.model.model, WINDOW if window is None else window)
        provenance["initial_pose"] = bool(
            checkpoint.hyper_parameters.get("provide_initial_pos", False)
        )
    bits = _bits(checkpoint, builder.ops)
    if bits:
        provenance["bits"] = bits
    initial = {
        name: g.Tensor(name, builder.tensors[op.output].features, Fraction(0))
        for op in builder.ops
        for name in op.initial_names
    }
    graph = g.Graph(
        checkpoint.name, builder.tensors, tuple(builder.ops), provenance, initial=initial
    )
    if window is not None and not graph.windowed:
        raise GraphError(
            f"a window of {window} samples: {checkpoint.name} runs as a stream and has none"
        )
    return g.verify(fold_batch_norms(g.verify(graph)))


def _bits(checkpoint: Checkpoint, ops: Sequence[g.Op]) -> dict[str, int]:
    """Bits of the weights by matrix, as a compressed checkpoint says; CheckpointError for what is
    no matrix or no such width."""
    own = checkpoint.hyper_parameters.get("tendon", {})
    bits = own.get("bits", {}) if isinstance(own, dict) else own
    if not isinstance(bits, dict):
        raise CheckpointError(f"tendon.bits: expected a dict of matrix to bits, found {bits!r}")
    matrices = {op.module for op in ops if isinstance(op, g.Dense)}
    for module, width in bits.items():
        if module not in matrices:
            raise CheckpointError(f"tendon.bits: the network has no matrix {module!r}")
        if isinstance(width, bool) or width not in g.WEIGHT_BITS:
            raise CheckpointError(
                f"tendon.bits: {module}: expected {' or '.join(map(str, g.WEIGHT_BITS))}, found"
                f" {width!r}"
            )
    return {str(module): int(width) for module, width in bits.items()}
