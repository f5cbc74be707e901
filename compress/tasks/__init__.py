"""What networks are for: which recordings a task has, how one is read, and what its error is.
Nothing here knows a network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from compress.errors import GraphError

if TYPE_CHECKING:
    from compress import graph as g
    from compress.tasks.task import Recorded, Task

__all__ = ["NAMES", "TASKS", "Recorded", "Task", "of"]

NAMES = {"typing": "Typing", "pose": "Pose"}  # folder -> class, loaded when it is asked for


def __getattr__(name: str) -> Any:
    if name == "TASKS":
        return {
            folder: getattr(import_module(f"compress.tasks.{folder}.task"), kind)()
            for folder, kind in NAMES.items()
        }
    if name in ("Recorded", "Task"):
        return getattr(import_module("compress.tasks.task"), name)
    raise AttributeError(name)


def of(graph: g.Graph) -> Task:
    """The task of a lowered network, which its provenance says."""
    name = graph.provenance.get("task", "typing")
    if name not in NAMES:
        raise GraphError(f"{graph.name}: task {name!r}: expected one of {', '.join(NAMES)}")
    task: Task = getattr(import_module(f"compress.tasks.{name}.task"), NAMES[name])()
    return task
