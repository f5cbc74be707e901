"""The graph of a network of the user's, whether a file holds it or it is in memory."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import inspect
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compress import graph as g
from compress import tasks
from compress.errors import TendonError
from compress.frontend import checkpoint
from compress.frontend.alone import alone
from compress.frontend.builder import Builder
from compress.frontend.lower import finished
from compress.frontend.own import named, tried
from compress.frontend.own.asked import Asked
from compress.frontend.own.description import Description, described
from compress.frontend.own.quiet import quiet
from compress.frontend.own.source import check_weights
from compress.frontend.trace import trace
from compress.frontend.trace.exported import Written


def append(b: Builder, said: Description, model: nn.Module, asked: Asked) -> dict[str, Any]:
    """Append the operators of a network in evaluation; returns what provenance says of it.
    TendonError for a forward that takes or gives something else than was said, GraphError for what
    has no operator."""
    with quiet():
        tried.check(asked, said, model)
        found = trace(
            b,
            model,
            said.electrodes,
            said.sample_rate,
            said.window,
            said.stride,
            Written(asked.file, asked.window),
        )
    shown = {key: said.as_dict()[key] for key in ("classes", "electrodes", "window", "stride")}
    return {"own": True} | {k: v for k, v in shown.items() if v is not None} | found


@alone
def in_memory(module: object, name: str, **values: Any) -> g.Graph:
    """The float graph of a module and of what these arguments say of it, the fields of a
    `Description`. The module stays as it is, and the graph as it was traced whatever becomes of the
    module. TendonError and GraphError as of a network file, with the names of arguments."""
    if not isinstance(module, nn.Module):
        raise TendonError(
            f"trace: module: expected an nn.Module, found {type(module).__name__}; load() takes the"
            " path of a network file"
        )
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise TendonError(
            "trace: module: expected a module in Python, found TorchScript; give the module itself,"
            " before torch.jit.script or torch.jit.trace"
        )
    named.check_name(name, "trace: name")
    asked = Asked("trace", type(module).__name__, _file_of(module), by_file=False)
    said = described(asked, values)
    check_weights("trace: module", module, "module before it is traced")
    with _evaluated(module):
        builder = Builder(said.electrodes, Fraction(said.sample_rate))
        found = append(builder, said, module, asked)
        digest = hashlib.sha256(checkpoint.content(module, {})).hexdigest()
    graph = finished(builder, name, {"checkpoint": digest, "task": said.task} | found)
    tasks.of(graph).check(graph)
    return copy.deepcopy(graph)  # its weights may still be the module's own memory


def _file_of(module: nn.Module) -> Path | None:
    """Where the forward of a module was written, a file or the cell of a notebook; None where that
    is not known, or PyTorch wrote it."""
    forward = inspect.unwrap(type(module).forward)
    if (forward.__module__ or "").partition(".")[0] == "torch":
        return None
    try:
        return Path(inspect.getfile(forward))
    except (TypeError, OSError):
        return None


@contextlib.contextmanager
def _evaluated(module: nn.Module) -> Iterator[None]:
    """In evaluation, and afterwards as it was, part by part."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
