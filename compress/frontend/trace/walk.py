"""The functions of a traced forward one after the other, each by its line of the table."""

from __future__ import annotations

import operator
from typing import Any

import torch

from compress import graph as g
from compress.errors import GraphError
from compress.frontend import layers
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.exported import Exported
from compress.frontend.trace.layout import Laid
from compress.frontend.trace.nodes import advice_of, does_nothing, handler_of, moves, views
from compress.frontend.trace.of_layers import Stacked
from compress.frontend.trace.writer import Writer


class Poison:
    """The value of something refused, an error once anything needs it."""

    def __init__(self, error: GraphError) -> None:
        self.error = error


def walk(w: Writer, exported: Exported, signal: Laid) -> str:
    """Append the operators of a traced forward; the name of the tensor that it gives."""
    values: dict[Any, Any] = {}
    for node in exported.program.graph.nodes:
        if node.op == "placeholder":
            values[node] = exported.constants.get(node.name, signal)
        elif node.op == "call_function":
            values[node] = _value(w, exported, node, values)
        elif node.op == "get_attr":
            values[node] = getattr(exported.program.graph_module, node.target)
        elif node.op == "output":
            return _output(w, exported, node, values)
    raise GraphError("forward gives nothing")


def _value(w: Writer, exported: Exported, node: Any, values: dict[Any, Any]) -> Any:
    found = [values[n] for n in node.all_input_nodes]
    poison = next((v for v in found if isinstance(v, Poison)), None)
    if poison is not None:
        return poison
    w.path = _path(exported, node)
    made = _tried(w, exported, node, values)
    if _in_place(node):
        _written_into(exported, node, made, values)
    return made


def _tried(w: Writer, exported: Exported, node: Any, values: dict[Any, Any]) -> Any:
    """What a function gives, or the error that it is."""
    try:
        return _called(w, exported, node, values)
    except Refused as error:
        return Poison(
            GraphError(f"{exported.place(node)}: {error.found}; what would work: {error.advice}")
        )
    except (GraphError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        where = f"{exported.place(node)}: {_name(node)}"
        return Poison(GraphError(f"{where}: {error}"))


def _in_place(node: Any) -> bool:
    name = _name(node)
    return name.endswith("_") and bool(node.args) and not name.startswith("_")


def _written_into(exported: Exported, node: Any, made: Any, values: dict[Any, Any]) -> None:
    """Who reads the argument of a function in place later reads what it made; the tensor that it
    is a view of is an error once anything reads it."""
    viewed = node.args[0]
    values[viewed] = made
    while viewed.op == "call_function" and views(_name(viewed)) and viewed.args:
        viewed = viewed.args[0]
        said = "values written into a part of a tensor; what would work: torch.cat of the parts"
        values[viewed] = Poison(GraphError(f"{exported.place(node)}: {said}"))


def _path(exported: Exported, node: Any) -> str:
    """A name for what a function makes: its module, and the function where that is not a layer's
    own."""
    path, name = exported.path(node), str(node.name)
    alone = _name(node) in path.rpartition(".")[2] or node.target is torch.ops.tendon.leaf.default
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    kind = str(stack[-1][1]) if stack else ""
    if path and (alone or "torch.nn.modules" in kind):
        return path
    return f"{path}.{name}" if path else name


def _name(node: Any) -> str:
    """The function's name without its overload."""
    if node.target is operator.getitem:
        return "getitem"
    schema = getattr(node.target, "_schema", None)
    return schema.name.partition("::")[2] if schema else str(node.target)


def _called(w: Writer, exported: Exported, node: Any, values: dict[Any, Any]) -> Any:
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])
    if any(values[n] is None for n in node.all_input_nodes):
        raise Refused(
            "what a layer gives beside its values (an LSTM's cell state, places of a maximum)",
            "its values, or the hidden state",
        )
    args = [_whole(w, a, node, i) for i, a in enumerate(args)]
    name = _name(node)
    if name == "getitem":
        return args[0][args[1]]
    if not _holds(args) and not _holds(list(kwargs.values())):
        with torch.no_grad():
            return node.target(*args, **kwargs)
    if node.target is torch.ops.tendon.leaf.default:
        return _leaf(w, exported, args)
    if does_nothing(name):
        if "dropout" in name and len(args) > 2 and args[2]:
            raise Refused(
                "dropout that is on in evaluation", "nn.Dropout, or training=self.training"
            )
        return args[0]
    if moves(name):
        return _moved(node, args, kwargs)
    if name.endswith("_like") or name.startswith("new_"):
        with torch.no_grad():
            return node.target(torch.zeros(args[0].shape), *args[1:], **kwargs)
    handler = handler_of(name)
    if handler is None:
        raise Refused(*advice_of(name))
    return handler(w, _by_name(node, args, kwargs))


def _whole(w: Writer, value: Any, node: Any, place: int) -> Any:
    """The hidden states of several layers as one tensor, unless one of them is taken."""
    if not isinstance(value, Stacked):
        return value
    if _name(node) == "select" and place == 0 and node.args[1] == 0:
        part = value.parts[node.args[2]]
        return part.seen_as(torch.stack([part.index] * len(value.parts)))
    return value.joined(w)


def _holds(value: Any) -> bool:
    """Whether it holds something of the signal."""
    if isinstance(value, list | tuple):
        return any(_holds(v) for v in value)
    return isinstance(value, Laid)


def _moved(node: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The same function on the index."""
    first: Laid = args[0]
    others = [a.index if isinstance(a, Laid) else a for a in args[1:]]
    made = node.target(first.index, *others, **kwargs)
    if isinstance(made, torch.Tensor):
        return first.seen_as(made)
    return [first.seen_as(m) for m in made]


def _by_name(node: Any, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the schema, defaults included."""
    found = {}
    for i, argument in enumerate(node.target._schema.arguments):
        if i < len(args):
            found[argument.name] = args[i]
        elif argument.name in kwargs:
            found[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            found[argument.name] = argument.default_value
    return found


def _leaf(w: Writer, exported: Exported, args: list[Any]) -> Laid:
    """A leaf module: rows of features in, rows of features out."""
    x, number, shape = args
    path, module = exported.leaves[number]
    leaf = layers.leaf_of(module)
    assert leaf is not None
    time = leaf.time % x.index.ndim
    rows = w.rows(x, [d for d in range(x.index.ndim) if d != time])
    name = leaf.write(w, path, module, w.frames(rows))
    features = w.b.tensors[name].features
    others = [n for d, n in enumerate(shape) if d != leaf.time % len(shape)]
    index = torch.arange(shape[leaf.time] * features).reshape(shape[leaf.time], *others)
    return Laid(name, shape[leaf.time], features, index.movedim(0, leaf.time))


def _output(w: Writer, exported: Exported, node: Any, values: dict[Any, Any]) -> str:
    """The one tensor of forward, as (batch, outputs, frames) or (batch, outputs) of a window."""
    given = node.args[0]
    if len(given) != 1:
        raise GraphError(f"forward gives {len(given)} tensors: expected one")
    found = values[given[0]]
    if isinstance(found, Poison):
        raise found.error
    if not isinstance(found, Laid):
        raise GraphError("forward gives what does not depend on the signal")
    found = found.seen_as(exported.form.taken(found.index))
    ndim, times = found.index.ndim, found.time_dims()
    expected = "(batch, outputs, frames)" if w.window is None else "(batch, outputs)"
    if w.window is None and not times:
        raise GraphError(
            f"forward gives {found.shape}, one answer for the whole signal: expected {expected}, or"
            f" {exported.written.window}"
        )
    if ndim != (3 if w.window is None else 2) or found.index.shape[0] != 1:
        raise GraphError(f"forward gives {found.shape}: expected {expected}")
    if times != ([2] if w.window is None else []):
        raise GraphError(
            f"forward gives {found.shape} with time along dimension {times}: expected {expected}"
        )
    w.path = "output"
    try:
        name = w.frames(w.rows(found, [1]))
    except Refused as error:
        raise GraphError(f"output: {error.found}; what would work: {error.advice}") from error
    if any(op.output == name for op in w.b.ops):
        return name
    return w.op(g.Gather, name, index=torch.arange(w.b.tensors[name].features).int().numpy())
