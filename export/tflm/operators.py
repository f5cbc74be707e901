"""The operators of a `.tflite` as TFLite-Micro's resolver adds them: exactly those, 16-bit kernels
alone where it can."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from compress.errors import GraphError
from export.tflite.model import File

OP, INT16 = schema.BuiltinOperator, schema.TensorType.INT16
METHODS = {  # operator -> method of MicroMutableOpResolver
    OP.ADD: "AddAdd",
    OP.BATCH_MATMUL: "AddBatchMatMul",
    OP.CAST: "AddCast",
    OP.CONCATENATION: "AddConcatenation",
    OP.CONV_2D: "AddConv2D",
    OP.DEPTHWISE_CONV_2D: "AddDepthwiseConv2D",
    OP.DEQUANTIZE: "AddDequantize",
    OP.DIV: "AddDiv",
    OP.FLOOR: "AddFloor",
    OP.FULLY_CONNECTED: "AddFullyConnected",
    OP.GATHER: "AddGather",
    OP.LEAKY_RELU: "AddLeakyRelu",
    OP.LOG_SOFTMAX: "AddLogSoftmax",
    OP.LOGISTIC: "AddLogistic",
    OP.MAXIMUM: "AddMaximum",
    OP.MAX_POOL_2D: "AddMaxPool2D",
    OP.MEAN: "AddMean",
    OP.MINIMUM: "AddMinimum",
    OP.MUL: "AddMul",
    OP.PACK: "AddPack",
    OP.QUANTIZE: "AddQuantize",
    OP.REDUCE_MAX: "AddReduceMax",
    OP.RELU: "AddRelu",
    OP.RESHAPE: "AddReshape",
    OP.RESIZE_NEAREST_NEIGHBOR: "AddResizeNearestNeighbor",
    OP.RSQRT: "AddRsqrt",
    OP.SLICE: "AddSlice",
    OP.SPLIT: "AddSplit",
    OP.SPLIT_V: "AddSplitV",
    OP.STRIDED_SLICE: "AddStridedSlice",
    OP.SUB: "AddSub",
    OP.SUM: "AddSum",
    OP.TANH: "AddTanh",
    OP.TRANSPOSE: "AddTranspose",
}
# registrations with the 16-bit kernels alone: a resolver that adds them links no other
ONLY_INT16 = {
    OP.ADD: "tflite::Register_ADD_INT16()",
    OP.BATCH_MATMUL: "tflite::Register_BATCH_MATMUL_INT16()",
    OP.CONV_2D: "tflite::Register_CONV_2D_INT16()",
    OP.DEPTHWISE_CONV_2D: "tflite::Register_DEPTHWISE_CONV_2D_INT16()",
    OP.FULLY_CONNECTED: "tflite::Register_FULLY_CONNECTED_INT16()",
}
HEADERS = {
    OP.ADD: "tensorflow/lite/micro/kernels/add.h",
    OP.BATCH_MATMUL: "tensorflow/lite/micro/kernels/batch_matmul.h",
    OP.CONV_2D: "tensorflow/lite/micro/kernels/conv.h",
    OP.DEPTHWISE_CONV_2D: "tensorflow/lite/micro/kernels/depthwise_conv.h",
    OP.FULLY_CONNECTED: "tensorflow/lite/micro/kernels/fully_connected.h",
}
NAMES = {code: name for name, code in vars(OP).items() if isinstance(code, int)}


def counts(file: File) -> dict[int, int]:
    """Builtin operator -> how often it is used, in the order of their names."""
    found: dict[int, int] = {}
    for op in file.step.content.operators:
        code = file.model.operatorCodes[op.opcodeIndex].builtinCode
        found[code] = found.get(code, 0) + 1
    return dict(sorted(found.items(), key=lambda item: NAMES[item[0]]))


def additions(file: File) -> list[str]:
    """One call per operator, as "AddConv2D(tflite::Register_CONV_2D_INT16())"; GraphError names an
    unknown one."""
    unknown = [NAMES[code] for code in counts(file) if code not in METHODS]
    if unknown:
        raise GraphError(
            f"{', '.join(unknown)}: not among the operators FORMAT=tflm knows"
            " (export/tflm/operators.py)"
        )
    return [
        f"{METHODS[code]}({ONLY_INT16.get(code, '') if _all_int16(file, code) else ''})"
        for code in counts(file)
    ]


def headers(file: File) -> list[str]:
    """What the calls of `additions` need besides the resolver."""
    return [HEADERS[code] for code in counts(file) if code in HEADERS and _all_int16(file, code)]


def _all_int16(file: File, code: int) -> bool:
    """Whether every operator of this kind reads and writes 16-bit activations."""
    step, codes = file.step.content, file.model.operatorCodes
    same = [op for op in step.operators if codes[op.opcodeIndex].builtinCode == code]
    return all(step.tensors[i].type == INT16 for op in same for i in (op.inputs[0], op.outputs[0]))
