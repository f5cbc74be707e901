"""Reading a network file: it is executed, what it says of its network is checked, and its function
is called. Every error says the file and its line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import sys
import traceback
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from compress.errors import TendonError
from compress.files import sha256
from compress.frontend.own.asked import of_file
from compress.frontend.own.description import Description, described
from compress.frontend.own.named import HOLDS, NetworkFile
from compress.frontend.own.quiet import quiet

SEED = 1  # random initial weights are the same in every run
_MODULE = "network_file"  # what a file is called as a module
_ROOT = Path(__file__).parents[3]
_PACKAGES = ("compress", "export", "host", "bench")  # of this project, which may lie beside it


@dataclass(frozen=True)
class Source:
    """A file that was executed, what it says of its network, and the SHA-256 of it and of the
    neighbours that it imported, by their path from its folder."""

    file: NetworkFile
    module: ModuleType
    description: Description
    sources: dict[str, str]

    def network(self, seed: int = SEED) -> nn.Module:
        """A new network in eval mode, its random weights from the seed; TendonError when the
        function fails or gives none."""
        with _seeded(seed), _guarded(self.file):
            made = getattr(self.module, self.file.function)()
        call = f"{self.file.path}: {self.file.function}()"
        if not isinstance(made, nn.Module):
            raise TendonError(f"{call}: expected an nn.Module, found {type(made).__name__}")
        if made in _made:
            raise TendonError(
                f"{call}: expected a new module from each call, found the same again; make it"
                " inside of the function"
            )
        _made.add(made)
        check_weights(call, made, f"{self.file.function}()")
        return made.eval()

    @property
    def changed(self) -> bool:
        """Whether a file that was read is another one now."""
        folder = self.file.path.parent
        paths = {folder / name: digest for name, digest in self.sources.items()}
        return any(not p.is_file() or sha256(p) != digest for p, digest in paths.items())


_read: dict[NetworkFile, Source] = {}
_made: weakref.WeakSet[nn.Module] = weakref.WeakSet()
_neighbours: dict[str, ModuleType] = {}  # of the file that was read last


def read(file: NetworkFile) -> Source:
    """Execute a file, once per process while nothing in it changes; TendonError says what is wrong
    with it, and where."""
    known = _read.get(file)
    if known is None or known.changed:
        _read.clear()
        _read[file] = _executed(file)
    return _read[file]


def _executed(file: NetworkFile) -> Source:
    content = _content(file.path)
    for name, neighbour in _neighbours.items():  # another file may have one of the same name
        if sys.modules.get(name) is neighbour:
            del sys.modules[name]
    before = set(sys.modules)
    module = sys.modules[_MODULE] = ModuleType(_MODULE)  # dataclasses look their module up
    module.__file__ = str(file.path)
    with _seeded(SEED), _guarded(file):
        exec(compile(content, str(file.path), "exec"), module.__dict__)
    if not callable(getattr(module, file.function, None)):
        raise TendonError(
            f"{file.path}: expected a function {file.function}() that returns an nn.Module, found"
            f" none; a network file holds {HOLDS}"
        )
    description = described(of_file(file), module.__dict__)
    Source(file, module, description, {}).network()  # may import more
    _neighbours.clear()
    _neighbours.update(_imported(file.path.parent, before))
    digests = {
        Path(str(m.__file__)).relative_to(file.path.parent).as_posix(): sha256(
            Path(str(m.__file__))
        )
        for m in _neighbours.values()
    }
    sources = {file.path.name: hashlib.sha256(content).hexdigest()} | dict(sorted(digests.items()))
    return Source(file, module, description, sources)


def check_weights(call: str, model: nn.Module, within: str) -> None:
    """TendonError for weights that have no values yet, or are not as samples are. `call`: what gave
    the network; `within`: where that can be mended."""
    for name, weight in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(weight):
            raise TendonError(
                f"{call}: {name}: has no shape before the first forward; give the layer its sizes,"
                f" or call the network on zeros once in {within}"
            )
        floating = weight.is_floating_point() and weight.dtype != torch.float32
        if floating or weight.device.type != "cpu":
            found = str(weight.dtype).removeprefix("torch.")
            raise TendonError(
                f"{call}: {name}: expected float32 on the CPU as samples are, found {found} on"
                f" {weight.device}; return the network with .float(), and .cpu()"
            )
    for name, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor) or not torch.isfinite(value).all():
            raise TendonError(
                f"{call}: {name}: expected finite numbers to store with the network, found others;"
                " register a buffer of anything else with persistent=False"
            )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TendonError(f"{path}: cannot be read: {error.strerror or error}") from error


def _imported(folder: Path, before: set[str]) -> dict[str, ModuleType]:
    """The user's own modules from this folder that were not imported before."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        elsewhere = "site-packages" in file.parts or name.partition(".")[0] in _PACKAGES
        if name not in before and not elsewhere and file.is_relative_to(folder):
            found[name] = module
    return found


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers from the seed, and those of everybody else afterwards as if none were
    drawn."""
    plain, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(arrays)


@contextlib.contextmanager
def _guarded(file: NetworkFile) -> Iterator[None]:
    """Neighbours of the file can be imported; whatever it raises is a TendonError with its line.
    Nothing is written into its folder, and the working folder and PyTorch's defaults stay as they
    were."""
    folder, writes, here = str(file.path.parent), sys.dont_write_bytecode, os.getcwd()
    dtype, device, grad = (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
    )
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    try:
        with quiet():
            yield
    except (Exception, SystemExit) as error:
        raise TendonError(_what_happened(file, error)) from error
    finally:
        sys.dont_write_bytecode = writes
        os.chdir(here)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        torch.set_grad_enabled(grad)
        if folder in sys.path:
            sys.path.remove(folder)


def _what_happened(file: NetworkFile, error: BaseException) -> str:
    """An error with the last line of the user's own that led to it."""
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").strip()
        return f"{error.filename}, line {error.lineno}: SyntaxError: {error.msg}: {line}"
    folder = file.path.parent
    own = [f for f in traceback.extract_tb(error.__traceback__) if _is_own(f.filename, folder)]
    if not own:
        return f"{file.path}: {said}"
    return f"{own[-1].filename}, line {own[-1].lineno}: {said}: {(own[-1].line or '').strip()}"


def _is_own(name: str, folder: Path) -> bool:
    path = Path(name)
    inside = path.is_relative_to(folder) and "site-packages" not in path.parts
    return inside and not any(path.is_relative_to(_ROOT / package) for package in _PACKAGES)
