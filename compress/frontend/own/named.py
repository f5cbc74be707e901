"""Network files: Python files of the user's that MODEL= names, `path/net.py` or `path/net.py:name`.

Such a file is executed, since it is the user's. A checkpoint never is the reason for that: only
files that were named in this process are ever read as code (`those`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from compress.errors import TendonError

KEY = "network_file"  # of the hyper-parameters of its checkpoints
FUNCTION = "network"  # that is called when none is named
HOLDS = (
    f"{FUNCTION}() -> nn.Module, SAMPLE_RATE (Hz), ELECTRODES, TASK, and where it has them CLASSES"
    " (names), WINDOW and STRIDE (samples)"
)
_TEXT = re.compile(r"(?P<path>.*\.py)(?::(?P<function>[^/:]*))?", re.DOTALL)
# names of folders, and text in C
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_PLAIN = "up to 60 letters, digits, '_', '-' and '.'"
_TAKEN = ("pareto", "bench")  # folders under build that are no network's


@dataclass(frozen=True)
class NetworkFile:
    """A file by its absolute path, and the function in it that makes the network."""

    path: Path
    function: str = FUNCTION

    @property
    def name(self) -> str:
        """Of the network and of its folder under build."""
        stem = self.path.stem
        return stem if self.function == FUNCTION else f"{stem}-{self.function}"

    @property
    def title(self) -> str:
        """As MODEL= names it, without its folder."""
        return self.path.name + ("" if self.function == FUNCTION else f":{self.function}")

    def __str__(self) -> str:
        return str(self.path) + ("" if self.function == FUNCTION else f":{self.function}")


def is_plain(name: str) -> bool:
    """Whether this can be the name of a network, and of its folder under build."""
    return bool(_STEM.fullmatch(name))


those: dict[str, NetworkFile] = {}  # that were named in this process, by the network's name


def named(text: str) -> NetworkFile | None:
    """The network file that MODEL=`text` names, from now on one of `those`; None for the name of a
    network. TendonError for a file that cannot be one, before anything in it is read."""
    found = _TEXT.fullmatch(text)
    if found is None:
        if not is_plain(text):
            raise TendonError(
                f"MODEL={text if text.isprintable() else repr(text)}: expected the name of a"
                f" network, {_PLAIN}, or a Python file, path/net.py or path/net.py:name"
            )
        _check_free(text, text, "give it another name")
        return None
    path, function = Path(found["path"]).expanduser().resolve(), found["function"]
    if not path.is_file():
        raise TendonError(f"MODEL={text}: no such file; it has to hold {HOLDS}")
    if function is not None and not function.isidentifier():
        raise TendonError(
            f"MODEL={text}: expected the name of a function behind the colon, found {function!r}"
        )
    file = NetworkFile(path, function or FUNCTION)
    _check_name(file, text)
    allow(file)
    return file


def allow(file: NetworkFile) -> None:
    """Add a file to `those` that were named, in a process that works for the one that was told."""
    those[file.name] = file


def _check_name(file: NetworkFile, text: str) -> None:
    """TendonError when the name of the file is none for a network."""
    from compress.frontend.families import HYPER_PARAMETERS

    if not is_plain(file.name):
        raise TendonError(
            f"MODEL={text}: the network takes its name from the file: expected {_PLAIN}, found"
            f" {file.name!r}; rename the file"
        )
    if file.name in HYPER_PARAMETERS:
        raise TendonError(
            f"MODEL={text}: {file.name} is the name of a published network; rename the file"
        )
    _check_free(file.name, text, "rename the file")


def check_name(name: object, given: str) -> None:
    """TendonError for what cannot be the name of a network in memory; `given`: which argument says
    it."""
    from compress.frontend.families import HYPER_PARAMETERS

    if not isinstance(name, str) or not is_plain(name):
        raise TendonError(f"{given}: expected {_PLAIN}, found {name!r}")
    if name in HYPER_PARAMETERS:
        raise TendonError(f"{given}: {name} is the name of a published network; give another")


def _check_free(name: str, text: str, advice: str) -> None:
    """TendonError for the name of a folder that no network can have."""
    from compress import tasks

    if name in {*_TAKEN, *(tasks.named(n).collection.folder for n in tasks.names())}:
        raise TendonError(
            f"MODEL={text}: {name} is the name of a folder for other things under build; {advice}"
        )
