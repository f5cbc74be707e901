#include <string.h>

#include "nn.h"

void nn_start_up(uint32_t *steps, uint32_t until, uint32_t *state, uint32_t words)
{
    if (*steps >= until)
        return;
    ++*steps;
    memset(state, 0, words * sizeof *state);
}
