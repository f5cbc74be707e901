"""Hyper-parameters as plain values: OmegaConf's containers and nodes as dicts, lists and values,
paths and NumPy's scalars as text and numbers, classes by their names.

Interpolations are resolved in what describes a network and nowhere else: within what is stored, by
lookup alone. No resolver is ever run, so nothing is read of the environment. What cannot be
resolved stays `Unusable` until something needs it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from compress.errors import CheckpointError, printable
from compress.frontend.stored import arrays
from compress.frontend.stored.values import Instance, Name, Refused, StoredTensor
from compress.frontend.stored.words import Unusable, short, shown
from compress.frontend.stored.words import name as in_words

_DEEPEST, _MOST = 100, 100_000  # containers in each other, values in all
_LONGEST, _LONGEST_PATH = 10_000, 1_000  # characters
_LOOKUPS, _MOST_ELEMENTS = 10_000, 10_000
_INNERMOST = re.compile(r"\$\{([^${}]*)\}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\[\]]+)\]")
_NAMESPACES = ("argparse.Namespace", "types.SimpleNamespace")
_STRINGS = ("torch.torch_version.TorchVersion", "torch.TorchVersion")
Chain = tuple[Any, ...]  # containers from the outermost to the one that holds a value


def hyper_parameters(
    stored: Any, describing: tuple[str, ...], alone: bool = False
) -> dict[str, Any]:
    """Plain values by name. `describing` names those that describe a network: only their
    interpolations are resolved, and `alone` they are all that is read. CheckpointError for no dict,
    or for one without an end."""
    content = _items(stored)
    if not isinstance(content, dict):
        raise CheckpointError(f"hyper_parameters: expected a dict, found {shown(stored)}")
    if alone:
        content = {key: content[key] for key in describing if key in content}
    chain, reader = (*_ancestors(stored), stored), _Reader()
    found = {}
    for key, value in content.items():
        reader.outer = chain if key in describing else None
        name = in_words(key)
        found[name] = reader.of(value, chain, name)
    return found


def is_dict(stored: Any) -> bool:
    """Whether this is a dict under its wrapping."""
    return isinstance(_items(stored), dict)


def texts(value: Any) -> Any:
    """The same with plain text in place of what is `Unusable`."""
    if isinstance(value, dict):
        return {key: texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [texts(inner) for inner in value]
    return str.__str__(value) if isinstance(value, Unusable) else value


def _is_omegaconf(value: Any) -> bool:
    return isinstance(value, Instance) and value.of.module.split(".")[0] == "omegaconf"


def _items(value: Any) -> Any:
    """What a value is under its wrapping: the dict, list or value itself."""
    for _ in range(_DEEPEST):
        if not isinstance(value, Instance):
            return value
        attributes = value.attributes()
        if _is_omegaconf(value):
            known = [key for key in ("_content", "_val", "content") if key in attributes]
            if not known:
                return value
            value = attributes[known[0]]
        elif str(value.of) in _NAMESPACES:
            return attributes
        elif str(value.of) in _STRINGS and value.arguments:
            value = value.arguments[0]
        else:
            return value
    raise Refused("hyper_parameters: nodes without an end")


def _ancestors(value: Any) -> Chain:
    """The containers that OmegaConf keeps of a node that was cut out, from the outermost."""
    found: list[Any] = []
    while _is_omegaconf(value) and len(found) < _DEEPEST:
        value = value.attributes().get("_parent")
        if not isinstance(value, Instance):
            break
        found.insert(0, value)
    return tuple(found)


class _Reader:
    """Turns hyper-parameters into plain values; `outer` is where interpolations that their own tree
    does not answer are looked up, None leaves all as they are."""

    outer: Chain | None = None

    def __init__(self) -> None:
        self.left, self.lookups = _MOST, _LOOKUPS

    def of(self, value: Any, chain: Chain, where: str, depth: int = 0) -> Any:
        """The plain value; `chain` holds it, `where` is its name."""
        self.left -= 1
        if self.left < 0 or depth > _DEEPEST:
            raise CheckpointError(
                f"hyper_parameters: {printable(where[:60])}: expected at most"
                f" {_MOST:,} values, {_DEEPEST} deep, found more"
            )
        if _is_omegaconf(value) and value.attributes().get("_parent") is not None:
            own = _ancestors(value)
            chain = own if own and chain[-len(own) :] != own else chain
        content = _items(value)
        if isinstance(content, dict | list | tuple):
            return self._container(content, (*chain, value), where, depth)
        if isinstance(content, str) and "${" in content and self.outer is not None:
            return self._resolved(content, chain, where, depth)
        return _leaf(content)

    def _container(self, content: Any, chain: Chain, where: str, depth: int) -> Any:
        if isinstance(content, dict):
            return {
                _key(key): self.of(inner, chain, f"{where[:100]}.{in_words(key)}", depth + 1)
                for key, inner in content.items()
            }
        return [
            self.of(inner, chain, f"{where[:100]}[{i}]", depth + 1)
            for i, inner in enumerate(content)
        ]

    # --- interpolations ---

    def _resolved(self, text: str, chain: Chain, where: str, depth: int) -> Any:
        """What an interpolation stands for, or why it cannot be said."""
        try:
            if len(text) > _LONGEST:
                raise _UnresolvedError(f"which is longer than {_LONGEST:,} characters")
            whole = _INNERMOST.fullmatch(text)
            if whole:
                value, holders = self._lookup(whole[1], chain, depth)
                return self.of(value, holders, where, depth + 1)
            return self._substituted(text, chain, where, depth)
        except _UnresolvedError as error:
            return Unusable(text, f"the interpolation {short(text)}, {error}")

    def _substituted(self, text: str, chain: Chain, where: str, depth: int) -> Any:
        """Text with the values in place of the interpolations, from the innermost."""
        while found := _INNERMOST.search(text):
            value, holders = self._lookup(found[1], chain, depth)
            inner = self.of(value, holders, where, depth + 1)
            if isinstance(inner, Unusable):
                raise _UnresolvedError(f"which needs {short(str(inner))}, which has no value")
            if not isinstance(inner, str | int | float | None):
                raise _UnresolvedError("which puts no text into text")
            text = text[: found.start()] + str(inner) + text[found.end() :]
            if len(text) > _LONGEST:
                raise _UnresolvedError(f"which is longer than {_LONGEST:,} characters")
            if "${" in text and _INNERMOST.fullmatch(text):
                return self._resolved(text, chain, where, depth + 1)
        if "${" in text:
            raise _UnresolvedError("which has no end")
        return text

    def _lookup(self, path: str, chain: Chain, depth: int) -> tuple[Any, Chain]:
        """The value that a path names, and what holds it."""
        self.lookups -= 1
        if self.lookups < 0 or depth > _DEEPEST // 2:
            raise _UnresolvedError("which leads to itself or through too many others")
        if ":" in path:
            raise _UnresolvedError("which names a resolver; none is ever run")
        if len(path) > _LONGEST_PATH:
            raise _UnresolvedError(f"whose key is longer than {_LONGEST_PATH:,} characters")
        up = len(path) - len(path.lstrip("."))
        if up > len(chain):
            raise _UnresolvedError("whose key is not stored")
        if up:
            return self._down(path[up:], chain[: len(chain) - up + 1], depth)
        for root in (chain[:1], self.outer[:1] if self.outer else ()):
            try:
                return self._down(path, root, depth)
            except _MissingError:
                continue
        raise _UnresolvedError("whose key is not stored")

    def _down(self, path: str, chain: Chain, depth: int) -> tuple[Any, Chain]:
        """Follow a path from the last of these containers."""
        for step in _STEP.finditer(path):
            content = _items(chain[-1])
            if isinstance(content, str) and _INNERMOST.fullmatch(content):
                value, holders = self._lookup(content[2:-1], chain[:-1], depth + 1)
                chain = (*holders, value)
                content = _items(value)
            chain = (*chain, _child(content, step[1] or step[2]))
        return chain[-1], chain[:-1]


class _UnresolvedError(Exception):
    """Why an interpolation has no value, in words that follow it."""


class _MissingError(_UnresolvedError):
    """The key is not there."""


def _child(content: Any, key: str) -> Any:
    """The value under a key as it is written in a path."""
    if isinstance(content, dict):
        if key in content:
            return content[key]
        if key.isdecimal() and len(key) < 10 and int(key) in content:
            return content[int(key)]
    if isinstance(content, list | tuple) and key.isdecimal() and int(key[:9]) < len(content):
        return content[int(key[:9])]
    raise _MissingError("whose key is not stored")


def _key(key: Any) -> Any:
    return key if key is None or isinstance(key, str | int | float) else shown(key)


def _leaf(value: Any) -> Any:
    """A value that is no container; text where it is nothing that is read here."""
    if value is None or isinstance(value, str | int | float | complex | bytes):
        return value
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, Instance):
        return _object(value)
    return Unusable(f"({shown(value)})", shown(value))


def _object(value: Instance) -> Any:
    if value.of == arrays.ARRAY:
        tensor = arrays.tensor(value)
        if tensor is not None and _size(tensor) <= _MOST_ELEMENTS:
            return tensor.tensor().tolist()
    number = value.attributes().get("int")
    if str(value.of) == "uuid.UUID" and isinstance(number, int) and 0 <= number < 1 << 128:
        return str(uuid.UUID(int=number))
    if str(value.of) == "functools.partial" and value.arguments:
        return Unusable(f"(partial of {shown(value.arguments[0])})", "a functools.partial")
    return Unusable(f"({shown(value)})", f"{shown(value)}, which is not read")


def _size(tensor: StoredTensor) -> int:
    size = 1
    for n in tensor.shape:
        size *= n
    return size


def unread(values: Mapping[str, Any]) -> Iterator[str]:
    """Names of objects that stayed unread, each class once."""
    found: dict[str, None] = {}

    def walk(value: Any) -> None:
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                walk(inner)
            elif isinstance(inner, Unusable) and "an object of" in inner.reason:
                found.setdefault(inner.reason)

    walk(values)
    yield from found
