"""Artifacts under build: where they lie, what they are made from, and when they are still good."""

from compress.artifacts.folder import (
    COMPRESSED,
    SHIPPED,
    Folder,
    checkpoint_for,
    checkpoint_of,
    remember,
    was_made_from,
    whole_checkpoint,
)
from compress.artifacts.keys import (
    FAMILIES,
    PAGES,
    ROOT,
    SIMULATOR,
    TASK_DATA,
    TASKS,
    closure,
    code_hash,
    key,
    recorded_key,
)
from compress.artifacts.sources import Sources
from compress.files import sha256

__all__ = [
    "COMPRESSED",
    "FAMILIES",
    "PAGES",
    "ROOT",
    "SHIPPED",
    "SIMULATOR",
    "TASKS",
    "TASK_DATA",
    "Folder",
    "Sources",
    "checkpoint_for",
    "checkpoint_of",
    "closure",
    "code_hash",
    "key",
    "recorded_key",
    "remember",
    "sha256",
    "was_made_from",
    "whole_checkpoint",
]
