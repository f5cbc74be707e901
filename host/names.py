"""Names that a user chooses engines and decoders by, without what they stand for."""

from __future__ import annotations

FLOAT = ("torch", "graph", "onnx")
INTERPRETERS = ("litert", "tflm")
LOCAL = (*FLOAT, "integer", "native", "onnx-qdq", *INTERPRETERS)  # engines that need no board
LAYERED = ("graph", "integer", "native")  # whose layers can be seen one by one
DECODERS = ("greedy", "beam", "beam+lm")
