/* The registers this port touches, beside those of the core. RM0090 is ST's reference manual of the
 * STM32F405 (revision 19). Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

/* Why it was reset, RM0090 7.3.21, RCC_CSR; bits as in ST's device header */
#define RESET_REGISTER REGISTER(0x40023874u)
#define RESET_CLEAR 0x01000000u /* RMVF */
#define RESET_FLAGS 0xFE000000u
#define RESET_POWER_ON 0x08000000u /* PORRSTF */
#define RESET_BROWN_OUT 0x02000000u /* BORRSTF */
#define RESET_WATCHDOG 0x60000000u /* IWDGRSTF, WWDGRSTF */
#define RESET_OTHER 0x80000000u /* LPWRRSTF */
#define RESET_SOFTWARE 0x10000000u /* SFTRSTF */
#define RESET_PIN 0x04000000u /* PINRSTF */
#define RESET_LOSES_RAM 0x08000000u

/* Power control, RM0090 5.4 */
#define PWR_CR REGISTER(0x40007000u)
#define PWR_CR_VOS (1u << 14) /* scale 1: needed above 144 MHz */

/* Blocks whose registers port/stm32 and port/stm32-usart-sr know */
#define IWDG_BASE 0x40003000u
#define USART_BASE 0x40011000u /* USART1 */
#define GPIOA 0x40020000u

/* Reset and clock control, RM0090 7.3 (the F405's chapter) */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR_HSE (1u << 22)
#define CLOCK_OSCILLATOR_ON RCC_CR_HSION
#define CLOCK_OSCILLATOR_READY RCC_CR_HSIRDY
#define CLOCK_PLL_ON RCC_CR_PLLON
#define CLOCK_PLL_READY RCC_CR_PLLRDY
#define CLOCK_SELECT RCC_CFGR
#define CLOCK_SELECT_BITS 2u /* SW, SWS behind it; 0: HSI */
#define RCC_CFGR_SW_PLL 2u
#define RCC_CFGR_PPRE1 (7u << 10)
#define RCC_CFGR_PPRE1_DIV4 (5u << 10)
#define RCC_CFGR_PPRE2 (7u << 13)
#define RCC_CFGR_PPRE2_DIV2 (4u << 13)
#define RCC_AHB1ENR_GPIOA (1u << 0)
#define RCC_APB1ENR_PWR (1u << 28)
#define RCC_APB2ENR_USART1 (1u << 4)

/* Flash interface, RM0090 3.9.1 */
#define FLASH_ACR REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY 7u
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)

/* Debug support, RM0090 38.16.4: the watchdog stands still while a debugger has stopped the core */
#define DBGMCU_APB1_FZ REGISTER(0xE0042008u)
#define DBGMCU_IWDG_STOP (1u << 12)

#define USART_IRQ 37u /* RM0090 table 62 */
#define PERIPHERALS 82u
#define SYSTICK_BITS 24u /* 100 ms at 168 MHz */

#endif
