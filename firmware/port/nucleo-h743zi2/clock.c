#include "clock.h"
#include "counter.h"
#include "mpu.h"
#include "registers.h"
#include "select.h"

#define HSI_HZ 64000000u
#define PLL_INPUT_HZ 16000000u /* HSI / 4 */

/* Revision Y is specified to 400 MHz; what is not known to be revision V is held there too. */
static bool is_revision_v(void)
{
    return DBGMCU_IDCODE >> 16 == DBGMCU_REVISION_V;
}

/* ES0392, AXI SRAM of revision Y: "reading from AXI SRAM may lead to data read corruption" unless
 * reads go one at a time. */
static void guard_axi_sram(void)
{
    if (DBGMCU_IDCODE >> 16 < 0x2000u)
        AXI_TARG7_FN_MOD = 1u;
}

/* RM0433 6.8.4: the supply is chosen by the first write after power-on, which also makes the
 * voltage scale changeable; here the LDO, the only regulator of this chip. Then scale 1, and scale
 * 0 on top of it by the overdrive (RM0433 chapter 6, voltage scaling). The ready bit falls only
 * when a write has arrived, which reading it back waits for. */
static bool supply_ready(bool overdrive)
{
    PWR_CR3 = (PWR_CR3 & ~(PWR_CR3_SCUEN | PWR_CR3_BYPASS)) | PWR_CR3_LDOEN;
    if (!wait_for(&PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY))
        return false;
    PWR_D3CR |= PWR_D3CR_VOS1;
    (void)PWR_D3CR;
    if (!wait_for(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY))
        return false;
    if (!overdrive)
        return true;
    RCC_APB4ENR |= RCC_APB4ENR_SYSCFG;
    (void)RCC_APB4ENR; /* until the clock runs */
    SYSCFG_PWRCR |= SYSCFG_PWRCR_ODEN;
    (void)SYSCFG_PWRCR;
    return wait_for(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
}

/* RM0433 table 17, by the AXI clock: 4 wait states at 240 MHz (scale 0), 2 at 200 MHz (scale 1);
 * the new value must read back. */
static bool flash_ready(uint32_t wait_states)
{
    FLASH_ACR = wait_states | FLASH_ACR_WRHIGHFREQ_2;
    return wait_for(&FLASH_ACR, FLASH_ACR_LATENCY, wait_states);
}

/* RM0433 8.5: AXI and AHB at half the core's clock, every APB at half of that, before the clock is
 * raised. */
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

/* VCO = 16 MHz * n, core = VCO / 2: 960 / 2 on revision V, 800 / 2 on Y, within both VCOs' range.
 * Outputs Q and R are not used. */
static bool pll_ready(uint32_t core_hz)
{
    const uint32_t n = 2u * core_hz / PLL_INPUT_HZ;
    RCC_PLLCKSELR = (RCC_PLLCKSELR & ~(RCC_PLLCKSELR_PLLSRC | RCC_PLLCKSELR_DIVM1)) |
                    (HSI_HZ / PLL_INPUT_HZ) << 4;
    RCC_PLLCFGR =
        (RCC_PLLCFGR & ~RCC_PLLCFGR_PLL1) | RCC_PLLCFGR_PLL1RGE_16MHZ | RCC_PLLCFGR_DIVP1EN;
    RCC_PLL1DIVR = (n - 1u) | (2u - 1u) << 9 | (8u - 1u) << 16 | (8u - 1u) << 24;
    RCC_CR |= RCC_CR_PLL1ON;
    return wait_for(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

/* By what the registers say. USART3 is on APB1. */
static clock_state running(uint32_t pll_hz)
{
    const uint32_t system_hz = clock_selected() == RCC_CFGR_SW_PLL1 ? pll_hz : HSI_HZ;
    const uint32_t core_hz = ahb_divided(system_hz, RCC_D1CFGR >> 8);
    const uint32_t ahb_hz = ahb_divided(core_hz, RCC_D1CFGR);
    return (clock_state){.core_hz = core_hz, .line_hz = apb_divided(ahb_hz, RCC_D2CFGR >> 4)};
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

/* 480 MHz; 400 on revision Y; 64, HSI's, when supply or PLL did not start. */
clock_state clock_start(void)
{
    const bool revision_v = is_revision_v();
    const uint32_t wanted_hz = revision_v ? 480000000u : 400000000u;
    clock_as_after_reset();
    guard_axi_sram();
    const bool supplied = supply_ready(revision_v) && flash_ready(revision_v ? 4u : 2u);
    set_dividers();
    if (!supplied || !pll_ready(wanted_hz) || !clock_runs_on(RCC_CFGR_SW_PLL1))
        clear_dividers();
    mpu_close_external();
    mpu_start();
    start_caches();
    counter_start();
    const clock_state clock = running(wanted_hz);
    counter_pace(clock.core_hz);
    return clock;
}
