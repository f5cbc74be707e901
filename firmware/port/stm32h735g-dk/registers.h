/* The registers this port touches, beside those of the core. RM0468 is ST's reference manual of the
 * STM32H735, whose chapters are named; commands of the external flash are those of the
 * MX25LM51245G's data sheet. Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

/* Why it was reset, RM0468 chapter RCC, RCC_RSR; bits as in ST's device header */
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

/* Blocks whose registers port/stm32 and port/stm32-usart-isr know: RM0468 IWDG, USART and GPIO */
#define IWDG_BASE 0x58004800u  /* IWDG1 */
#define USART_BASE 0x40004800u /* USART3 */
#define GPIOB 0x58020400u
#define GPIOD 0x58020C00u
#define GPIOE 0x58021000u
#define GPIOF 0x58021400u
#define GPIOG 0x58021800u

/* Power control, RM0468 chapter PWR */
#define PWR_CSR1 REGISTER(0x58024804u)
#define PWR_CR3 REGISTER(0x5802480Cu)
#define PWR_D3CR REGISTER(0x58024818u)
#define PWR_CSR1_ACTVOSRDY (1u << 13)
#define PWR_CR3_BYPASS (1u << 0)
#define PWR_CR3_LDOEN (1u << 1)
#define PWR_CR3_SMPSEN (1u << 2)
#define PWR_CR3_SMPSEXTHP (1u << 3)
#define PWR_CR3_SMPSLEVEL (3u << 4)
#define PWR_D3CR_VOSRDY (1u << 13)
#define PWR_D3CR_VOS (3u << 14) /* 3: scale 1; 0: scale 0, up to 520 MHz */

/* System configuration, RM0468 chapter SYSCFG */
#define SYSCFG_CCCSR REGISTER(0x58000420u)
#define SYSCFG_CCCSR_EN (1u << 0)
#define SYSCFG_CCCSR_READY (1u << 8)

/* Reset and clock control, RM0468 chapter RCC */
#define RCC_CR REGISTER(0x58024400u)
#define RCC_CFGR REGISTER(0x58024410u)
#define RCC_D1CFGR REGISTER(0x58024418u)
#define RCC_D2CFGR REGISTER(0x5802441Cu)
#define RCC_D3CFGR REGISTER(0x58024420u)
#define RCC_PLLCKSELR REGISTER(0x58024428u)
#define RCC_PLLCFGR REGISTER(0x5802442Cu)
#define RCC_PLL1DIVR REGISTER(0x58024430u)
#define RCC_PLL2DIVR REGISTER(0x58024438u)
#define RCC_D1CCIPR REGISTER(0x5802444Cu)
#define RCC_AHB3ENR REGISTER(0x580244D4u)
#define RCC_AHB4ENR REGISTER(0x580244E0u)
#define RCC_APB1LENR REGISTER(0x580244E8u)
#define RCC_APB4ENR REGISTER(0x580244F4u)
#define RCC_CR_HSION (1u << 0)
#define RCC_CR_HSIRDY (1u << 2)
#define RCC_CR_CSION (1u << 7)
#define RCC_CR_CSIRDY (1u << 8)
#define RCC_CR_PLL1ON (1u << 24)
#define RCC_CR_PLL1RDY (1u << 25)
#define RCC_CR_PLL2ON (1u << 26)
#define RCC_CR_PLL2RDY (1u << 27)
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
#define RCC_PLLCKSELR_DIVM2 (0x3Fu << 12)
#define RCC_PLLCFGR_PLL1 (0xFu << 0)        /* FRACEN, VCOSEL (0: 192 to 836 MHz), RGE */
#define RCC_PLLCFGR_PLL2 (0xFu << 4)        /* the same of PLL2 */
#define RCC_PLLCFGR_PLL1RGE_8MHZ (3u << 2)  /* 8 to 16 MHz into the PLL */
#define RCC_PLLCFGR_PLL2RGE_16MHZ (3u << 6) /* the same */
#define RCC_PLLCFGR_DIVP1EN (1u << 16)
#define RCC_PLLCFGR_DIVR2EN (1u << 21)
#define RCC_D1CCIPR_OCTOSPISEL (3u << 4)
#define RCC_D1CCIPR_OCTOSPISEL_PLL2R (2u << 4) /* 0, out of reset: the AXI clock */
#define RCC_AHB3ENR_OSPI1 (1u << 14)
#define RCC_AHB3ENR_IOMNGR (1u << 21) /* which joins OCTOSPI1 to port 1, as it is out of reset */
#define RCC_AHB4ENR_GPIOB_D_E_F_G 0x7Au
#define RCC_APB1LENR_USART3 (1u << 18)
#define RCC_APB4ENR_SYSCFG (1u << 1)

/* Flash interface, RM0468 chapter FLASH */
#define FLASH_ACR REGISTER(0x52002000u)
#define FLASH_ACR_LATENCY (0xFu << 0)
#define FLASH_ACR_WRHIGHFREQ_3 (3u << 4) /* the longest programming delay */

/* Octo-SPI interface, RM0468 chapter OCTOSPI */
#define OCTOSPI_CR REGISTER(0x52005000u)
#define OCTOSPI_DCR1 REGISTER(0x52005008u)
#define OCTOSPI_DCR2 REGISTER(0x5200500Cu)
#define OCTOSPI_SR REGISTER(0x52005020u)
#define OCTOSPI_FCR REGISTER(0x52005024u)
#define OCTOSPI_DLR REGISTER(0x52005040u)
#define OCTOSPI_AR REGISTER(0x52005048u)
#define OCTOSPI_DR REGISTER(0x52005050u)
#define OCTOSPI_PSMKR REGISTER(0x52005080u)
#define OCTOSPI_PSMAR REGISTER(0x52005088u)
#define OCTOSPI_PIR REGISTER(0x52005090u)
#define OCTOSPI_CCR REGISTER(0x52005100u)
#define OCTOSPI_TCR REGISTER(0x52005108u)
#define OCTOSPI_IR REGISTER(0x52005110u)
#define OCTOSPI_CR_EN (1u << 0)
#define OCTOSPI_CR_ABORT (1u << 1)
#define OCTOSPI_CR_APMS (1u << 22) /* polling ends with the first match */
#define OCTOSPI_CR_FMODE_WRITE (0u << 28)
#define OCTOSPI_CR_FMODE_POLL (2u << 28)
#define OCTOSPI_CR_FMODE_MAP (3u << 28)
#define OCTOSPI_DCR1_MTYP_MACRONIX (1u << 24) /* order of the two bytes of a clock */
#define OCTOSPI_DCR1_DEVSIZE_64MB (25u << 16) /* 2^(25 + 1) bytes */
#define OCTOSPI_DCR1_CSHT_2 (1u << 8)         /* deselected for 2 clocks */
#define OCTOSPI_SR_TCF (1u << 1)
#define OCTOSPI_SR_SMF (1u << 3)
#define OCTOSPI_SR_BUSY (1u << 5)
#define OCTOSPI_FCR_ALL 0x1Bu
#define OCTOSPI_CCR_IMODE_ONE (1u << 0)
#define OCTOSPI_CCR_IMODE_EIGHT (4u << 0)
#define OCTOSPI_CCR_IDTR (1u << 3)
#define OCTOSPI_CCR_ISIZE_16 (1u << 4)
#define OCTOSPI_CCR_ADMODE_ONE (1u << 8)
#define OCTOSPI_CCR_ADMODE_EIGHT (4u << 8)
#define OCTOSPI_CCR_ADDTR (1u << 11)
#define OCTOSPI_CCR_ADSIZE_32 (3u << 12)
#define OCTOSPI_CCR_DMODE_ONE (1u << 24)
#define OCTOSPI_CCR_DMODE_EIGHT (4u << 24)
#define OCTOSPI_CCR_DDTR (1u << 27)
#define OCTOSPI_CCR_DQSE (1u << 29)
#define OCTOSPI_TCR_DHQC (1u << 28) /* outputs a quarter of a clock later: both edges */

/* MX25LM51245G on one line (8 bits) and on eight lines, both edges (16 bits: the command and its
 * complement) */
#define NOR_RESET_ENABLE 0x66u
#define NOR_RESET 0x99u
#define NOR_WRITE_ENABLE 0x06u
#define NOR_READ_STATUS 0x05u
#define NOR_WRITE_CONFIGURATION_2 0x72u
#define NOR_READ 0x13u /* 32 bits of address, no dummy cycles, up to 66 MHz */
#define NOR8_RESET_ENABLE 0x6699u
#define NOR8_RESET 0x9966u
#define NOR8_WRITE_ENABLE 0x06F9u
#define NOR8_WRITE_DISABLE 0x04FBu
#define NOR8_READ_STATUS 0x05FAu
#define NOR8_READ 0xEE11u
#define NOR_STATUS_BUSY 0x01u
#define NOR_STATUS_WRITABLE 0x02u
#define NOR_CR2_EIGHT_LINES_BOTH_EDGES 0x02u /* at address 0 of configuration register 2 */
/* ST's component for this flash on this board: 5 (mx25lm51245g_conf.h, DUMMY_CYCLES_REG_OCTAL_DTR);
 * 4 is its figure for one edge. The status is repeated until the flash is deselected, so a cycle
 * later is as good, and a cycle too soon would be before the data strobe. */
#define NOR8_STATUS_DUMMY 5u
#define NOR8_READ_DUMMY 20u /* out of reset */

/* Debug support, RM0468 chapter DBG */
#define DBGMCU_APB4FZ1 REGISTER(0x5C001054u)
/* the watchdog stands still while a debugger has stopped the core */
#define DBGMCU_WDGLSD1 (1u << 18)

#define USART_IRQ 39u /* RM0468, NVIC */
#define PERIPHERALS 163u
#define SYSTICK_BITS 24u /* 32 ms at 520 MHz */

#endif
