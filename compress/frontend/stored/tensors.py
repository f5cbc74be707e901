"""Tensors in a pickle: storages by their ids, and the functions that torch writes around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from compress.frontend.stored.values import Instance, Name, Storage, StoredTensor, strided

NESTED_STEPS = 100  # of a pickle that holds one storage; a pickle inside of it would take more
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "QInt8Storage": torch.qint8,
    "QUInt8Storage": torch.quint8,
    "QInt32Storage": torch.qint32,
    "UntypedStorage": torch.uint8,
}


def dtype_of(storage: Any) -> torch.dtype:
    """What the elements of a storage class are; ValueError for a class that is none."""
    name = storage.name if isinstance(storage, Name) else None
    if name not in _STORAGES:
        raise ValueError(f"a storage of an unknown class, {str(storage)[:60]!r}")
    return _STORAGES[name]


def _dtype(name: Any) -> torch.dtype:
    found = getattr(torch, name.name, None) if isinstance(name, Name) else None
    if not isinstance(found, torch.dtype):
        raise ValueError("a tensor of an unknown type")
    return found


def _storage(value: Any) -> Storage:
    if not isinstance(value, Storage):
        raise ValueError("a tensor without a storage")
    return value


def _dense(
    storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any, dtype: Any = None
) -> StoredTensor:
    """Of any version: what follows the strides are gradients and hooks, then marks of a view."""
    found = _storage(storage)
    of = found.dtype if dtype is None else dtype
    assert of is not None
    made = strided(found, of, offset, shape, stride)
    marks = rest[2] if len(rest) > 2 else None
    if isinstance(marks, dict) and (marks.get("neg") or marks.get("conj")):
        return StoredTensor(
            found, of, made.shape, made.stride, made.offset, "negative or conjugate"
        )
    return made


def _typed(
    storage: Any, offset: Any, shape: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any
) -> StoredTensor:
    return _dense(storage, offset, shape, stride, dtype=_dtype(dtype))


def _quantized(storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> StoredTensor:
    return _as(_dense(storage, offset, shape, stride), "quantized")


def _as(found: StoredTensor, layout: str) -> StoredTensor:
    return StoredTensor(found.storage, found.dtype, found.shape, layout=layout)


def _sparse(layout: Any, parts: Any) -> StoredTensor:
    """(indices, values, shape), or two of indices; only the shape and the type matter."""
    inner = [part for part in parts if isinstance(part, StoredTensor)]
    shapes = [part for part in parts if isinstance(part, list | tuple)]
    if not inner or not shapes or not isinstance(layout, Name):
        raise ValueError("a sparse tensor without its parts")
    shape = tuple(int(n) for n in shapes[0][:64])
    return StoredTensor(inner[-1].storage, inner[-1].dtype, shape, layout=layout.name)


def _meta(dtype: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    """A tensor that never had numbers."""
    return strided(Storage(0, None, None, "meta"), _dtype(dtype), 0, shape, stride)


def _nested(buffer: Any, *_: Any) -> StoredTensor:
    return _as(_tensor(buffer), "nested")


def _tensor(value: Any) -> StoredTensor:
    if not isinstance(value, StoredTensor):
        raise ValueError("a parameter that is no tensor")
    return value


def _from_numpy(value: Any, *_: Any) -> StoredTensor:
    from compress.frontend.stored import arrays

    found = arrays.tensor(value) if isinstance(value, Instance) else None
    if found is None:
        raise ValueError("a tensor of an array of another type")
    return found


def of_type(function: Any, of: Any, arguments: Any, state: Any) -> Any:
    """A tensor of a class of its own, or with attributes: the tensor alone."""
    made = REBUILT.get(function.name) if isinstance(function, Name) else None
    if made is None or not isinstance(arguments, tuple):
        raise ValueError("a tensor of an unknown kind")
    return made(*arguments)


def storage_of_bytes(raw: Any) -> Storage:
    """A storage inside of a plain pickle: a whole file of the old serialization."""
    from compress.frontend.stored import legacy

    found = legacy.of_bytes(raw, NESTED_STEPS)
    if not isinstance(found, Storage):
        raise ValueError("bytes that are no storage")
    return found


REBUILT: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor": _dense,
    "_rebuild_tensor_v2": _dense,
    "_rebuild_tensor_v3": _typed,
    "_rebuild_parameter": lambda data, *_: _tensor(data),
    "_rebuild_parameter_with_state": lambda data, *_: _tensor(data),
    "_rebuild_qtensor": _quantized,
    "_rebuild_sparse_tensor": _sparse,
    "_rebuild_sparse_csr_tensor": _sparse,
    "_rebuild_meta_tensor_no_storage": _meta,
    "_rebuild_nested_tensor": _nested,
    "_rebuild_device_tensor_from_numpy": _from_numpy,
    "_rebuild_device_tensor_from_cpu_tensor": lambda data, *_: _tensor(data),
}
