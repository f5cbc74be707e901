#include <string.h>

#include "nn.h"

void nn_start_up(uint32_t *steps, uint32_t until, void *state, uint32_t bytes)
{
    if (*steps >= until)
        return;
    ++*steps;
    memset(state, 0, bytes);
}
