/* RM0090 21.4, RM0390 20.4, and the chapter "Independent watchdog (IWDG)" of RM0432, RM0433 and
 * RM0456: the same registers. The board's registers.h says where they are. */
#include "watchdog.h"
#include "line.h"
#include "registers.h"

#define IWDG_KR REGISTER(IWDG_BASE + 0x00u)
#define IWDG_PR REGISTER(IWDG_BASE + 0x04u)
#define IWDG_RLR REGISTER(IWDG_BASE + 0x08u)
#define IWDG_KR_SERVE 0xAAAAu
#define IWDG_KR_UNLOCK 0x5555u
#define IWDG_KR_START 0xCCCCu

/* LSI / 64, 2048 counts: 4.1 s at 32 kHz; 2.8 to 7.7 s over the 17 to 47 kHz of an STM32F4's. */
void watchdog_start(void)
{
    IWDG_KR = IWDG_KR_START;
    IWDG_KR = IWDG_KR_UNLOCK;
    IWDG_PR = 4u;
    IWDG_RLR = 2047u;
    IWDG_KR = IWDG_KR_SERVE;
}

void line_rest_watchdog(void)
{
    /* nothing stops it; SysTick ends a sleep long before its period */
}

void line_serve_watchdog(void)
{
    IWDG_KR = IWDG_KR_SERVE;
}
