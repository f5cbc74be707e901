#include "clock.h"
#include "counter.h"
#include "registers.h"
#include "select.h"

#define HSI_HZ 16000000u
#define CORE_HZ 180000000u

/* RM0390 6.3.2: HSI / 8 = 2 MHz, which is recommended against jitter; VCO = 2 MHz * 180 = 360 MHz,
 * core = VCO / 2. The outputs Q (VCO / 8) and R (VCO / 2) are not used. The scale of the voltage is
 * chosen while the PLL is off (5.4.1). */
static void start_pll(void)
{
    RCC_APB1ENR |= RCC_APB1ENR_PWR;
    (void)RCC_APB1ENR; /* until the clock runs */
    PWR_CR |= PWR_CR_VOS_SCALE_1;
    RCC_PLLCFGR = 8u | 180u << 6 | 8u << 24 | 2u << 28; /* PLLP = 0: VCO / 2; PLLSRC = 0: HSI */
    RCC_CR |= RCC_CR_PLLON;
}

/* RM0390 chapter 5, voltage regulator, "Entering Over-drive mode": after the PLL was switched on,
 * before the core runs on it. */
static bool over_drive_ready(void)
{
    PWR_CR |= PWR_CR_ODEN;
    if (!wait_for(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY))
        return false;
    PWR_CR |= PWR_CR_ODSWEN;
    return wait_for(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY);
}

/* RM0390 3.4.1: 5 wait states for 150 to 180 MHz at 2.7 to 3.6 V; the new value must read back.
 * Prefetch and both caches on (ART). */
static bool flash_ready(void)
{
    FLASH_ACR = 5u | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY, 5u);
}

/* APB1 at 45 and APB2 at 90 MHz, their limits (STM32F446 data sheet, general operating
 * conditions). HSI is not divided: of 4 MHz no USART makes 921600 baud. */
static void switch_to_pll(void)
{
    if (!wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY))
        return;
    RCC_CFGR |= RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2;
    if (!clock_runs_on(RCC_CFGR_SW_PLL))
        RCC_CFGR &= ~(RCC_CFGR_PPRE1 | RCC_CFGR_PPRE2);
}

/* By what the registers say. USART2 is on APB1. */
static clock_state running(void)
{
    const uint32_t system_hz = clock_selected() == RCC_CFGR_SW_PLL ? CORE_HZ : HSI_HZ;
    const uint32_t core_hz = ahb_divided(system_hz, RCC_CFGR >> 4);
    return (clock_state){.core_hz = core_hz, .line_hz = apb_divided(core_hz, RCC_CFGR >> 10)};
}

clock_state clock_start(void)
{
    clock_as_after_reset();
    RCC_CFGR = 0;
    start_pll();
    if (over_drive_ready() && flash_ready())
        switch_to_pll();
    counter_start();
    const clock_state clock = running();
    counter_pace(clock.core_hz);
    return clock;
}
