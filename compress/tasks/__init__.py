"""What networks are for: which recordings a task has, how one is read, what its error is, and what
a report says and draws of it. Nothing here knows a network.

A task is a folder with a `Task` in it and one line in `TABLE`. Nobody outside the folder names it:
whoever has a graph asks `of` for its task, whoever has a name asks `named`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from compress.errors import GraphError, TendonError

if TYPE_CHECKING:
    from compress import graph as g
    from compress.data.recordings import Collection
    from compress.tasks.task import Task
    from compress.tasks.text import Text

# name, as provenance and families say it -> module:class, imported when the task is asked for
TABLE = {
    "typing": "compress.tasks.typing.task:Typing",
    "pose": "compress.tasks.pose.task:Pose",
    "classes": "compress.tasks.classes.task:Classes",
    "values": "compress.tasks.values.task:Values",
}


def names() -> list[str]:
    """Every task, in the order of the table; imports none of them."""
    return list(TABLE)


def named(name: str) -> Task:
    """A task by its name; TendonError for one that is not in the table."""
    if name not in TABLE:
        raise TendonError(f"task {name!r}: expected one of {', '.join(TABLE)}")
    module, _, kind = TABLE[name].partition(":")
    task: Task = getattr(import_module(module), kind)()
    return task


def of(graph: g.Graph) -> Task:
    """The task of a lowered network, which its provenance says (without it: the first)."""
    name = graph.provenance.get("task", next(iter(TABLE)))
    if name not in TABLE:
        raise GraphError(f"{graph.name}: task {name!r}: expected one of {', '.join(TABLE)}")
    return named(name)


def collection_of(graph: g.Graph) -> Collection:
    """The recordings that a lowered network takes; those that are simulated have its shape."""
    from compress.tasks.shape import Shape

    return of(graph).collection_for(Shape.of(graph))


def texts() -> list[Text]:
    """What the tasks know whose frames are read as text, by the decoders of `host`."""
    return [task.text for task in map(named, TABLE) if task.text is not None]
