/* Memory protection of a Cortex-M7, ARM DDI 0403 B3.5. The core reads ahead of normal memory, also
 * where none answers, and by the architecture's map external memory is normal: it is closed, and
 * what a board has of it is opened. The higher number counts where regions overlap. */
#ifndef MPU_H
#define MPU_H
#include "registers.h"

static inline void mpu_region(uint32_t number, uint32_t begin, uint32_t attributes)
{
    MPU_RNR = number;
    MPU_RBAR = begin;
    MPU_RASR = attributes | MPU_RASR_ENABLE;
}

/* Regions 0 and 1: 0x60000000 to 0x9FFFFFFF. What follows is device memory, which nobody
 * reads ahead of. */
static inline void mpu_close_external(void)
{
    mpu_region(0u, 0x60000000u, MPU_RASR_XN | MPU_RASR_SIZE(29u));
    mpu_region(1u, 0x80000000u, MPU_RASR_XN | MPU_RASR_SIZE(29u));
}

static inline void mpu_start(void)
{
    MPU_CTRL = MPU_CTRL_PRIVDEFENA | MPU_CTRL_ENABLE;
    __asm volatile("dsb\n\tisb" ::: "memory");
}
#endif
