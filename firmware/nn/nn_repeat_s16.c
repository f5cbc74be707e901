#include "nn.h"
#include "nn_intrinsics.h"

void nn_repeat_s16(const int16_t *x, int16_t *y, uint32_t frames, uint32_t width, uint32_t n,
                   uint32_t factor, uint32_t copies)
{
    for (; frames; frames--, x += width * n)
        for (uint32_t i = factor; i; i--) {
            const int16_t *column = x;
            for (uint32_t w = width; w; w--, column += n)
                for (uint32_t k = copies; k; k--, y += n)
                    nn_copy(y, column, n);
        }
}
