#include "clock.h"
#include "counter.h"
#include "registers.h"
#include "select.h"

#define MSI_HZ 4000000u /* out of reset */
#define HSI_HZ 16000000u
#define CORE_HZ 120000000u

/* From here on 921600 baud can be had, whatever happens to the PLL. */
static bool hsi_ready(void)
{
    RCC_CR |= RCC_CR_HSION;
    return wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY) &&
           clock_runs_on(RCC_CFGR_SW_HSI);
}

/* RM0432 3.3.3: 5 wait states for 100 to 120 MHz in range 1 boost; the new value must read back.
 * Prefetch and both caches on (ART). */
static bool flash_ready(void)
{
    FLASH_ACR = 5u | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY, 5u);
}

/* RM0432 6.4.4: HSI / 2 = 8 MHz; VCO = 8 MHz * 30 = 240 MHz, core = VCO / 2 by output R; P and Q
 * stay off. */
static bool pll_ready(void)
{
    /* PLLR = 0: VCO / 2 */
    RCC_PLLCFGR = RCC_PLLCFGR_HSI | (2u - 1u) << 4 | 30u << 8 | RCC_PLLCFGR_PLLREN;
    RCC_CR |= RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

/* RM0432 chapter 5, dynamic voltage scaling: out of reset the regulator is in range 1, without
 * boost. Boost comes on while AHB is divided by two, and AHB goes to full speed no sooner than 1 us
 * after the switch: 256 turns are at least 8 us. */
static void switch_to_pll(void)
{
    RCC_CFGR |= RCC_CFGR_HPRE_DIV2;
    PWR_CR5 &= ~PWR_CR5_R1MODE;
    if (flash_ready() && pll_ready() && clock_runs_on(RCC_CFGR_SW_PLL))
        for (volatile uint32_t turn = 0; turn < 256u; turn++) {
        }
    RCC_CFGR &= ~RCC_CFGR_HPRE_DIV2;
}

/* By what the registers say. LPUART1 is on APB1. */
static clock_state running(void)
{
    const uint32_t source = clock_selected();
    const uint32_t system_hz =
        source == RCC_CFGR_SW_PLL ? CORE_HZ : (source == RCC_CFGR_SW_HSI ? HSI_HZ : MSI_HZ);
    const uint32_t core_hz = ahb_divided(system_hz, RCC_CFGR >> 4);
    return (clock_state){.core_hz = core_hz, .line_hz = apb_divided(core_hz, RCC_CFGR >> 8)};
}

clock_state clock_start(void)
{
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWR;
    (void)RCC_APB1ENR1; /* until the clock runs */
    clock_as_after_reset();
    RCC_CFGR = 0;
    if (hsi_ready())
        switch_to_pll();
    counter_start();
    const clock_state clock = running();
    counter_pace(clock.core_hz);
    return clock;
}
