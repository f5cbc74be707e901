/* What nn_integrate_s16 and nn_pose_s16 share. */
#ifndef NN_INTEGRATE_H
#define NN_INTEGRATE_H

#include "nn.h"
#include "nn_intrinsics.h"

/* The pose where the sum stands */
static inline int16_t nn_pose(int32_t initial, int32_t sum, uint32_t fraction)
{
    return (int16_t)nn_ssat16(initial + ((sum + ((1 << fraction) >> 1)) >> fraction));
}

#endif
