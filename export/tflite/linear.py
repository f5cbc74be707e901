"""Dense layers and convolutions: every one a CONV_2D, over frames that need not be gathered first,
or over pictures."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from compress.quantization.quantize import GATE_SCALE, TANH_SCALE
from export.tflite.lowering import Layer, Lowering
from export.tflite.model import Array, Value

Part = tuple[str, Array, float]  # name, rows of the weights, scale of the output


def ratio_of(mult: Array | int, shift: int) -> Array:
    """What requant() multiplies by, as a real number."""
    return np.asarray(mult, np.float64) * 2.0 ** (shift - 32)


def linear(b: Lowering, op: g.IntDense) -> None:
    relu = b.graph.tensors[op.output].lo == 0
    x, weight, layer = _source(b, op)
    bias, ratio = op.bias.reshape(-1), ratio_of(op.mult, op.shift).reshape(-1)
    parts = _parts(b, op)
    for (
        part,
        rows,
        scale,
    ) in parts:  # several scales: several tensors, so as many convolutions over the same input
        name = f"{op.output}.{part}"
        b.values[name] = b.step.tensor(name, (*b.frames(op.output)[:3], len(rows)), np.int16, scale)
        b.convolve(x, b.values[name], weight[rows], bias[rows], ratio[rows], layer, relu=False)
    if parts:
        return
    if op.shared == 1:
        b.convolve(x, b.result(op), weight, bias, ratio, layer, relu)
    else:
        shape = (x.shape[0], b.frames(op.output)[1] // x.shape[0], op.shared, len(bias))
        y = b.step.tensor(f"{op.output}.groups", shape, np.int16, b.scale(op.output))
        b.convolve(x, y, weight, bias, ratio, layer, relu)
        b.values[op.output] = b.reshape(y, b.frames(op.output), op.output)


def _parts(b: Lowering, op: g.IntDense) -> list[Part]:
    """Rows that have a scale of their own (see compress/quantization/quantize.py); none where all have the
    output's."""  # noqa: E501
    users, rows, scale = b.users.get(op.output, []), np.arange(op.bias.size), b.scale(op.output)
    first, second = np.array_split(rows, 2)
    if any(isinstance(user, g.IntGlu) for user in users):
        return [("value", first, scale), ("gate", second, GATE_SCALE)]
    if any(isinstance(user, g.IntLstmCell) for user in users):
        into, forget, value, out = np.split(rows, 4)
        return [
            ("gates", np.concatenate([into, forget, out]), GATE_SCALE),
            ("value", value, TANH_SCALE),
        ]
    poses = [user for user in users if isinstance(user, g.IntIntegrate) and user.position_steps]
    return (
        [("position", first, b.scale(poses[0].output)), ("velocity", second, scale)]
        if poses
        else []
    )


def _source(b: Lowering, op: g.IntDense) -> tuple[Value, Array, Layer]:
    """What the convolution looks at, its weights (out, kernel, columns, in), and how it moves."""
    if op.inputs[0] in b.windows:
        return _over_windows(op, *b.windows[op.inputs[0]], b)
    x, weight = b.values[op.inputs[0]], _one_band(op.weight)[:, :, None]
    if op.shared > 1:
        x = b.reshape(
            x, (1, x.shape[1], op.shared, x.shape[3] // op.shared), f"{op.module}.columns"
        )
    return x, weight, Layer(op.module, op.frames_per_output)


def _over_windows(
    op: g.IntDense, x: Value, seen: g.IntUnfold1d | g.IntIm2Col, b: Lowering
) -> tuple[Value, Array, Layer]:
    """The frames of a window are the kernel of a convolution."""
    full = _one_band(op.weight)[:, 0]
    if isinstance(seen, g.IntIm2Col):
        return (
            x,
            full.reshape(len(full), seen.kernel_frames, seen.kernel_columns, -1),
            Layer(op.module, 1, padded=True),
        )
    if op.shared > 1:
        x = b.reshape(
            x, (1, x.shape[1], op.shared, x.shape[3] // op.shared), f"{op.module}.columns"
        )
        return (
            x,
            full.reshape(len(full), seen.frames, 1, -1),
            Layer(op.module, seen.frames_per_output),
        )
    apart = full.reshape(len(full), seen.bands, seen.frames, -1).transpose(0, 2, 1, 3)
    return x, apart.reshape(len(full), seen.frames, 1, -1), Layer(op.module, seen.frames_per_output)


def fits(op: g.Op, seen: g.IntUnfold1d | g.IntIm2Col) -> bool:
    """Whether an operator can look into windows itself."""
    if not isinstance(op, g.IntDense) or op.weight.shape[2] != 1:
        return False
    return (
        op.shared in (1, seen.bands)
        if isinstance(seen, g.IntUnfold1d)
        else op.shared == seen.width * seen.copies
    )


def _one_band(weight: Array) -> Array:
    """(bands, out, kernel, in) -> (bands·out, kernel, bands·in), zeros between bands: CMSIS-NN
    groups no 16-bit convolution."""
    bands, out, kernel, width = weight.shape
    full = np.zeros((bands, out, kernel, bands, width), np.int8)
    for band in range(bands):
        full[band, :, :, band] = weight[band]
    return full.reshape(bands * out, kernel, bands * width)
