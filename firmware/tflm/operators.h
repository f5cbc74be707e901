/* The kernels of TensorFlow Lite Micro that a model needs; main.cc lists exactly those of its
 * file. */
#ifndef OPERATORS_H
#define OPERATORS_H
#include "tensorflow/lite/micro/micro_op_resolver.h"

/* Complete and alive for ever, or null when one of the operators could not be added. */
const tflite::MicroOpResolver *model_operators();
#endif
