"""Arguments of the calls for notebooks: each of the type that its annotation says, or named in a
UsageError of one line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from numbers import Integral
from os import PathLike
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from compress.errors import GraphError, UsageError
from compress.reading.words import one_line

if TYPE_CHECKING:
    from compress.graph import Graph

P = ParamSpec("P")
R = TypeVar("R")

# Annotation -> types, and what they are called. Others are looked at where they are used.
TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a name"),
    "AnyPath": ((str, PathLike), "a path"),
    "int": ((int,), "a whole number of 1 or more"),
}


def typed(call: Callable[P, R]) -> Callable[P, R]:
    """The call, which refuses an argument of another type than its annotation says. Whole numbers
    and names of NumPy are those of Python in it."""
    signature = inspect.signature(call)

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:  # one that lacks, or that the call does not know
            raise UsageError(f"{call.__name__}: {error}") from error
        for name, value in bound.arguments.items():
            said = str(signature.parameters[name].annotation)
            bound.arguments[name] = _checked(f"{call.__name__}: {name}", said, value)
        return call(*bound.args, **bound.kwargs)

    return checked


def _checked(where: str, annotation: str, value: Any) -> Any:
    kind, _, rest = annotation.partition(" | ")
    if value is None and (rest == "None" or kind == "int"):  # a number that lacks is asked for
        return None
    if kind == "Graph":
        check_graph(value, where)
    if kind.startswith("Sequence"):
        return _plain_names(value)
    if kind not in TYPES:
        return value
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    types, words = TYPES[kind]
    wrong = not isinstance(value, types) or isinstance(value, bool)
    if wrong or (value < 1 if kind == "int" else not str(value) or "\0" in str(value)):
        more = " or None" if rest == "None" else ""
        raise UsageError(f"{where}: expected {words}{more}, found {shown(value)}")
    if where.endswith(": board"):
        _check_board(where, value)
    return value


def _check_board(where: str, board: str) -> None:
    """UsageError for the name of no board."""
    from export.boards import names

    if board not in names():
        raise UsageError(f"{where}={board}: expected one of {', '.join(names())}")


def _plain_names(value: Any) -> Any:
    """A list of names of a row of NumPy's; anything else as it is."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, list | tuple):
        return value
    return [str(one) if isinstance(one, str) else one for one in value]


def shown(value: object) -> str:
    """A value in a message, of one line and not long."""
    text = one_line(repr(value))
    return text if len(text) <= 60 else type(value).__name__


def check_graph(graph: object, where: str) -> None:
    """GraphError for anything but a graph, UsageError where it is the second one of a call;
    `where`: the call and its argument."""
    from compress.graph import Graph

    if not isinstance(graph, Graph):
        wrong = GraphError if where.endswith(": graph") else UsageError
        raise wrong(
            f"{where}: expected a graph, found {type(graph).__name__}; trace() gives that of a"
            " module, load() that of a file"
        )


SEEN = ("task", "input rate", "electrodes", "outputs", "output rate", "look-ahead", "classes")


def check_comparable(graph: Graph, against: Graph) -> None:
    """UsageError where two graphs do not give the same frames of the same recordings."""
    for what, ours, other in zip(SEEN, _seen(graph), _seen(against), strict=True):
        if ours != other:
            raise UsageError(
                f"score: against: expected the {what} of {graph.name}, {ours}, found {other} of"
                f" {against.name}; compare networks that answer the same"
            )


def _seen(graph: Graph) -> tuple[Any, ...]:
    """What is seen of a graph from outside."""
    from compress import tasks

    said = graph.provenance
    timed = bool(said.get("own"))  # of a published one the task scores what the frames say together
    return (
        tasks.of(graph).name,
        f"{float(graph.input.rate):g} Hz",
        graph.input.features,
        graph.output.features,
        f"{float(graph.output.rate):g} Hz" if timed else None,
        f"{said.get('lookahead', 0)} samples" if timed else None,
        said.get("classes"),
    )
