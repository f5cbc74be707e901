"""Artifacts under build: where they lie, what they are made from, and when they are still good."""

from compress.artifacts.folder import (
    COMPRESSED,
    SHIPPED,
    USUAL,
    Folder,
    checkpoint_for,
    checkpoint_of,
    compressed_from,
    usual_precision,
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
from compress.artifacts.memory import (
    SourcesError,
    check_calibrated,
    remember,
    remembered,
    resolve,
)
from compress.artifacts.seals import damage, forget, is_whole, seal, sealed
from compress.artifacts.sources import DEFAULT, GIVEN, Sources
from compress.files import sha256

__all__ = [
    "COMPRESSED",
    "DEFAULT",
    "FAMILIES",
    "GIVEN",
    "PAGES",
    "ROOT",
    "SHIPPED",
    "SIMULATOR",
    "TASKS",
    "TASK_DATA",
    "USUAL",
    "Folder",
    "Sources",
    "SourcesError",
    "check_calibrated",
    "checkpoint_for",
    "checkpoint_of",
    "closure",
    "code_hash",
    "compressed_from",
    "damage",
    "forget",
    "is_whole",
    "key",
    "recorded_key",
    "remember",
    "remembered",
    "resolve",
    "seal",
    "sealed",
    "sha256",
    "usual_precision",
    "was_made_from",
    "whole_checkpoint",
]
