/* The registers this port touches. RM0090 is ST's reference manual of the STM32F405 (revision 19), PM0214 the Cortex-M4 programming
 * manual, ARM DDI 0403 the Armv7-M architecture. Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* Power control, RM0090 5.4 */
#define PWR_CR REGISTER(0x40007000u)
#define PWR_CR_VOS (1u << 14) /* scale 1: needed above 144 MHz */

/* Independent watchdog, RM0090 21.4 */
#define IWDG_KR REGISTER(0x40003000u)
#define IWDG_PR REGISTER(0x40003004u)
#define IWDG_RLR REGISTER(0x40003008u)
#define IWDG_KR_SERVE 0xAAAAu
#define IWDG_KR_UNLOCK 0x5555u
#define IWDG_KR_START 0xCCCCu

/* USART1, RM0090 30.6 */
#define USART1_SR REGISTER(0x40011000u)
#define USART1_DR REGISTER(0x40011004u)
#define USART1_BRR REGISTER(0x40011008u)
#define USART1_CR1 REGISTER(0x4001100Cu)
#define USART_SR_TXE (1u << 7)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR1_UE (1u << 13)

/* Port A, RM0090 8.4 */
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_OSPEEDR REGISTER(0x40020008u)
#define GPIOA_PUPDR REGISTER(0x4002000Cu)
#define GPIOA_AFRH REGISTER(0x40020024u)

/* Reset and clock control, RM0090 7.3 (the F405's chapter) */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR_HSE (1u << 22)
#define RCC_CFGR_SW_PLL 2u
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_SWS_PLL (2u << 2)
#define RCC_CFGR_PPRE1_DIV4 (5u << 10)
#define RCC_CFGR_PPRE2_DIV2 (4u << 13)
#define RCC_AHB1ENR_GPIOA (1u << 0)
#define RCC_APB1ENR_PWR (1u << 28)
#define RCC_APB2ENR_USART1 (1u << 4)

/* Flash interface, RM0090 3.9.1 */
#define FLASH_ACR REGISTER(0x40023C00u)
#define FLASH_ACR_LATENCY 0xFu
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)

/* Debug support, RM0090 38.16.4: the watchdog stands still while a debugger has stopped the core */
#define DBGMCU_APB1_FZ REGISTER(0xE0042008u)
#define DBGMCU_IWDG_STOP (1u << 12)

/* SysTick, PM0214 4.5 */
#define SYSTICK_CTRL REGISTER(0xE000E010u)
#define SYSTICK_LOAD REGISTER(0xE000E014u)
#define SYSTICK_VAL REGISTER(0xE000E018u)
#define SYSTICK_ENABLE 1u
#define SYSTICK_TICKINT 2u
#define SYSTICK_CORE_CLOCK 4u
#define SYSTICK_MASK 0xFFFFFFu

/* Interrupt and system control, PM0214 4.3 and 4.4 */
#define NVIC_ISER1 REGISTER(0xE000E104u)
#define NVIC_IPR(irq) (*(volatile uint8_t *)(0xE000E400u + (irq)))
#define SCB_ICSR REGISTER(0xE000ED04u)
#define SCB_ICSR_PENDSTSET (1u << 26)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define SCB_AIRCR_RESET 0x05FA0004u
#define SCB_SHPR3 REGISTER(0xE000ED20u)
#define USART1_IRQ 37u

/* Cycle counter, ARM DDI 0403 C1.6 and C1.8 */
#define DEMCR REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_CTRL_CYCCNTENA 1u

#endif
