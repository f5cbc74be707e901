"""What networks are for: which recordings a task has, how one is read, and what its error is.
Nothing here knows a network."""

from __future__ import annotations

from compress import graph as g
from compress.errors import GraphError
from compress.tasks.pose import Pose
from compress.tasks.task import Recorded, Task
from compress.tasks.typing import Typing

__all__ = ["TASKS", "Recorded", "Task", "of"]

TASKS: dict[str, Task] = {task.name: task for task in (Typing(), Pose())}


def of(graph: g.Graph) -> Task:
    """The task of a lowered network, which its provenance says."""
    name = graph.provenance.get("task", Typing.name)
    if name not in TASKS:
        raise GraphError(f"{graph.name}: task {name!r}: expected one of {', '.join(TASKS)}")
    return TASKS[name]
