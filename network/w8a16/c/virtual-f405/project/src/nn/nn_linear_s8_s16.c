#include "../../nn/nn_linear_s8_s16.c"
