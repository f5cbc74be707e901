"""What a network file says of its network beside the network itself, and the same in the
hyper-parameters of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from compress import tasks
from compress.errors import TendonError
from compress.frontend.own.asked import Asked


@dataclass(frozen=True)
class Description:
    """`sample_rate` in Hz; `classes`: names of the outputs, if they are classes; `window`, `stride`
    in samples, of a network that answers once per window."""

    sample_rate: int
    electrodes: int
    task: str
    classes: list[str] | None = None
    window: int | None = None
    stride: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


_NEEDED = ("sample_rate", "electrodes", "task")


def described(asked: Asked, values: Mapping[str, Any]) -> Description:
    """The description that these names of a file, or arguments, give; TendonError says where, which
    name, and what was expected."""
    where, keys = asked.where, Description.__dataclass_fields__
    found = {k: values[asked.name(k)] for k in keys if values.get(asked.name(k)) is not None}
    missing = ", ".join(asked.name(key) for key in _NEEDED if key not in found)
    if missing:
        define = "it to define " if asked.by_file else ""
        raise TendonError(f"{where}: expected {define}{missing}; {_says(asked)}")
    for key in ("sample_rate", "electrodes", "window", "stride"):
        if key in found:
            _check_count(f"{where}: {asked.name(key)}", found[key])
    if found["task"] not in tasks.names():
        raise TendonError(
            f"{where}: {asked.name('task')}: expected one of {', '.join(tasks.names())}, found"
            f" {found['task']!r}"
        )
    if "stride" in found and "window" not in found:
        raise TendonError(
            f"{where}: {asked.name('stride')}={found['stride']} without {asked.name('window')}:"
            " expected both, or neither for a network that runs as a stream"
        )
    if "classes" in found:
        found["classes"] = _classes(f"{where}: {asked.name('classes')}", found["classes"])
    if "window" in found:
        found.setdefault("stride", found["window"])
    return Description(**found)


def _says(asked: Asked) -> str:
    rate, electrodes, task = map(asked.name, _NEEDED)
    return (
        f"{rate} is in Hz, {electrodes} a count, {task} the name of what the network is for:"
        f" {' or '.join(tasks.names())}"
    )


def _check_count(where: str, value: Any) -> None:
    """TendonError for anything but a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TendonError(f"{where}: expected a whole number of 1 or more, found {value!r}")


def _classes(where: str, value: Any) -> list[str]:
    """Names of classes as a list; TendonError for other things, and for a name that is there
    twice."""
    names = list(value) if isinstance(value, list | tuple) else []
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise TendonError(f"{where}: expected a list of names, found {value!r}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TendonError(f"{where}: expected each name once, found {twice[0]!r} twice")
    return names
