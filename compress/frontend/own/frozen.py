"""The checkpoint of a network file: what the file says and the weights that count, in
build/<name>/network.ckpt, written again when one of them changes. Its SHA-256 is that of the
network in every key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from compress.artifacts.sources import Sources
from compress.errors import CheckpointError, TendonError, printable
from compress.files import replace_atomically
from compress.frontend import checkpoint, factored, families
from compress.frontend.own import source, weights
from compress.frontend.own.claimed import claim
from compress.frontend.own.named import KEY, NetworkFile
from compress.frontend.own.source import Source
from compress.report.said import noted


def freeze(build: Path, file: NetworkFile, sources: Sources) -> Path:
    """The checkpoint of the file's network with the weights of the user's checkpoint, or those that
    its function gives. Says which. TendonError for a folder of another network, for a file that
    changed where what was made of it is to stay, and what a file or checkpoint is
    wrong in."""
    folder, given = build / file.name, sources.checkpoint
    claim(folder, file)
    found = source.read(file)
    hyper_parameters = hyper_parameters_of(found)
    model = found.network()
    if given is None:
        noted(
            f"{file.title}: weights as {file.function}() gives them: untrained unless it loads some"
        )
    else:
        entries, theirs = weights.stored(given)
        if "tendon" in theirs:  # compressed
            hyper_parameters["tendon"] = theirs["tendon"]
            factored.shape(model, _ranks(given, theirs))
        for words in weights.load(model, given, entries, file.title):
            noted(printable(f"{given}: {words}"))
    path, content = folder / "network.ckpt", checkpoint.content(model, hyper_parameters)
    kept = sources.kept
    if kept and kept.network and kept.network != hashlib.sha256(content).hexdigest():
        raise TendonError(
            f"{file.path}: has changed since {folder} was made of it; `{kept.make}` makes it anew,"
            " another BUILD= leaves it as it is"
        )
    if not path.is_file() or path.read_bytes() != content:
        replace_atomically(path, content)
    return path


def _ranks(given: Path, theirs: dict[str, Any]) -> dict[str, int]:
    try:
        return families.ranks(theirs)
    except CheckpointError as error:
        raise CheckpointError(f"{given}: {error}") from error


def check(build: Path, file: NetworkFile, path: Path) -> None:
    """CheckpointError for a checkpoint that was made from another state of the file."""
    claim(build / file.name, file)
    _, said = weights.stored(path)
    if said.get(KEY) != hyper_parameters_of(source.read(file))[KEY]:
        raise CheckpointError(
            f"{path}: was made from another state of {file.path}; make it again, or go back to that"
            " state"
        )


def hyper_parameters_of(found: Source) -> dict[str, Any]:
    """What a checkpoint says of its network file."""
    said = {"file": found.file.path.name, "function": found.file.function, "name": found.file.name}
    return {KEY: said | found.description.as_dict() | {"sources": found.sources}}
