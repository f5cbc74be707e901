"""A folder under build is one network's: that of the file which claimed it. Light to import."""

from __future__ import annotations

from pathlib import Path

from compress.errors import TendonError
from compress.files import read_json, visible, write_json
from compress.frontend.own.named import NetworkFile


def claim(folder: Path, file: NetworkFile) -> None:
    """Make a folder under build this file's; TendonError when it is another's that is still there,
    or no network file's."""
    record, mine = folder / "network.json", {"file": str(file.path), "function": file.function}
    known = read_json(record)
    if known == mine:
        return
    if not known and folder.is_dir() and visible(folder.iterdir()):
        raise TendonError(
            f"{folder}: expected no folder, or that of {file}, found one of another network; rename"
            f" {file.path.name}, give another BUILD=, or remove the folder"
        )
    other = Path(str(known.get("file", "")))
    if known and other.is_file():
        title = NetworkFile(other, str(known.get("function")))
        raise TendonError(
            f"{folder}: holds what was made of {title}, which {file} would replace; rename one of"
            " the files, give another BUILD=, or remove the folder"
        )
    write_json(record, mine)
