/* The registers this port touches, beside those of the core. RM0433 is ST's reference manual of the
 * STM32H743 (chapters as in revision 7), ES0392 its errata. Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

/* Why it was reset, RM0433 chapter 8, RCC_RSR; bits as in ST's device header */
#define RESET_REGISTER REGISTER(0x580244D0u)
#define RESET_CLEAR 0x00010000u /* RMVF */
#define RESET_FLAGS 0x55FA0000u
#define RESET_POWER_ON 0x00800000u /* PORRSTF */
#define RESET_BROWN_OUT 0x00200000u /* BORRSTF */
#define RESET_WATCHDOG 0x14000000u /* IWDG1RSTF, WWDG1RSTF */
#define RESET_OTHER 0x40000000u /* LPWRRSTF */
#define RESET_SOFTWARE 0x01000000u /* SFTRSTF */
#define RESET_PIN 0x00400000u /* PINRSTF */
#define RESET_LOSES_RAM 0x00A00000u /* it corrects errors: unwritten it cannot be read */

/* Blocks whose registers port/stm32 and port/stm32-usart-isr know: RM0433 chapters 45, 48 and 11 */
#define IWDG_BASE 0x58004800u  /* IWDG1 */
#define USART_BASE 0x40004800u /* USART3 */
#define GPIOD 0x58020C00u

/* Power control, RM0433 chapter 6 */
#define PWR_CSR1 REGISTER(0x58024804u)
#define PWR_CR3 REGISTER(0x5802480Cu)
#define PWR_D3CR REGISTER(0x58024818u)
#define PWR_CSR1_ACTVOSRDY (1u << 13)
#define PWR_CR3_BYPASS (1u << 0)
#define PWR_CR3_LDOEN (1u << 1)
#define PWR_CR3_SCUEN (1u << 2)
#define PWR_D3CR_VOSRDY (1u << 13)
/* scale 1: up to 400 MHz; scale 0 is this one with SYSCFG_PWRCR_ODEN */
#define PWR_D3CR_VOS1 (3u << 14)

/* System configuration, RM0433 chapter 12 */
#define SYSCFG_PWRCR REGISTER(0x5800042Cu)
#define SYSCFG_PWRCR_ODEN (1u << 0)

/* Reset and clock control, RM0433 chapter 8 */
#define RCC_CR REGISTER(0x58024400u)
#define RCC_CFGR REGISTER(0x58024410u)
#define RCC_D1CFGR REGISTER(0x58024418u)
#define RCC_D2CFGR REGISTER(0x5802441Cu)
#define RCC_D3CFGR REGISTER(0x58024420u)
#define RCC_PLLCKSELR REGISTER(0x58024428u)
#define RCC_PLLCFGR REGISTER(0x5802442Cu)
#define RCC_PLL1DIVR REGISTER(0x58024430u)
#define RCC_AHB4ENR REGISTER(0x580244E0u)
#define RCC_APB1LENR REGISTER(0x580244E8u)
#define RCC_APB4ENR REGISTER(0x580244F4u)
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 2)
#define RCC_CR_PLL1ON (1u << 24)
#define RCC_CR_PLL1RDY (1u << 25)
#define CLOCK_OSCILLATOR_ON RCC_CR_HSION
#define CLOCK_OSCILLATOR_READY RCC_CR_HSIRDY
#define CLOCK_PLL_ON RCC_CR_PLL1ON
#define CLOCK_PLL_READY RCC_CR_PLL1RDY
#define CLOCK_SELECT RCC_CFGR
#define CLOCK_SELECT_BITS 3u /* SW, SWS behind it; 0: HSI */
#define RCC_CFGR_SW_PLL1 3u
#define RCC_D1CFGR_HPRE_DIV2 (8u << 0)    /* AXI, AHB: half the core's clock */
#define RCC_D1CFGR_D1PPRE_DIV2 (4u << 4)  /* APB3: half of that */
#define RCC_D2CFGR_D2PPRE1_DIV2 (4u << 4) /* APB1 */
#define RCC_D2CFGR_D2PPRE2_DIV2 (4u << 8) /* APB2 */
#define RCC_D3CFGR_D3PPRE_DIV2 (4u << 4)  /* APB4 */
#define RCC_PLLCKSELR_PLLSRC (3u << 0)    /* 0: HSI */
#define RCC_PLLCKSELR_DIVM1 (0x3Fu << 4)
/* FRACEN, VCOSEL (0: 192 to 836, rev. V 960 MHz), RGE */
#define RCC_PLLCFGR_PLL1 (0xFu << 0)
#define RCC_PLLCFGR_PLL1RGE_16MHZ (3u << 2)  /* 8 to 16 MHz into the PLL */
#define RCC_PLLCFGR_DIVP1EN (1u << 16)
#define RCC_AHB4ENR_GPIOD (1u << 3)
#define RCC_APB1LENR_USART3 (1u << 18)
#define RCC_APB4ENR_SYSCFG (1u << 1)

/* Flash interface, RM0433 chapter 4 */
#define FLASH_ACR REGISTER(0x52002000u)
#define FLASH_ACR_LATENCY (0xFu << 0)
#define FLASH_ACR_WRHIGHFREQ_2 (2u << 4) /* programming delay above 185 MHz */

/* Debug support, RM0433 chapter 60 */
#define DBGMCU_IDCODE REGISTER(0x5C001000u)
#define DBGMCU_APB4FZ1 REGISTER(0x5C001054u)
#define DBGMCU_REVISION_V 0x2003u /* bits 31..16 of IDCODE; Y is 0x1003 */
/* the watchdog stands still while a debugger has stopped the core */
#define DBGMCU_WDGLSD1 (1u << 18)

/* Interconnect, RM0433 2.2: how many reads the AXI SRAM may have under way */
#define AXI_TARG7_FN_MOD REGISTER(0x51008108u)

#define USART_IRQ 39u /* RM0433, NVIC */
#define PERIPHERALS 150u
#define SYSTICK_BITS 24u /* 35 ms at 480 MHz */

#endif
