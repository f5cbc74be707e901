#include "clock.h"
#include "counter.h"
#include "mpu.h"
#include "octospi.h"
#include "registers.h"
#include "select.h"

#define HSI_HZ 64000000u
#define CORE_HZ 520000000u
#define PLL1_INPUT_HZ 8000000u /* HSI / 8 */

/* RM0468, PWR, supply configuration: the first write after power-on chooses it and makes the
 * voltage scale changeable. This board is wired for the chip's step-down converter alone (direct
 * SMPS supply). Then scale 0, which 520 MHz need. */
static bool supply_ready(void)
{
    PWR_CR3 =
        (PWR_CR3 & ~(PWR_CR3_BYPASS | PWR_CR3_LDOEN | PWR_CR3_SMPSEXTHP | PWR_CR3_SMPSLEVEL)) |
        PWR_CR3_SMPSEN;
    if (!wait_for(&PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY))
        return false;
    PWR_D3CR &= ~PWR_D3CR_VOS;
    (void)PWR_D3CR; /* the ready bit falls with the write */
    return wait_for(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
}

/* RM0468, FLASH, wait states by the AXI clock: 3 at up to 275 MHz at scale 0; the new value must
 * read back. */
static bool flash_ready(void)
{
    FLASH_ACR = 3u | FLASH_ACR_WRHIGHFREQ_3;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY, 3u);
}

/* RM0468, RCC, clock distribution: AXI and AHB at half the core's clock (275 MHz at most), every
 * APB at half of that. */
static void set_dividers(void)
{
    RCC_D1CFGR = RCC_D1CFGR_HPRE_DIV2 | RCC_D1CFGR_D1PPRE_DIV2;
    RCC_D2CFGR = RCC_D2CFGR_D2PPRE1_DIV2 | RCC_D2CFGR_D2PPRE2_DIV2;
    RCC_D3CFGR = RCC_D3CFGR_D3PPRE_DIV2;
}

/* HSI goes undivided, as it does out of reset: 921600 baud of 64 MHz are 0.6 % off, of 16 MHz
 * 2.1. */
static void clear_dividers(void)
{
    RCC_D1CFGR = 0;
    RCC_D2CFGR = 0;
    RCC_D3CFGR = 0;
}

/* VCO = core = 8 MHz * 65, within the wide VCO's 192 to 836 MHz; this family's PLL1 may go on
 * undivided (P = 1). Q and R are not used. */
static bool pll_ready(void)
{
    RCC_PLLCKSELR = (RCC_PLLCKSELR & ~(RCC_PLLCKSELR_PLLSRC | RCC_PLLCKSELR_DIVM1)) |
                    (HSI_HZ / PLL1_INPUT_HZ) << 4;
    RCC_PLLCFGR =
        (RCC_PLLCFGR & ~RCC_PLLCFGR_PLL1) | RCC_PLLCFGR_PLL1RGE_8MHZ | RCC_PLLCFGR_DIVP1EN;
    /* P - 1 is 0 */
    RCC_PLL1DIVR = (CORE_HZ / PLL1_INPUT_HZ - 1u) | (8u - 1u) << 16 | (8u - 1u) << 24;
    RCC_CR |= RCC_CR_PLL1ON;
    return wait_for(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

/* By what the registers say. USART3 is on APB1. */
static clock_state running(void)
{
    const uint32_t system_hz = clock_selected() == RCC_CFGR_SW_PLL1 ? CORE_HZ : HSI_HZ;
    const uint32_t core_hz = ahb_divided(system_hz, RCC_D1CFGR >> 8);
    const uint32_t ahb_hz = ahb_divided(core_hz, RCC_D1CFGR);
    return (clock_state){.core_hz = core_hz, .line_hz = apb_divided(ahb_hz, RCC_D2CFGR >> 4)};
}

/* Of external memory the flash alone is opened, for reading, write-through in the cache. */
static void protect_memory(void)
{
    mpu_close_external();
    mpu_region(2u, OCTOSPI_MAPPED,
               MPU_RASR_XN | MPU_RASR_READ_ONLY | MPU_RASR_C | MPU_RASR_SIZE(26u));
    mpu_start();
}

/* ARM DDI 0403 B2.2: the caches come out of reset with what was in them, so every line is declared
 * empty before they are used. */
static void start_caches(void)
{
    __asm volatile("dsb\n\tisb" ::: "memory");
    SCB_ICIALLU = 0;
    SCB_CSSELR = 0; /* data, level 1 */
    __asm volatile("dsb" ::: "memory");
    const uint32_t sets = (SCB_CCSIDR >> 13 & 0x7FFFu) + 1u, ways = (SCB_CCSIDR >> 3 & 0x3FFu) + 1u;
    for (uint32_t set = 0; set < sets; set++)
        for (uint32_t way = 0; way < ways; way++)
            SCB_DCISW = way << 30 | set << 5; /* four ways, lines of 32 bytes */
    __asm volatile("dsb" ::: "memory");
    SCB_CCR |= SCB_CCR_IC | SCB_CCR_DC;
    __asm volatile("dsb\n\tisb" ::: "memory");
}

/* 520 MHz; 64, HSI's, when supply or PLL did not start. The external flash comes after the core's
 * clock and before the caches. */
clock_state clock_start(void)
{
    clock_as_after_reset();
    const bool supplied = supply_ready() && flash_ready();
    set_dividers();
    if (!supplied || !pll_ready() || !clock_runs_on(RCC_CFGR_SW_PLL1))
        clear_dividers();
    clock_state clock = running();
    protect_memory();
    clock.memory = octospi_start();
    start_caches();
    counter_start();
    counter_pace(clock.core_hz);
    return clock;
}
