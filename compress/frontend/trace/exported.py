"""A module as torch.export sees it: its functions in order, with module and line of each."""

from __future__ import annotations

import io
import logging
import re
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compress.errors import GraphError
from compress.frontend import layers

_ONE_AT_A_TIME = threading.Lock()  # torch.export keeps what it traces for a whole process
_PLACE = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')


@torch.library.custom_op("tendon::leaf", mutates_args=())
def leaf(x: torch.Tensor, number: int, shape: list[int]) -> torch.Tensor:
    """Stands for the forward of a leaf module while a network is exported."""
    return x.new_zeros(shape)


@leaf.register_fake
def _(x: torch.Tensor, number: int, shape: list[int]) -> torch.Tensor:
    return x.new_empty(shape)


@dataclass(frozen=True)
class Form:
    """How a forward takes and gives its tensors: `given` makes its input of samples (time,
    features), `taken` makes (batch, outputs, frames) of its output."""

    given: Callable[[torch.Tensor], torch.Tensor] = lambda x: x.t()[None]
    taken: Callable[[torch.Tensor], torch.Tensor] = lambda y: y


@dataclass(frozen=True)
class Written:
    """Where a user wrote a network, for messages: `file`, whose lines are named, and by what a
    network gets a window."""

    file: Path | None = None
    window: str = "WINDOW and STRIDE in the file"


@dataclass(frozen=True)
class Exported:
    """A traced forward. `constants`: parameters and buffers by the name of their placeholder;
    `leaves`: path and module of each leaf by its number; `names`: the last path of a module that
    has several; `length`: samples of the signal."""

    program: Any
    constants: dict[str, torch.Tensor]
    leaves: list[tuple[str, nn.Module]]
    names: dict[str, str]
    length: int
    form: Form
    written: Written

    def place(self, node: Any) -> str:
        """Where a function is called: the line of the user's file, and the module."""
        return " ".join(filter(None, (self._line(node), self.module(node))))

    def module(self, node: Any) -> str:
        """Path of the module that calls a function, and its class."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path, kind = stack[-1] if stack else ("", "")
        kind = kind if isinstance(kind, str) else kind.__qualname__
        return f"{path or 'forward'} ({kind.rpartition('.')[2]})"

    def path(self, node: Any) -> str:
        """Path of the module that calls a function, "" for the network itself."""
        if node.target is torch.ops.tendon.leaf.default:
            return self.leaves[node.args[1]][0]
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = str(stack[-1][0]) if stack else ""
        return self.names.get(path, path)

    def _line(self, node: Any) -> str:
        return _line_of(node.meta.get("stack_trace") or "", self.written.file)


def _line_of(stack: str, file: Path | None) -> str:
    """The innermost line of the user's file in a stack trace."""
    places = _PLACE.findall(stack)
    own = [p for p in places if file is not None and Path(p[0]).name == file.name]
    return f"{own[-1][0]}:{own[-1][1]}:" if own else ""


def export(
    model: nn.Module, electrodes: int, length: int, form: Form, written: Written
) -> Exported:
    """Trace a module in evaluation on a signal of `length` samples; GraphError where PyTorch
    cannot."""
    model = model.eval()
    signal = form.given(torch.zeros(length, electrodes))
    names = _names(model)
    kept = [(names.get(p, p), m) for p, m in model.named_modules() if layers.leaf_of(m)]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        shapes = _shapes(model, signal, kept)
        with _ONE_AT_A_TIME, _whole(kept, shapes), _quiet(), torch.no_grad():
            program = torch.export.export(model, (signal,), strict=False)
    except Exception as error:
        raise GraphError(
            _said(error, (electrodes, length), written, _module_of(error, model))
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return Exported(program, _constants(program), kept, names, length, form, written)


def _names(model: nn.Module) -> dict[str, str]:
    """Every path of a module that has several -> the last of them."""
    paths: dict[int, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        paths.setdefault(id(module), []).append(path)
    return {path: known[-1] for known in paths.values() for path in known[:-1]}


def _shapes(
    model: nn.Module, signal: torch.Tensor, kept: list[tuple[str, nn.Module]]
) -> dict[int, list[list[int]]]:
    """Shapes of what each leaf gives, call by call."""
    found: dict[int, list[list[int]]] = {i: [] for i in range(len(kept))}
    hooks = [
        m.register_forward_hook(lambda _m, _x, y, i=i: found[i].append(list(y.shape)))
        for i, (_, m) in enumerate(kept)
    ]
    try:
        with torch.no_grad():
            model(signal)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@contextmanager
def _whole(kept: list[tuple[str, nn.Module]], shapes: dict[int, list[list[int]]]) -> Iterator[None]:
    """Every leaf's forward is one function."""
    for i, (_, module) in enumerate(kept):
        module.forward = _stand_in(i, iter(shapes[i]))  # type: ignore[method-assign]
    try:
        yield
    finally:
        for _, module in kept:
            del module.forward


@contextmanager
def _quiet() -> Iterator[None]:
    """What PyTorch says of a failed export beside its error, a page of it, is not shown."""
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _stand_in(number: int, shapes: Iterator[list[int]]) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = torch.ops.tendon.leaf(x, number, next(shapes))
        return made

    return forward


def _constants(program: Any) -> dict[str, torch.Tensor]:
    signature = program.graph_signature
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    values = {**dict(program.named_parameters()), **dict(program.named_buffers())}
    return {
        node: values[name] if name in values else program.constants[name]
        for node, name in names.items()
    }


def _module_of(error: Exception, model: nn.Module) -> str:
    """Path and class of the innermost module whose forward an error came through."""
    paths = {module: path for path, module in model.named_modules()}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    callers = [frame.f_locals.get("self") for frame in frames]
    found = [m for m in callers if isinstance(m, nn.Module) and m in paths]
    return f"{paths[found[-1]] or 'forward'} ({type(found[-1]).__name__}):" if found else ""


def _said(error: Exception, shape: tuple[int, int], written: Written, module: str) -> str:
    """What a failed forward or export means to the user."""
    text = str(error)
    stack = text + "\n" + "".join(traceback.format_exception(error))
    where = f"{_line_of(stack, written.file)} {module}".strip()
    kind = type(error).__name__
    if "DataDependent" in kind or "data-dependent" in text or "Boolean value" in text:
        return (
            f"{where} control flow that depends on values: expected a forward that does the same"
            " for every signal; torch.where is no way round it, an activation or a product may be"
        ).strip()
    first = text.strip().splitlines()[0] if text.strip() else kind
    return (
        f"{where} forward cannot be traced on {(1, *shape)}: {kind}: {first}; a stream takes"
        f" signals of any length, a network of one length alone needs {written.window}"
    ).strip()
