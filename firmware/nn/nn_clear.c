#include <string.h>

#include "nn.h"

void nn_clear(uint32_t *state, uint32_t words)
{
    memset(state, 0, words * sizeof *state);
}
