#include "clock.h"
#include "counter.h"
#include "registers.h"
#include "select.h"

#ifdef PORT_CRYSTAL_HZ
#define PLL_SOURCE RCC_PLLCFGR_HSE
#define PLL_INPUT_HZ PORT_CRYSTAL_HZ
#else
#define PLL_SOURCE 0u
#define PLL_INPUT_HZ 16000000u /* HSI */
#endif
_Static_assert(PLL_INPUT_HZ % 2000000u == 0,
               "the PLL's divided input is 2 MHz (RM0090 7.3.2 recommends it against jitter)");

#define HSI_HZ 16000000u
#define CORE_HZ 168000000u

/* RM0090 3.5.1: 5 wait states at 168 MHz and 2.7 to 3.6 V, before the clock is raised; the new
 * value must read back. */
static bool flash_ready(void)
{
    const uint32_t wanted = 5u | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    FLASH_ACR = wanted;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY, 5u);
}

static bool source_ready(void)
{
#ifdef PORT_CRYSTAL_HZ
    RCC_CR |= RCC_CR_HSEON;
    return wait_for(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
#else
    return true; /* the core runs on HSI after reset */
#endif
}

/* RM0090 7.3.2: VCO = 2 MHz * 168 = 336 MHz, core = VCO / 2, the 48 MHz domain = VCO / 7; APB1 42
 * MHz, APB2 84 MHz. */
static bool pll_ready(void)
{
    RCC_APB1ENR |= RCC_APB1ENR_PWR;
    (void)RCC_APB1ENR; /* until the clock runs */
    PWR_CR |= PWR_CR_VOS;
    /* PLLP = 0: VCO / 2 */
    RCC_PLLCFGR = (PLL_INPUT_HZ / 2000000u) | 168u << 6 | PLL_SOURCE | 7u << 24;
    RCC_CR |= RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

/* HSI is not divided: of 8 MHz no USART makes 921600 baud. */
static void switch_to_pll(void)
{
    RCC_CFGR |= RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2;
    if (!clock_runs_on(RCC_CFGR_SW_PLL))
        RCC_CFGR &= ~(RCC_CFGR_PPRE1 | RCC_CFGR_PPRE2);
}

/* By what the registers say. USART1 is on APB2. */
static clock_state running(void)
{
    const uint32_t system_hz = clock_selected() == RCC_CFGR_SW_PLL ? CORE_HZ : HSI_HZ;
    const uint32_t core_hz = ahb_divided(system_hz, RCC_CFGR >> 4);
    return (clock_state){.core_hz = core_hz, .line_hz = apb_divided(core_hz, RCC_CFGR >> 13)};
}

/* From HSI, or from a crystal with -DPORT_CRYSTAL_HZ=8000000. */
clock_state clock_start(void)
{
    if (!counter_start()) /* QEMU, which does not model the clock tree either */
        return (clock_state){.core_hz = CORE_HZ, .line_hz = CORE_HZ / 2u, .emulated = true};
    clock_as_after_reset();
    RCC_CFGR = 0;
    if (flash_ready() && source_ready() && pll_ready())
        switch_to_pll();
    const clock_state clock = running();
    counter_pace(clock.core_hz);
    return clock;
}
