"""Where artifacts live and when they are still good: build/<MODEL>/<PRECISION>/, each with the key
of what it was made from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.errors import TendonError
from compress.frontend.checkpoint import sha256

HERE = Path(__file__).parent
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

    @property
    def path(self) -> Path:
        return self.build / self.model / self.precision

    @property
    def checkpoint(self) -> Path:
        """Of a compressed network: what `compress` wrote."""
        return self.path / "checkpoint.ckpt"

    @property
    def graph(self) -> Path:
        return self.path / "graph.npz"

    @property
    def float_graph(self) -> Path:
        return self.path / "float.npz"

    @property
    def quantize_json(self) -> Path:
        return self.path / "quantize.json"

    def target(self, board: str, form: str = "c") -> Path:
        """Everything about one exported format on one board."""
        return self.path / form / board


def checkpoint_of(model: str, given: Path | None) -> Path:
    """The user's checkpoint, or the one that is shipped for this model."""
    if given is not None:
        return given
    shipped = HERE / "checkpoints" / f"{model}.ckpt"
    if not shipped.is_file():
        known = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.ckpt"))) or "none"
        raise TendonError(
            f"MODEL={model}: no checkpoint is shipped for it (shipped: {known}); give one with"
            " CHECKPOINT=path"
        )
    return shipped


def checkpoint_for(folder: Folder, given: Path | None) -> Path:
    """The user's checkpoint; of a compressed network the one that `compress` wrote; else the one
    that is shipped."""
    if given is None and folder.precision == COMPRESSED:
        if not folder.checkpoint.is_file():
            make = f"`make compress MODEL={folder.model} FLASH=…` makes one"
            raise TendonError(f"{folder.checkpoint}: no compressed network; {make}")
        return folder.checkpoint
    return checkpoint_of(folder.model, given)


def code_hash(*packages: str) -> str:
    """Digest of the Python and C sources of these top-level folders: results are only as unchanged
    as the code."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((HERE.parent / package).rglob("*")):
            if path.suffix in (".py", ".c", ".cc", ".h", ".toml", ".ld") and path.is_file():
                digest.update(
                    path.relative_to(HERE.parent).as_posix().encode() + b"\0" + path.read_bytes()
                )
    return digest.hexdigest()


def key(**inputs: Any) -> str:
    """One digest over named inputs; a Path counts by its content."""
    flat = {
        k: [sha256(p) if isinstance(p, Path) else p for p in v] if isinstance(v, list) else v
        for k, v in inputs.items()
    }
    flat = {k: sha256(v) if isinstance(v, Path) else v for k, v in flat.items()}
    return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()


def recorded_key(path: Path) -> str | None:
    """The key in a JSON artifact, or None when it is missing or unreadable."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content.get("key") if isinstance(content, dict) else None
