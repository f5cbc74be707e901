"""Proof that a `.tflite` runs alike on the reference and on the CMSIS-NN kernels of TFLite-Micro,
and that no sum can overflow.

Read from the file alone, whoever wrote it. One rule per operator says which types and quantization
both sets of kernels take; an operator without a rule is refused.
docs/decisions/tflite-written-directly.md says where the rules come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress.reading import text
from compress.reading.words import refuses_in_lines
from export.tflite.contents import Operator, Step, Tensor, subgraphs
from export.tflite.read import MOST_BYTES, TfliteError, parse

NONE, RELU = schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU
Q15 = 2.0**-15
INT32, INT48 = 2**31, 2**47
MOST_JOINED = 10  # kMaxInputNum of CONCATENATION
TABLE_RANGE = 32767 / (
    3 * 4096
)  # largest input scale of the 16-bit LOGISTIC: its multiplier has 15 bits
INT16, REAL = ("int16",), ("float32",)


@refuses_in_lines
def check(path: Path) -> str:
    """One line about a file that is safe; TfliteError names every operator that is not."""
    try:
        content = text.read_bytes(path, MOST_BYTES)
    except text.UnreadableError as error:
        raise TfliteError(f"{path}: {error}") from error
    steps = lint(content, str(path))
    operators = [op for step in steps for op in step.operators]
    most = max((share for op in operators for share in op.most), default=0.0)
    kinds = len({op.name for op in operators})
    return (
        f"{path}: {len(operators)} operators of {kinds} kinds run on the reference and CMSIS-NN"
        f" kernels; the largest 32-bit sum reaches {100 * most:.0f} % of 2³¹"
    )


def lint(content: bytes, name: str) -> list[Step]:
    """The subgraphs of a file without a finding; TfliteError lists all findings."""
    steps, findings = list(subgraphs(parse(content, name), name)), []
    for step in steps:
        known = {id(t) for t in step.inputs}
        for op in step.operators:
            findings += [f"{op.where}: {finding}" for finding in _operator(op, known)]
            known |= {id(t) for t in op.outputs}
        findings += [
            f"{name}: output {t.name} is never computed" for t in step.outputs if id(t) not in known
        ]
    findings += [f"{name}: {finding}" for finding in _state(steps)]
    if findings:
        raise TfliteError("\n  ".join(["refused for TFLite-Micro:", *findings]))
    return steps


def _operator(op: Operator, known: set[int]) -> list[str]:
    if op.name not in RULES:
        return [f"not among the operators that both kernels run: {', '.join(sorted(RULES))}"]
    missing = [t.name for t in op.inputs if t.values is None and id(t) not in known]
    found = [f"input {name} is not computed before" for name in missing]
    found += [finding for t in (*op.inputs, *op.outputs) for finding in _tensor(t)]
    signatures, rule = RULES[op.name]
    if signatures is not None and op.types not in signatures:
        expected = " or ".join(" ".join(s) for s in signatures)
        return [*found, f"expected {expected}, found {' '.join(op.types)}"]
    try:
        return found or rule(op)
    except (
        AttributeError,
        IndexError,
        # a damaged file: options, inputs or scales that the operator has to have are not there
    ) as error:
        return [f"incomplete ({error})"]


def _tensor(t: Tensor) -> list[str]:
    if any(n < 1 for n in t.shape):
        return [f"{t.name} has shape {t.shape}"]
    if t.dtype not in ("int16", "int8"):
        return []
    if (
        not len(t.scales)
        or not np.isfinite(t.scales).all()
        or (t.scales <= 0).any()
        or t.offsets.any()
    ):
        return [f"{t.name}: expected positive scales and zero points of 0"]
    if t.dtype == "int16" and len(t.scales) != 1:
        return [f"{t.name}: 16-bit tensors have one scale, found {len(t.scales)}"]
    return []


# --- sums -----------------------------------------------------------------------------------------


def _left_shift(multiplier: float) -> int:
    """Bits by which QuantizeMultiplier shifts a sum to the left before it multiplies."""
    return max(0, math.frexp(multiplier * (1 + 1e-9))[1])


def _sum32(op: Operator, sums: np.ndarray, multipliers: np.ndarray) -> list[str]:
    """Sums and their shifted values have to fit 32 bits."""
    worst = max(
        (int(s) << _left_shift(float(m)) for s, m in zip(sums, multipliers, strict=True)), default=0
    )
    op.most.append(worst / INT32)
    return [] if worst < INT32 else [f"a 32-bit sum could reach {worst} ≥ 2³¹"]


def _sum64(sums: np.ndarray, multipliers: np.ndarray) -> list[str]:
    """Sums have to fit 48 bits, twice their 16-bit results 32 (CMSIS-NN cuts to 32 bits before it
    halves), shifts 7 bits."""
    if (sums >= INT48).any():
        return [f"a 64-bit sum could reach {int(sums.max())} ≥ 2⁴⁷"]
    if (2 * sums * multipliers >= INT32 - 2).any() or (multipliers >= 2.0**7).any():
        return [f"a rescaled sum could reach {float((2 * sums * multipliers).max()):.3g} ≥ 2³¹"]
    return []


def _activation(op: Operator, least: int = 32768) -> list[str]:
    """NONE or RELU; what it leaves of the output's range."""
    kind = getattr(op.options, "fusedActivationFunction", NONE)
    op.outputs[0].peak = 32767 if kind == RELU else least
    return [] if kind in (NONE, RELU) else ["expected no activation or RELU"]


# --- rules: what both kernels agree on ------------------------------------------------------------


def _conv(op: Operator) -> list[str]:
    x, weight, bias = op.inputs
    y, options = op.outputs[0], op.options
    if weight.values is None or bias.values is None or len(weight.shape) != 4 or len(x.shape) != 4:
        return ["expected constant weights and bias, and four dimensions"]
    if weight.shape[3] != x.shape[3]:
        return [
            f"{x.shape[3]} channels in groups of {weight.shape[3]}: CMSIS-NN groups no 16-bit"
            " convolution"
        ]
    if (
        len(weight.scales) not in (1, weight.shape[0])
        or weight.axis != 0
        or bias.count != weight.shape[0]
    ):
        return ["expected one scale and one bias per output channel"]
    if options.quantizedBiasType != schema.TensorType.INT32:
        return ["expected quantized_bias_type INT32: without it LiteRT reads the bias as 64 bits"]
    rows = np.abs(weight.values.astype(np.int64)).reshape(weight.shape[0], -1).sum(1)
    sums = rows * x.peak + np.abs(bias.values.astype(np.int64).reshape(-1))
    return _activation(op) + _sum32(
        op, sums, np.broadcast_to(x.scale * weight.scales / y.scale, sums.shape)
    )


def _depthwise(op: Operator) -> list[str]:
    x, weight, bias = op.inputs
    if weight.values is None or bias.values is None or len(weight.shape) != 4 or len(x.shape) != 4:
        return ["expected constant weights and bias, and four dimensions"]
    channels = weight.shape[3]
    if channels != x.shape[3] * op.options.depthMultiplier or bias.count != channels:
        return [
            f"{channels} channels of weights and {bias.count} biases do not fit {x.shape[3]}"
            " channels of input"
        ]
    if len(weight.scales) not in (1, channels) or weight.axis != 3:
        return ["expected one scale per channel"]
    sums = np.abs(weight.values.astype(np.float64)).sum((0, 1, 2)) * x.peak + np.abs(
        bias.values.astype(np.float64)
    )
    return _activation(op) + _sum64(
        sums, np.broadcast_to(x.scale * weight.scales / op.outputs[0].scale, sums.shape)
    )


def _batch_matmul(op: Operator) -> list[str]:
    a, b = op.inputs
    if op.options.adjX or not op.options.adjY:
        return [
            "expected adj_x = false and adj_y = true: else the interpreter copies the operand at"
            " every step"
        ]
    if (
        len(a.shape) != 4
        or len(b.shape) != 4
        or a.shape[:2] != b.shape[:2]
        or a.shape[3] != b.shape[3]
    ):
        return [f"shapes {a.shape} and {b.shape} do not fit"]
    rows = [
        (
            np.abs(t.values.astype(np.float64)).sum(-1).max()
            if t.values is not None
            else 32768.0 * t.shape[3]
        )
        for t in (a, b)
    ]
    bound = min(rows[0] * b.peak, rows[1] * a.peak)
    return _sum64(np.array([bound]), np.array([a.scale * b.scale / op.outputs[0].scale]))


def _mul(op: Operator) -> list[str]:
    a, b = op.inputs
    if a.dtype == "float32":
        return _activation(op)
    product = np.array([a.peak * b.peak])
    return _activation(op) + _sum32(
        op, product, np.array([a.scale * b.scale / op.outputs[0].scale])
    )


def _add(op: Operator) -> list[str]:
    a, b = op.inputs
    if a.shape != b.shape and a.dtype == "int16":
        return [f"shapes {a.shape} and {b.shape} differ"]
    if a.dtype == "int16" and op.options.potScaleInt16:
        return ["expected pot_scale_int16 = false: with it LiteRT takes powers of two as scales"]
    if a.dtype == "int16" and 2 * max(a.scale, b.scale) / 2**15 >= op.outputs[0].scale:
        return ["the output's scale is too fine for its inputs"]
    return _activation(op)


def _leaky_relu(op: Operator) -> list[str]:
    x, y = op.inputs[0], op.outputs[0]
    return _sum32(
        op, np.array([x.peak]), np.array([x.scale / y.scale * max(1.0, abs(op.options.alpha))])
    )


def _logistic(op: Operator) -> list[str]:
    x, y = op.inputs[0], op.outputs[0]
    y.peak = 32767
    found = [] if y.scale == Q15 else [f"expected the output scale 2⁻¹⁵, found {y.scale:g}"]
    return found + (
        []
        if x.scale <= TABLE_RANGE
        else [f"the input scale {x.scale:g} is above {TABLE_RANGE:.3f}"]
    )


def _same_scale(op: Operator) -> list[str]:
    tensors = [t for t in (*op.inputs, *op.outputs) if t.dtype == "int16"]
    for t in op.outputs:
        t.peak = max((x.peak for x in op.inputs if x.dtype == "int16"), default=32768)
    same = len({t.scale for t in tensors}) <= 1
    return (
        [] if same else ["expected equal scales: the kernels copy integers and do not look at them"]
    )


def _same_shape_and_scale(op: Operator) -> list[str]:
    a, b = op.inputs
    if a.shape != b.shape and a.dtype == "int16":
        return [f"shapes {a.shape} and {b.shape} differ"]
    return _same_scale(op)


def _gather(op: Operator) -> list[str]:
    """Single values of a table, or known places of a tensor."""
    table, places = op.inputs
    return [] if table.values is not None or places.values is not None else ["expected constants"]


def _reshape(op: Operator) -> list[str]:
    same = op.inputs[0].count == op.outputs[0].count
    return _same_scale(op) + (
        [] if same else [f"{op.inputs[0].shape} does not fit {op.outputs[0].shape}"]
    )


def _concatenation(op: Operator) -> list[str]:
    few = len(op.inputs) <= MOST_JOINED
    return _same_scale(op) + (
        [] if few else [f"{len(op.inputs)} inputs; TFLite-Micro joins {MOST_JOINED}"]
    )


def _constant(op: Operator) -> list[str]:
    """Values move, and where they go is known."""
    given = [t.values is not None for t in op.inputs[1:]]
    return _same_scale(op) + ([] if all(given) else ["expected constant positions"])


def _quantize(op: Operator) -> list[str]:
    x, y = op.inputs[0], op.outputs[0]
    if x.dtype == "float32":
        return []
    return _sum32(op, np.array([x.peak]), np.array([x.scale / y.scale]))


def _mean(op: Operator) -> list[str]:
    return [] if op.inputs[1].values is not None else ["expected constant axes"]


def _handle(op: Operator) -> list[str]:
    named = op.options is not None and op.options.sharedName and op.options.container is not None
    return [] if named else ["expected a name and a container: TFLite-Micro compares both"]


def _anything(op: Operator) -> list[str]:
    return []


Rule = tuple[
    Sequence[tuple[str, ...]] | None, Callable[[Operator], list[str]]
]  # types of inputs, then outputs; None: see the rule
RULES: dict[str, Rule] = {
    "CONV_2D": ([("int16", "int8", "int32", "int16")], _conv),
    "DEPTHWISE_CONV_2D": ([("int16", "int8", "int64", "int16")], _depthwise),
    "BATCH_MATMUL": ([INT16 * 3], _batch_matmul),
    "MUL": ([INT16 * 3, REAL * 3], _mul),
    "ADD": ([INT16 * 3, REAL * 3], _add),
    "SUB": ([INT16 * 3, REAL * 3], _add),
    "DIV": ([REAL * 3], _activation),
    "MINIMUM": ([INT16 * 3, REAL * 3], _same_shape_and_scale),
    "MAXIMUM": ([INT16 * 3], _same_shape_and_scale),
    "SUM": ([("float32", "int32", "float32")], _mean),
    "REDUCE_MAX": ([("float32", "int32", "float32")], _mean),
    "CAST": (
        [("int16", "float32"), ("float32", "int16"), ("float32", "int32")],
        _anything,
    ),
    "GATHER": ([("float32", "int32", "float32")], _gather),
    "TRANSPOSE": ([("int16", "int32", "int16")], _constant),
    "LOGISTIC": ([INT16 * 2], _logistic),
    "TANH": ([INT16 * 2], _logistic),
    "LEAKY_RELU": ([INT16 * 2], _leaky_relu),
    "FLOOR": ([REAL * 2], _anything),
    "STRIDED_SLICE": ([("int16", "int32", "int32", "int32", "int16")], _constant),
    "RESIZE_NEAREST_NEIGHBOR": ([("int16", "int32", "int16")], _constant),
    "MEAN": ([("float32", "int32", "float32")], _mean),
    "RSQRT": ([REAL * 2], _anything),
    "LOG_SOFTMAX": ([REAL * 2], _anything),
    "QUANTIZE": ([("float32", "int16"), INT16 * 2], _quantize),
    "DEQUANTIZE": ([("int16", "float32")], _anything),
    "RESHAPE": ([INT16 * 2, REAL * 2], _reshape),
    "MAX_POOL_2D": ([INT16 * 2], _same_scale),
    "SPLIT": (None, _same_scale),
    "CONCATENATION": (None, _concatenation),
    "VAR_HANDLE": ([("resource",)], _handle),
    "READ_VARIABLE": ([("resource", "int16"), ("resource", "float32")], _anything),
    "ASSIGN_VARIABLE": ([("resource", "int16"), ("resource", "float32")], _anything),
    "CALL_ONCE": ([()], _anything),
}


def _state(steps: list[Step]) -> list[str]:
    """Every variable is assigned zeros once, read, and assigned again, with one shape and scale
    throughout."""
    forms: dict[str, set[tuple[tuple[int, ...], float]]] = {}
    for step in steps:
        names = {
            id(op.outputs[0]): getattr(op.options, "sharedName", None)
            for op in step.operators
            if op.name == "VAR_HANDLE" and op.outputs
        }
        for op in step.operators:
            if op.name in ("READ_VARIABLE", "ASSIGN_VARIABLE") and op.inputs:
                value = (op.outputs or op.inputs)[-1]
                forms.setdefault(str(names.get(id(op.inputs[0]))), set()).add(
                    (value.shape, value.scale)
                )
    found = [
        f"variable {name} is read and assigned with different shapes or scales"
        for name, form in forms.items()
        if len(form) > 1
    ]
    calls = [
        op.options.initSubgraphIndex
        for step in steps
        for op in step.operators
        if op.name == "CALL_ONCE" and op.options
    ]
    found += [
        f"CALL_ONCE runs subgraph {i} of {len(steps)}" for i in calls if not 0 < i < len(steps)
    ]
    return found + (
        ["variables without CALL_ONCE: LiteRT refuses to read them"] if forms and not calls else []
    )
