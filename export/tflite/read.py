"""Reading a `.tflite` back: what is in it, and a clear error for what is none."""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from compress.errors import TendonError
from compress.reading.words import one_line
from export.tflite.model import FILE_IDENTIFIER

MOST_BYTES = 1 << 28
NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}


class TfliteError(TendonError):
    """A `.tflite` cannot be read, or holds what TFLite-Micro cannot run."""


def read(path: Path) -> schema.ModelT:
    """The model in a file; TfliteError when it is missing, truncated, or something else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TfliteError(
            f"{path}: cannot be read: {error.strerror or error}; run `make export FORMAT=tflite`"
        ) from error
    return parse(content, str(path))


def parse(content: bytes, name: str) -> schema.ModelT:
    """The model in these bytes; its indices are in range, so that a reader need not look."""
    if len(content) < 8 or content[4:8] != FILE_IDENTIFIER or len(content) > MOST_BYTES:
        raise TfliteError(
            f"{name}: expected a TFLite model ({FILE_IDENTIFIER.decode()} at byte 4), found another"
            " file"
        )
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        _check_indices(model)
    except TfliteError:
        raise
    # the generated reader trusts its offsets: a damaged file makes it raise whatever comes
    except Exception as error:
        raise TfliteError(
            f"{name}: damaged TFLite model ({type(error).__name__}: {one_line(error)}); export it"
            " again"
        ) from error
    return model


def _check_indices(model: schema.ModelT) -> None:
    """ValueError for a reference to something that is not there."""
    _within(model.subgraphs, 1, "subgraphs")
    for subgraph in model.subgraphs:
        tensors = subgraph.tensors if subgraph.tensors is not None else []
        for tensor in tensors:
            _index(tensor.buffer, len(model.buffers), "buffer")
        used = [
            i
            for op in listed(subgraph.operators)
            for i in [*listed(op.inputs), *listed(op.outputs)]
            if i != -1
        ]
        for i in [*used, *listed(subgraph.inputs), *listed(subgraph.outputs)]:
            _index(int(i), len(tensors), "tensor")
        for op in listed(subgraph.operators):
            _index(op.opcodeIndex, len(model.operatorCodes), "operator code")


def listed(values: object) -> list:
    return [] if values is None else list(values)  # type: ignore[call-overload]


def _within(values: list | None, least: int, what: str) -> None:
    if values is None or len(values) < least:
        raise ValueError(f"expected at least {least} {what}")


def _index(index: int, count: int, what: str) -> None:
    if not 0 <= index < count:
        raise ValueError(f"{what} {index} of {count}")


def code(model: schema.ModelT, op: schema.OperatorT) -> int:
    """The builtin operator of an operator; old files keep it in the 8-bit field."""
    entry = model.operatorCodes[op.opcodeIndex]
    return int(max(entry.builtinCode, entry.deprecatedBuiltinCode))


def operators(path: Path) -> list[str]:
    """Names of the operators a resolver needs, each once, in the order of first use, those that set
    state to zero included."""
    model = read(path)
    used = [code(model, op) for subgraph in model.subgraphs for op in listed(subgraph.operators)]
    return list(dict.fromkeys(NAMES.get(c, f"operator {c}") for c in used))


def notes(path: Path) -> dict[str, str]:
    """What Tendon wrote into the file's metadata: model, graph (its hash), generator, and for each
    extra input of the graph initial_<name> (which input of the step it is)."""
    return notes_of(read(path))


def notes_of(model: schema.ModelT) -> dict[str, str]:
    """The same of a model in memory."""
    found = {}
    for entry in listed(model.metadata):
        name = entry.name.decode(errors="replace") if entry.name else ""
        if name.startswith("tendon.") and 0 <= entry.buffer < len(model.buffers):
            data = model.buffers[entry.buffer].data
            found[name.removeprefix("tendon.")] = bytes([] if data is None else data).decode(
                errors="replace"
            )
    return found
