"""What a checkpoint file holds that is no plain value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compress.errors import CheckpointError

if TYPE_CHECKING:
    import torch

MOST_DIMENSIONS = 64


class Refused(CheckpointError):
    """A file asks for something that is never done, or for more than is allowed."""


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function by its name; nothing of it is imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, slots=True)
class Instance:
    """An object whose class is only named, with what was stored of it: the arguments it was made
    with, its state, and the items of one that is a dict or a list."""

    of: Name
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    elements: list[Any] = field(default_factory=list)

    def attributes(self) -> dict[Any, Any]:
        """Its state as a dict; empty where it is none. A pair is one of dict and slots."""
        if isinstance(self.state, tuple) and len(self.state) == 2:
            parts = [part for part in self.state if isinstance(part, dict)]
            return {key: value for part in parts for key, value in part.items()}
        return self.state if isinstance(self.state, dict) else {}


@dataclass(eq=False, slots=True)
class Storage:
    """`size` bytes somewhere in a file; `read(begin, end)` gives a part of them. None of a storage
    without any."""

    size: int
    dtype: torch.dtype | None
    read: Callable[[int, int], bytes] | None
    device: str = "cpu"


@dataclass(frozen=True, eq=False, slots=True)
class StoredTensor:
    """A tensor as it is described; offset and strides in elements. `layout` is torch's word for
    how it is stored, only "strided" holds numbers as they are."""

    storage: Storage
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...] = ()
    offset: int = 0
    layout: str = "strided"

    @property
    def kind(self) -> str:
        """In words, for a message."""
        return f"{self.dtype}, {self.layout}, on {self.storage.device}".replace("torch.", "")

    @property
    def plain(self) -> bool:
        """Whether it holds real numbers as they are: neither sparse nor quantized, nor without any,
        nor complex."""
        return (
            self.layout == "strided" and self.storage.read is not None and not self.dtype.is_complex
        )

    @property
    def span(self) -> int:
        """Elements from its first to behind its last one."""
        if 0 in self.shape:
            return 0
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))

    def tensor(self) -> torch.Tensor:
        """The numbers, in memory of their own. Only for a shape that is known to be right: one that
        repeats its elements (stride 0) takes as much memory as it claims."""
        import torch

        assert self.plain and self.storage.read is not None
        if self.span == 0:
            return torch.empty(self.shape, dtype=self.dtype)
        begin = self.offset * self.dtype.itemsize
        raw = bytearray(self.storage.read(begin, begin + self.span * self.dtype.itemsize))
        flat = torch.frombuffer(raw, dtype=self.dtype)
        return flat.as_strided(self.shape, self.stride).clone(memory_format=torch.contiguous_format)


def strided(
    storage: Storage, dtype: torch.dtype, offset: Any, shape: Any, stride: Any
) -> StoredTensor:
    """A tensor on a storage; ValueError where it reaches beyond."""
    shape, stride = _counts(shape), _counts(stride)
    if len(shape) != len(stride):
        raise ValueError(f"a tensor of {len(shape)} dimensions with {len(stride)} strides")
    (offset,) = _counts((offset,))
    found = StoredTensor(storage, dtype, shape, stride, offset)
    if storage.read is not None and (offset + found.span) * dtype.itemsize > storage.size:
        raise ValueError(f"a tensor of shape {shape} reaches beyond its storage")
    return found


def _counts(values: Any) -> tuple[int, ...]:
    """Some whole numbers of 0 or more; ValueError for anything else."""
    counts = tuple(values[:MOST_DIMENSIONS])
    if len(values) > MOST_DIMENSIONS or not all(type(n) is int and 0 <= n < 2**63 for n in counts):
        raise ValueError("sizes of a tensor that are no counts")
    return counts


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a tensor without gaps."""
    found, step = [], 1
    for size in reversed(shape):
        found.append(step)
        step *= max(size, 1)
    return tuple(reversed(found))
