/* What nn_integrate_s16 and nn_integral_s16 share. */
#ifndef NN_INTEGRATE_H
#define NN_INTEGRATE_H

#include "nn.h"
#include "nn_intrinsics.h"

/* The value where a sum within +-2^30 stands */
static inline int16_t nn_integral(int32_t initial, int32_t sum, uint32_t fraction)
{
    return (int16_t)nn_ssat16(initial + ((sum + ((1 << fraction) >> 1)) >> fraction));
}

#endif
