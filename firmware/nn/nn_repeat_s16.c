#include "nn.h"
#include "nn_intrinsics.h"

void nn_repeat_s16(const int16_t *x, int16_t *y, uint32_t frames, uint32_t width, uint32_t n, uint32_t factor, uint32_t copies)
{
    for (const uint32_t features = width * copies * n; frames; frames--) {
        const int16_t *first = y;
        for (uint32_t w = width; w; w--, x += n)
            for (uint32_t k = copies; k; k--, y += n)
                nn_copy(y, x, n);
        for (uint32_t i = factor - 1; i; i--, y += features)
            nn_copy(y, first, features);
    }
}
