#include "../../nn/nn_window_s16.c"
