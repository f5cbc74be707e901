/* Registers of the core itself, alike on every Cortex-M4, M7, M33 and M55. ARM DDI 0403 is the
 * Armv7-M architecture; Armv8-M and Armv8.1-M (ARM DDI 0553, chapter D1) have the same registers at
 * the same addresses. The Cortex-M7's caches and the lock of its trace unit are in ARM DDI 0489
 * (r1p2). Only what is used is declared. */
#ifndef CORE_H
#define CORE_H
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define REGISTER_AGAIN(at) (*(at)) /* one more reading, by a register's address */

/* SysTick, ARM DDI 0403 B3.3 */
#define SYSTICK_CTRL REGISTER(0xE000E010u)
#define SYSTICK_LOAD REGISTER(0xE000E014u)
#define SYSTICK_VAL REGISTER(0xE000E018u)
#define SYSTICK_ENABLE 1u
#define SYSTICK_TICKINT 2u
#define SYSTICK_CORE_CLOCK 4u

/* Interrupt controller and system control, ARM DDI 0403 B3.4 and B3.2 */
#define NVIC_ISER(irq) REGISTER(0xE000E100u + 4u * ((irq) / 32u))
#define NVIC_IPR(irq) (*(volatile uint8_t *)(0xE000E400u + (irq)))
#define SCB_ICSR REGISTER(0xE000ED04u)
#define SCB_ICSR_PENDSTSET (1u << 26)
#define SCB_ICSR_VECTACTIVE 0x1FFu
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define SCB_AIRCR_RESET 0x05FA0004u
#define SCB_CCR REGISTER(0xE000ED14u)
#define SCB_CCR_DC (1u << 16)
#define SCB_CCR_IC (1u << 17)
#define SCB_SHPR3 REGISTER(0xE000ED20u)

/* What a fault was, ARM DDI 0403 B3.2.15 to B3.2.18 */
#define SCB_CFSR REGISTER(0xE000ED28u)
#define SCB_CFSR_MMARVALID (1u << 7)
#define SCB_CFSR_BFARVALID (1u << 15)
#define SCB_HFSR REGISTER(0xE000ED2Cu)
#define SCB_MMFAR REGISTER(0xE000ED34u)
#define SCB_BFAR REGISTER(0xE000ED38u)

/* Coprocessors 10 and 11 are floating point and, on Armv8.1-M, vectors: ARM DDI 0403 B3.2.20. Where
 * there are neither, the bits read as 0. */
#define SCB_CPACR REGISTER(0xE000ED88u)
#define SCB_CPACR_CP10_CP11 (0xFu << 20)

/* Caches, ARM DDI 0403 B4.8 and B2.2 */
#define SCB_CCSIDR REGISTER(0xE000ED80u)
#define SCB_CSSELR REGISTER(0xE000ED84u)
#define SCB_ICIALLU REGISTER(0xE000EF50u)
#define SCB_DCISW REGISTER(0xE000EF60u)
#define SCB_DCCMVAC REGISTER(0xE000EF68u) /* the line at an address, into memory */

/* Memory protection, ARM DDI 0403 B3.5 */
#define MPU_CTRL REGISTER(0xE000ED94u)
#define MPU_RNR REGISTER(0xE000ED98u)
#define MPU_RBAR REGISTER(0xE000ED9Cu)
#define MPU_RASR REGISTER(0xE000EDA0u)
#define MPU_CTRL_ENABLE (1u << 0)
#define MPU_CTRL_PRIVDEFENA (1u << 2) /* elsewhere the memory map's own attributes */
#define MPU_RASR_ENABLE (1u << 0)
#define MPU_RASR_SIZE(bits) (((bits) - 1u) << 1) /* 2^bits bytes, at a multiple of them */
#define MPU_RASR_C (1u << 17)                    /* normal memory, write-through */
#define MPU_RASR_READ_ONLY (6u << 24)            /* no access without */
#define MPU_RASR_XN (1u << 28)

/* Cycle counter, ARM DDI 0403 C1.6 and C1.8; the lock is CoreSight's: a Cortex-M7 ignores writes to
 * the DWT until it is opened, a Cortex-M4 has none */
#define DEMCR REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_CTRL_CYCCNTENA 1u
#define DWT_LAR REGISTER(0xE0001FB0u)
#define DWT_LAR_OPEN 0xC5ACCE55u

#endif
