#include "clock.h"
#include "counter.h"
#include "registers.h"
#include "select.h"

#define MSI_HZ 4000000u /* out of reset, in voltage range 4 */
#define MSI_QUICK_HZ 24000000u
#define HSI_HZ 16000000u
#define CORE_HZ 160000000u

/* RM0456 chapter 10, dynamic voltage scaling: range 1 before anything is fast. Then the supply:
 * this board (-Q) has the coil of the SMPS, which takes less current than the LDO that is on out of
 * reset; both reach range 1, so staying with the LDO is no fault. */
static bool supply_ready(void)
{
    RCC_AHB3ENR |= RCC_AHB3ENR_PWR;
    (void)RCC_AHB3ENR; /* until the clock runs */
    PWR_VOSR |= PWR_VOSR_RANGE_1;
    (void)PWR_VOSR; /* the ready bit falls with the write */
    if (!wait_for(&PWR_VOSR, PWR_VOSR_VOSRDY, PWR_VOSR_VOSRDY))
        return false;
    PWR_CR3 |= PWR_CR3_REGSEL;
    (void)wait_for(&PWR_SVMSR, PWR_SVMSR_REGS, PWR_SVMSR_REGS);
    return true;
}

/* RM0456 7.3, read access latency: 4 wait states for 128 to 160 MHz in range 1, and enough for 16
 * MHz in range 4; the value must read back. */
static bool flash_ready(void)
{
    FLASH_ACR = 4u | FLASH_ACR_PRFTEN;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY, 4u);
}

/* From here on 921600 baud can be had, whatever happens to supply and PLL. */
static bool hsi_ready(void)
{
    RCC_CR |= RCC_CR_HSION;
    return wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY) &&
           clock_runs_on(RCC_CFGR1_SW_HSI);
}

/* Should HSI not come: of 4 MHz no USART makes 921600 baud, of 24 it is 0.2 % fast. They need no
 * more than range 4, to 25 MHz, and the wait states that are set. */
static void quicken_msi(void)
{
    if (!wait_for(&RCC_CR, RCC_CR_MSISRDY, RCC_CR_MSISRDY))
        return;
    RCC_ICSCR1 |= RCC_ICSCR1_MSIRGSEL;
    RCC_ICSCR1 = (RCC_ICSCR1 & ~RCC_ICSCR1_MSISRANGE) | RCC_ICSCR1_MSISRANGE_24MHZ;
}

/* RM0456 chapter 11, PLL: HSI / 1 = 16 MHz; VCO = 16 MHz * 20 = 320 MHz, core = VCO / 2 by output
 * R; P and Q stay off, divided by 2. Above 55 MHz the core's supply needs the EPOD booster (chapter
 * 10), which runs on the PLL's source, here HSI / 2 = 8 MHz of the 4 to 16 it may have: so the
 * source is chosen first, then the booster, then the PLL. */
static bool pll_ready(void)
{
    PWR_VOSR &= ~PWR_VOSR_BOOSTEN;
    RCC_PLL1CFGR = RCC_PLL1CFGR_HSI | RCC_PLL1CFGR_RGE_16MHZ | RCC_PLL1CFGR_MBOOST_DIV2;
    RCC_PLL1DIVR = (20u - 1u) | (2u - 1u) << 9 | (2u - 1u) << 16 | (2u - 1u) << 24;
    PWR_VOSR |= PWR_VOSR_BOOSTEN;
    if (!wait_for(&PWR_VOSR, PWR_VOSR_BOOSTRDY, PWR_VOSR_BOOSTRDY))
        return false;
    RCC_PLL1CFGR |= RCC_PLL1CFGR_PLL1REN;
    RCC_CR |= RCC_CR_PLL1ON;
    return wait_for(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

/* Through half the speed, so that the supply sees no step of 16 to 160 MHz; 256 turns are at least
 * 6 us. */
static void switch_to_pll(void)
{
    RCC_CFGR2 |= RCC_CFGR2_HPRE_DIV2;
    if (clock_runs_on(RCC_CFGR1_SW_PLL1))
        for (volatile uint32_t turn = 0; turn < 256u; turn++) {
        }
    RCC_CFGR2 &= ~RCC_CFGR2_HPRE_DIV2;
}

static uint32_t system_hz(void)
{
    const uint32_t source = clock_selected();
    if (source == RCC_CFGR1_SW_PLL1)
        return CORE_HZ;
    if (source == RCC_CFGR1_SW_HSI)
        return HSI_HZ;
    return (RCC_ICSCR1 & RCC_ICSCR1_MSIRGSEL) ? MSI_QUICK_HZ : MSI_HZ;
}

/* By what the registers say. USART1 is on APB2. */
static clock_state running(void)
{
    const uint32_t core_hz = ahb_divided(system_hz(), RCC_CFGR2);
    return (clock_state){.core_hz = core_hz, .line_hz = apb_divided(core_hz, RCC_CFGR2 >> 8)};
}

/* RM0456 chapter 8: after a reset the cache invalidates itself; then it serves instructions and
 * tables alike, both being read over the code bus. */
static void start_cache(void)
{
    if (wait_for(&ICACHE_SR, ICACHE_SR_BUSYF, 0))
        ICACHE_CR |= ICACHE_CR_EN;
}

clock_state clock_start(void)
{
    clock_as_after_reset();
    RCC_CFGR2 = 0;
    const bool supplied = supply_ready(), flash = flash_ready();
    const bool hsi = hsi_ready();
    if (!hsi && flash)
        quicken_msi();
    if (hsi && supplied && flash && pll_ready())
        switch_to_pll();
    start_cache();
    counter_start();
    const clock_state clock = running();
    counter_pace(clock.core_hz);
    return clock;
}
