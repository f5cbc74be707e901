"""The integer graph as an STM32 project around TFLite-Micro's interpreter; it carries none of its
sources (docs/spec/tflm.md)."""
