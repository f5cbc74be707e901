/* RM0090 21.4, RM0390 20.4, and the chapter "Independent watchdog (IWDG)" of RM0432, RM0433, RM0456
 * and RM0468: the same registers. The board's registers.h says where they are. */
#include "watchdog.h"
#include "counter.h"
#include "line.h"
#include "registers.h"

#define IWDG_KR REGISTER(IWDG_BASE + 0x00u)
#define IWDG_PR REGISTER(IWDG_BASE + 0x04u)
#define IWDG_RLR REGISTER(IWDG_BASE + 0x08u)
#define IWDG_SR REGISTER(IWDG_BASE + 0x0Cu)
#define IWDG_KR_SERVE 0xAAAAu
#define IWDG_KR_UNLOCK 0x5555u
#define IWDG_KR_START 0xCCCCu
#define IWDG_SR_PVU (1u << 0) /* PR is on its way to the other clock */
#define IWDG_SR_RVU (1u << 1) /* so is RLR */

/* Both registers are written on the bus and taken over on the watchdog's own clock, within 6 of its
 * divided periods: 23 ms of LSI / 64 at the slowest, 17 kHz. Meanwhile they take no other value,
 * and serving loads the old one. Twice 50 ms at most, while out of reset (LSI / 4, 4096 counts) it
 * bites after 348 ms at the earliest. */
static void settle(uint32_t core_hz)
{
    const uint32_t begin = counter_ticks();
    while ((IWDG_SR & (IWDG_SR_PVU | IWDG_SR_RVU)) && counter_ticks() - begin < core_hz / 20u) {
    }
}

/* LSI / 64, 2048 counts: 4.1 s at 32 kHz; 2.8 to 7.7 s over the 17 to 47 kHz of an STM32F4's. The
 * first wait is for what wrote it before, should it run already (option byte, boot loader). */
void watchdog_start(uint32_t core_hz)
{
    IWDG_KR = IWDG_KR_START;
    settle(core_hz);
    IWDG_KR = IWDG_KR_UNLOCK;
    IWDG_PR = 4u;
    IWDG_RLR = 2047u;
    settle(core_hz);
    IWDG_KR = IWDG_KR_SERVE;
}

void line_rest_watchdog(void)
{
    /* nothing stops it; SysTick ends a sleep long before its period (counter_pace) */
}

void line_serve_watchdog(void)
{
    IWDG_KR = IWDG_KR_SERVE;
}
