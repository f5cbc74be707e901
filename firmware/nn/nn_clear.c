#include <string.h>

#include "nn.h"

void nn_clear(void *state, uint32_t bytes)
{
    memset(state, 0, bytes);
}
