"""Where artifacts live, build/<MODEL>/<PRECISION>/, and which checkpoint they are made from."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from compress.artifacts.keys import PACKAGE
from compress.artifacts.sources import Sources, shown
from compress.errors import TendonError, UsageError
from compress.files import replace_atomically, sha256
from compress.frontend.own.named import NetworkFile

log = logging.getLogger(__name__)

SHIPPED = PACKAGE / "checkpoints"
USUAL = "w8a16"
COMPRESSED = "compressed"  # the precision of networks that `compress` made


@dataclass(frozen=True)
class Folder:
    """One model at one precision."""

    build: Path
    model: str
    precision: str
    window: int | None = (
        None  # samples at a time, of a network that is not causal (default: as `lower` has it)
    )
    network: NetworkFile | None = None  # that holds the model, if a file of the user's does

    @property
    def root(self) -> Path:
        """Of the model, at every precision."""
        return self.build / self.model

    @property
    def path(self) -> Path:
        return self.root / self.precision

    @property
    def checkpoint(self) -> Path:
        """Of a compressed network: what `compress` wrote."""
        return self.path / "checkpoint.ckpt"

    @property
    def made_from(self) -> Path:
        """Of a compressed network: the SHA-256 of the user's checkpoint that it was made from, if
        one was given."""
        return self.path / "made_from"

    @property
    def graph(self) -> Path:
        return self.path / "graph.npz"

    @property
    def float_graph(self) -> Path:
        return self.path / "float.npz"

    @property
    def quantize_json(self) -> Path:
        return self.path / "quantize.json"

    @property
    def generalization_csv(self) -> Path:
        """Beside quantize.json, where recordings say what they generalize over."""
        return self.path / "generalization.csv"

    def target(self, board: str, form: str = "c") -> Path:
        """Everything about one exported format on one board."""
        return self.path / form / board


def checkpoint_of(model: str, given: Path | None) -> Path:
    """The user's checkpoint, or the one that is shipped for this model."""
    if given is not None:
        return given
    shipped = SHIPPED / f"{model}.ckpt"
    if not shipped.is_file():
        known = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.ckpt"))) or "none"
        raise UsageError(
            f"MODEL={model}: no checkpoint is shipped for it (shipped: {known}); give one with"
            " CHECKPOINT=path, or MODEL=path/net.py, a file of yours that holds the network"
        )
    return shipped


def whole_checkpoint(folder: Folder, sources: Sources) -> Path:
    """The checkpoint of a network as it is before it is compressed: of a network file the one that
    holds what it says and the weights that count (made here), else as `checkpoint_of`."""
    if folder.network is None:
        return checkpoint_of(folder.model, sources.checkpoint)
    from compress.frontend.own import frozen  # torch

    return frozen.freeze(folder.build, folder.network, sources)


def checkpoint_for(folder: Folder, sources: Sources) -> Path:
    """The user's checkpoint; of a compressed network the one that `compress` wrote, from the user's
    if one is given; else the one that is shipped, or of a network file."""
    given = sources.checkpoint
    if folder.precision == COMPRESSED and (given is None or was_made_from(folder, given)):
        make = f"`make compress MODEL={folder.network or folder.model} FLASH=…` makes one"
        if not folder.checkpoint.is_file():
            raise TendonError(f"{folder.checkpoint}: no compressed network; {make}")
        if not was_made_from(folder, given):
            raise TendonError(
                f"{folder.checkpoint}: was made from another checkpoint than this folder; {make}"
            )
        if folder.network is not None:
            from compress.frontend.own import frozen  # torch

            frozen.check(folder.build, folder.network, folder.checkpoint)
        return folder.checkpoint
    return whole_checkpoint(folder, sources)


def compressed_from(folder: Folder, given: Path | None) -> None:
    """Note which checkpoint of the user's, if any, a compressed network was made from."""
    if given is None:
        folder.made_from.unlink(missing_ok=True)
    else:
        replace_atomically(folder.made_from, sha256(given).encode())


def was_made_from(folder: Folder, given: Path | None) -> bool:
    """Whether a compressed network was made from this checkpoint as it is now; None: from the
    shipped one, or the weights of a network file."""
    if not folder.checkpoint.is_file() or (given is not None and not given.is_file()):
        return False
    said = folder.made_from.read_bytes() if folder.made_from.is_file() else None
    return said == (None if given is None else sha256(given).encode())


def usual_precision(folder: Folder, sources: Sources) -> str:
    """That of the network that `compress` made of these sources, if it did; else 8-bit weights.
    Says so where there is a choice."""
    small = replace(folder, precision=COMPRESSED)
    if not small.checkpoint.is_file():
        return USUAL
    if not was_made_from(small, sources.checkpoint):
        log.info(
            f"not taking the compressed {folder.model} of {shown(small.path)}, which was made from"
            " another checkpoint"
        )
        return USUAL
    log.info(
        f"taking the compressed {folder.model} of {shown(small.path)}; PRECISION={USUAL} takes the"
        " whole one"
    )
    return COMPRESSED
