"""A folder under build is one network's: that of the file which claimed it. Light to import."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Any

from compress.errors import CheckpointError, TendonError, UsageError, printable
from compress.files import read_json, visible, write_json
from compress.frontend.own.named import KEY, NetworkFile

log = logging.getLogger(__name__)


def claim(folder: Path, file: NetworkFile) -> None:
    """Make a folder under build this file's; TendonError when it is another's that is still there,
    or no network file's."""
    record, mine = folder / "network.json", {"file": str(file.path), "function": file.function}
    known = read_json(record)
    if known == mine:
        return
    if not known and folder.is_dir() and visible(folder.iterdir()):
        _claim_again(folder, file)
    other = Path(str(known.get("file", "")))
    if known and other.is_file():
        title = NetworkFile(other, str(known.get("function")))
        raise UsageError(
            f"{folder}: holds what was made of {title}, which {file} would replace; rename one of"
            " the files, give another BUILD=, or remove the folder"
        )
    write_json(record, mine)


def _claim_again(folder: Path, file: NetworkFile) -> None:
    """Whether a folder whose record is damaged or gone may be this file's, by the checkpoint in it,
    which is said; TendonError where it is another's, or nobody says whose."""
    record, made_of = folder / "network.json", _made_of(folder / "network.ckpt")
    if record.is_dir():
        raise TendonError(
            f"{record}: expected a file, found a folder; remove it:"
            f" rm -r {shlex.quote(str(record))}"
        )
    if made_of != {"file": file.path.name, "function": file.function} and (
        made_of or not record.exists()
    ):
        raise TendonError(
            f"{folder}: expected no folder, or that of {file}, found one of another network; rename"
            f" {file.path.name}, give another BUILD=, or remove the folder:"
            f" rm -r {shlex.quote(str(folder))}"
        )
    log.warning(printable(f"{record}: damaged or gone: made again for {file}"))


def _made_of(path: Path) -> dict[str, Any]:
    """The name of the file that a frozen checkpoint was made of, and its function; empty where it
    cannot be read."""
    from compress.frontend.own import weights  # torch, for a damaged folder alone

    try:
        said = weights.stored(path)[1].get(KEY)
    except CheckpointError:
        return {}
    return {key: said.get(key) for key in ("file", "function")} if isinstance(said, dict) else {}
