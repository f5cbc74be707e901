"""The classes that ordinary checkpoints hold, and what is read of each: plain data, or only what
was stored. A call of anything else is refused by its name.
"""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from compress.frontend.stored import arrays, tensors
from compress.frontend.stored.values import Instance, Name, Refused

_LONGEST_NAME = 200
_LONGEST_PATH = 4096
# Modules that other versions call otherwise.
_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_BEGINNINGS = {"numpy._core": "numpy.core", "pathlib.": "pathlib", "_pydatetime": "datetime"}
_LARGEST = 2**61 - 1  # an integer below is its own hash: keys cannot be made to collide


def named(module: Any, name: Any) -> Name:
    """The class or function of that name, as this version calls it."""
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a name that is no text")
    if len(module) + len(name) > _LONGEST_NAME:
        raise ValueError("a name that is too long")
    module = _MODULES.get(module, module)
    for old, new in _BEGINNINGS.items():
        if module.startswith(old):
            module = new + (module.removeprefix(old) if new != "pathlib" else "")
    return Name(module, name)


def items(pairs: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Keys and values that follow each other. A key that is no plain value is one by its identity:
    hashing what a file holds can take for ever."""
    if len(pairs) % 2:
        raise ValueError("a key without a value")
    for place in range(0, len(pairs), 2):
        yield _key(pairs[place]), pairs[place + 1]


def _key(value: Any) -> Any:
    if value is None or isinstance(value, str | bytes | float | bool | Name):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST:
        return value
    return Instance(Name("builtins", type(value).__name__), (value,))


def called(name: Name, arguments: tuple[Any, ...]) -> Any:
    """What calling `name` would give, as data; Refused for a name that is not known here."""
    made = _CALLS.get(str(name)) or _CALLS.get(f"{name.module}.*")
    if made is None:
        raise Refused(
            f"refused: it asks for code beyond the allow-list ({str(name)!r}); write weights alone"
            " with torch.save(network.state_dict(), path), or state_dict and hyper_parameters of"
            " plain values"
        )
    return made(*arguments)


def cost(name: Name) -> int:
    """Steps that a call may take beside its own: those of a pickle inside of the pickle."""
    return tensors.NESTED_STEPS if _CALLS.get(str(name)) is tensors.storage_of_bytes else 0


def new(of: Name, arguments: tuple[Any, ...]) -> Any:
    """An object of a class without its constructor having run: what is stored of it follows."""
    if str(of) in _DICTS:
        return {}
    return Instance(of, arguments)


def _reconstructed(of: Name, base: Name, state: Any = None) -> Any:
    """copyreg._reconstructor, of old protocols."""
    found = new(of, () if state is None else (state,))
    if isinstance(found, dict) and isinstance(state, dict):
        found.update(state)
    return found


def _dict(*arguments: Any) -> dict[Any, Any]:
    """A dict of another class: with nothing, pairs, or a dict as its last argument."""
    content = arguments[-1] if arguments else {}
    if isinstance(content, Name):  # a factory of defaults
        return {}
    if isinstance(content, dict):
        return dict(content)
    return {_key(key): value for key, value in content}


def _elements(*arguments: Any) -> list[Any]:
    return list(arguments[0]) if arguments else []


def _attribute(of: Name, name: str) -> Name:
    """A class inside a class, or a method: only its name."""
    return named(of.module, f"{of.name}.{name}")


def _path(kind: type[pathlib.PurePath]) -> Callable[..., str]:
    def made(*parts: str) -> str:
        if sum(map(len, parts)) > _LONGEST_PATH:
            raise ValueError("a path that is too long")
        return str(kind(*parts))

    return made


def _moment(kind: Callable[..., Any]) -> Callable[..., str]:
    """A date or time as text; its zone is left out."""
    return lambda raw, *zone: str(kind(raw))


def _text(*arguments: Any) -> str:
    """The one text that a number is made of."""
    (found,) = arguments
    if not isinstance(found, str) or len(found) > _LONGEST_NAME:
        raise ValueError("a number that is no text")
    return found


def _range(*parts: int) -> str:
    return f"range{tuple(map(int, parts))}"


def _device(kind: str, index: int | None = None) -> str:
    return kind if index is None else f"{kind}:{int(index)}"


def _type(*arguments: Any) -> Name:
    """A type of types, like Optional[int]: nothing needs to know which."""
    return Name(Any.__module__, "Any")


def _encoded(text: str, how: str = "latin1") -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if how not in ("latin1", "latin-1", "utf-8"):
        raise ValueError("text in an unknown encoding")
    return text.encode(how)


def _bytes(*arguments: Any) -> bytes:
    """bytes or bytearray, of bytes, of text or of nothing."""
    if not arguments:
        return b""
    return arguments[0] if isinstance(arguments[0], bytes) else _encoded(*arguments)


_DICTS = {
    "collections.OrderedDict",
    "collections.Counter",
    "collections.defaultdict",
    "builtins.dict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning_utilities.core.rank_zero.AttributeDict",
}
_CALLS: dict[str, Callable[..., Any]] = {
    **{name: _dict for name in _DICTS},
    **{f"builtins.{name}": _elements for name in ("list", "set", "frozenset")},
    "collections.deque": _elements,
    "builtins.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "builtins.complex": lambda real, imaginary: complex(float(real), float(imaginary)),
    "builtins.range": _range,
    "builtins.xrange": _range,
    "builtins.slice": lambda *parts: "slice",
    "builtins.getattr": _attribute,
    "copyreg._reconstructor": _reconstructed,
    "copyreg.__newobj__": lambda of, *arguments: new(of, arguments),
    "copyreg.__newobj_ex__": lambda of, arguments, named: new(of, arguments),
    "_codecs.encode": _encoded,
    "pathlib.PosixPath": _path(pathlib.PurePosixPath),
    "pathlib.PurePosixPath": _path(pathlib.PurePosixPath),
    "pathlib.Path": _path(pathlib.PurePosixPath),
    "pathlib.PurePath": _path(pathlib.PurePosixPath),
    "pathlib.WindowsPath": _path(pathlib.PureWindowsPath),
    "pathlib.PureWindowsPath": _path(pathlib.PureWindowsPath),
    "datetime.datetime": _moment(datetime.datetime),
    "datetime.date": _moment(datetime.date),
    "datetime.time": _moment(datetime.time),
    "datetime.timedelta": lambda *parts: str(datetime.timedelta(*map(int, parts))),
    "datetime.timezone": lambda *parts: "timezone",
    "decimal.Decimal": _text,
    "fractions.Fraction": lambda *parts: "/".join(map(str, parts)),
    "uuid.SafeUUID": lambda value: None,
    "functools.partial": lambda of, *arguments: Instance(Name("functools", "partial"), (of,)),
    "operator.getitem": _type,
    "_operator.getitem": _type,
    "types.GenericAlias": _type,
    "torch.Size": _elements,
    "torch.device": _device,
    "numpy.dtype": arrays.dtype,
    "numpy.core.multiarray.scalar": arrays.scalar,
    "numpy.core.multiarray._reconstruct": lambda of, *arguments: Instance(arrays.ARRAY),
    "numpy.core.numeric._frombuffer": arrays.from_buffer,
    "torch.serialization._get_layout": lambda name: Name("torch", str(name)[:_LONGEST_NAME]),
    **{f"torch._utils.{name}": made for name, made in tensors.REBUILT.items()},
    "torch._tensor._rebuild_from_type_v2": tensors.of_type,
    "torch.storage._load_from_bytes": tensors.storage_of_bytes,
}
