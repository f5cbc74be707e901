#include "../../nn/nn_copy_s16.c"
