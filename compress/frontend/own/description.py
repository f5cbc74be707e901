"""What a network file says of its network beside the network itself, and the same in the
hyper-parameters of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from compress import tasks
from compress.errors import TendonError


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


NAMES = {name.upper(): name for name in Description.__dataclass_fields__}
_NEEDED = ("SAMPLE_RATE", "ELECTRODES", "TASK")


def described(where: str, values: Mapping[str, Any]) -> Description:
    """The description that these names of a file give; TendonError says `where`, which name, and
    what was expected."""
    missing = [name for name in _NEEDED if values.get(name) is None]
    if missing:
        raise TendonError(f"{where}: expected it to define {', '.join(missing)}; {_SAYS}")
    found = {own: values[name] for name, own in NAMES.items() if values.get(name) is not None}
    for name in ("SAMPLE_RATE", "ELECTRODES", "WINDOW", "STRIDE"):
        if NAMES[name] in found:
            _check_count(where, name, found[NAMES[name]])
    if found["task"] not in tasks.names():
        raise TendonError(
            f"{where}: TASK: expected one of {', '.join(tasks.names())}, found {found['task']!r}"
        )
    if "stride" in found and "window" not in found:
        raise TendonError(
            f"{where}: STRIDE={found['stride']} without WINDOW: expected both, or neither for a"
            " network that runs as a stream"
        )
    if values.get("CLASSES") is not None:
        found["classes"] = _classes(where, found["classes"])
    if "window" in found:
        found.setdefault("stride", found["window"])
    return Description(**found)


_SAYS = (
    "SAMPLE_RATE is in Hz, ELECTRODES a count, TASK the name of what the network is for:"
    f" {' or '.join(tasks.names())}"
)


def _check_count(where: str, name: str, value: Any) -> None:
    """TendonError for anything but a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TendonError(f"{where}: {name}: expected a whole number of 1 or more, found {value!r}")


def _classes(where: str, value: Any) -> list[str]:
    """Names of classes as a list; TendonError for other things, and for a name that is there
    twice."""
    names = list(value) if isinstance(value, list | tuple) else []
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise TendonError(f"{where}: CLASSES: expected a list of names, found {value!r}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TendonError(f"{where}: CLASSES: expected each name once, found {twice[0]!r} twice")
    return names
