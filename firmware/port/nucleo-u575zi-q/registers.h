/* The registers this port touches, beside those of the core. RM0456 is ST's reference manual of the
 * STM32U5. Non-secure addresses: TrustZone is off. Only what is used is declared; addresses and
 * bits were compared with ST's device header. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

/* Why it was reset, RM0456 chapter 11, RCC_CSR; bits as in ST's device header */
#define RESET_REGISTER REGISTER(0x46020CF4u)
#define RESET_CLEAR 0x00800000u /* RMVF */
#define RESET_FLAGS 0xFE000000u
#define RESET_POWER_ON 0u /* none of its own: brown-out, and RAM that kept nothing */
#define RESET_BROWN_OUT 0x08000000u /* BORRSTF */
#define RESET_WATCHDOG 0x60000000u /* IWDGRSTF, WWDGRSTF */
#define RESET_OTHER 0x82000000u /* LPWRRSTF, OBLRSTF */
#define RESET_SOFTWARE 0x10000000u /* SFTRSTF */
#define RESET_PIN 0x04000000u /* PINRSTF */
#define RESET_LOSES_RAM 0u

/* Blocks whose registers port/stm32 and port/stm32-usart-isr know: RM0456, chapters IWDG, USART and
 * GPIO */
#define IWDG_BASE 0x40003000u
#define USART_BASE 0x40013800u /* USART1 */
#define GPIOA 0x42020000u

/* Power control, RM0456 chapter 10: PWR_CR3, PWR_VOSR, PWR_SVMSR */
#define PWR_CR3 REGISTER(0x46020808u)
#define PWR_VOSR REGISTER(0x4602080Cu)
#define PWR_SVMSR REGISTER(0x4602083Cu)
#define PWR_CR3_REGSEL (1u << 1) /* SMPS instead of LDO */
#define PWR_SVMSR_REGS (1u << 1) /* it supplies the core now */
#define PWR_VOSR_BOOSTRDY (1u << 14)
#define PWR_VOSR_VOSRDY (1u << 15)
#define PWR_VOSR_RANGE_1 (3u << 16)
#define PWR_VOSR_BOOSTEN (1u << 18)

/* Reset and clock control, RM0456 chapter 11: RCC_CR, RCC_ICSCR1, RCC_CFGR1, RCC_CFGR2,
 * RCC_PLL1CFGR, RCC_PLL1DIVR, RCC_AHB2ENR1, RCC_AHB3ENR, RCC_APB2ENR */
#define RCC_CR REGISTER(0x46020C00u)
#define RCC_ICSCR1 REGISTER(0x46020C08u)
#define RCC_CFGR1 REGISTER(0x46020C1Cu)
#define RCC_CFGR2 REGISTER(0x46020C20u)
#define RCC_PLL1CFGR REGISTER(0x46020C28u)
#define RCC_PLL1DIVR REGISTER(0x46020C34u)
#define RCC_AHB2ENR1 REGISTER(0x46020C8Cu)
#define RCC_AHB3ENR REGISTER(0x46020C94u)
#define RCC_APB2ENR REGISTER(0x46020CA4u)
#define RCC_CR_MSISON (1u << 0)
#define RCC_CR_MSISRDY (1u << 2)
#define RCC_CR_HSION (1u << 8)
#define RCC_CR_HSIRDY (1u << 10)
#define RCC_CR_PLL1ON (1u << 24)
#define RCC_CR_PLL1RDY (1u << 25)
#define CLOCK_OSCILLATOR_ON RCC_CR_MSISON
#define CLOCK_OSCILLATOR_READY RCC_CR_MSISRDY
#define CLOCK_PLL_ON RCC_CR_PLL1ON
#define CLOCK_PLL_READY RCC_CR_PLL1RDY
#define CLOCK_SELECT RCC_CFGR1
#define CLOCK_SELECT_BITS 2u /* SW, SWS behind it; 0: MSIS */
#define RCC_CFGR1_SW_HSI 1u
#define RCC_CFGR1_SW_PLL1 3u
#define RCC_ICSCR1_MSIRGSEL (1u << 23) /* the range is the one that follows */
#define RCC_ICSCR1_MSISRANGE (0xFu << 28)
#define RCC_ICSCR1_MSISRANGE_24MHZ (1u << 28)
#define RCC_CFGR2_HPRE_DIV2 (8u << 0)
#define RCC_PLL1CFGR_HSI (2u << 0)
#define RCC_PLL1CFGR_RGE_16MHZ (3u << 2)   /* 8 to 16 MHz into the PLL */
#define RCC_PLL1CFGR_MBOOST_DIV2 (1u << 12) /* clocks the booster */
#define RCC_PLL1CFGR_PLL1REN (1u << 18)
#define RCC_AHB2ENR1_GPIOA (1u << 0)
#define RCC_AHB3ENR_PWR (1u << 2)
#define RCC_APB2ENR_USART1 (1u << 14)

/* Flash interface, RM0456 chapter 7: FLASH_ACR */
#define FLASH_ACR REGISTER(0x40022000u)
#define FLASH_ACR_LATENCY 0xFu
#define FLASH_ACR_PRFTEN (1u << 8)

/* Instruction cache, RM0456 chapter 8: ICACHE_CR, ICACHE_SR */
#define ICACHE_CR REGISTER(0x40030400u)
#define ICACHE_SR REGISTER(0x40030404u)
#define ICACHE_CR_EN (1u << 0)
#define ICACHE_SR_BUSYF (1u << 0)

/* Debug support, RM0456 chapter DBG, DBGMCU_APB1FZR1: the watchdog stands still while a debugger
 * has stopped the core */
#define DBGMCU_APB1FZR1 REGISTER(0xE0044008u)
#define DBGMCU_IWDG_STOP (1u << 12)

#define USART_IRQ 61u /* RM0456 chapter NVIC, vector table */
#define PERIPHERALS 126u
#define SYSTICK_BITS 24u /* 105 ms at 160 MHz */

#endif
