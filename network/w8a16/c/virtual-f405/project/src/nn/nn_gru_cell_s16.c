#include "../../nn/nn_gru_cell_s16.c"
