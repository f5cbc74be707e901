/* The registers this port touches, beside those of the core. RM0432 is ST's reference manual of the
 * STM32L4+. Only what is used is declared; addresses and bits were compared with ST's device
 * header. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

/* Why it was reset, RM0432 6.4, RCC_CSR; bits as in ST's device header */
#define RESET_REGISTER REGISTER(0x40021094u)
#define RESET_CLEAR 0x00800000u /* RMVF */
#define RESET_FLAGS 0xFF000000u
#define RESET_POWER_ON 0u /* none of its own: brown-out, and RAM that kept nothing */
#define RESET_BROWN_OUT 0x08000000u /* BORRSTF */
#define RESET_WATCHDOG 0x60000000u /* IWDGRSTF, WWDGRSTF */
#define RESET_OTHER 0x83000000u /* LPWRRSTF, OBLRSTF, FWRSTF */
#define RESET_SOFTWARE 0x10000000u /* SFTRSTF */
#define RESET_PIN 0x04000000u /* PINRSTF */
#define RESET_LOSES_RAM 0u

/* Blocks whose registers port/stm32 and port/stm32-usart-isr know: RM0432, chapters IWDG, LPUART
 * and GPIO */
#define IWDG_BASE 0x40003000u
#define USART_BASE 0x40008000u /* LPUART1 */
#define GPIOG 0x48001800u

/* Power control, RM0432 5.4: PWR_CR2, PWR_CR5 */
#define PWR_CR2 REGISTER(0x40007004u)
#define PWR_CR5 REGISTER(0x40007080u)
#define PWR_CR2_IOSV (1u << 9)   /* VDDIO2, the supply of PG2 to PG15, is there */
#define PWR_CR5_R1MODE (1u << 8) /* set: range 1 without boost, to 80 MHz */

/* Reset and clock control, RM0432 6.4: RCC_CR, RCC_CFGR, RCC_PLLCFGR, RCC_AHB2ENR, RCC_APB1ENR1,
 * RCC_APB1ENR2 */
#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_PLLCFGR REGISTER(0x4002100Cu)
#define RCC_AHB2ENR REGISTER(0x4002104Cu)
#define RCC_APB1ENR1 REGISTER(0x40021058u)
#define RCC_APB1ENR2 REGISTER(0x4002105Cu)
#define RCC_CR_MSION (1u << 0)
#define RCC_CR_MSIRDY (1u << 1)
#define RCC_CR_HSION (1u << 8)
#define RCC_CR_HSIRDY (1u << 10)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define CLOCK_OSCILLATOR_ON RCC_CR_MSION
#define CLOCK_OSCILLATOR_READY RCC_CR_MSIRDY
#define CLOCK_PLL_ON RCC_CR_PLLON
#define CLOCK_PLL_READY RCC_CR_PLLRDY
#define CLOCK_SELECT RCC_CFGR
#define CLOCK_SELECT_BITS 2u /* SW, SWS behind it; 0: MSI */
#define RCC_CFGR_SW_HSI 1u
#define RCC_CFGR_SW_PLL 3u
#define RCC_CFGR_HPRE_DIV2 (8u << 4)
#define RCC_PLLCFGR_HSI (2u << 0)
#define RCC_PLLCFGR_PLLREN (1u << 24)
#define RCC_AHB2ENR_GPIOG (1u << 6)
#define RCC_APB1ENR1_PWR (1u << 28)
#define RCC_APB1ENR2_LPUART1 (1u << 0)

/* Flash interface, RM0432 3.7: FLASH_ACR */
#define FLASH_ACR REGISTER(0x40022000u)
#define FLASH_ACR_LATENCY 0xFu
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)

/* Debug support, RM0432 chapter DBG, DBGMCU_APB1FZR1: the watchdog stands still while a debugger
 * has stopped the core */
#define DBGMCU_APB1FZR1 REGISTER(0xE0042008u)
#define DBGMCU_IWDG_STOP (1u << 12)

#define USART_IRQ 70u /* LPUART1: RM0432 chapter NVIC, vector table */
#define PERIPHERALS 95u
#define SYSTICK_BITS 24u /* 140 ms at 120 MHz */

#endif
