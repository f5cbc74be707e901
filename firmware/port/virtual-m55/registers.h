/* What this port knows of its board beside the core: AN547 (ARM DAI 0547), Arm's application note
 * of this FPGA image of the MPS3 board, memory map and interrupts; the watchdog is that of its
 * subsystem, the SSE-300 (ARM 101773), on the slow clock. Addresses are the secure ones: the core
 * starts in the secure state and stays there. Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

#define CORE_HZ 32000000u
#define UART_BASE 0x59303000u
#define UART_RX_IRQ 33u
#define WATCHDOG_BASE 0x5802E000u
#define WATCHDOG_HZ 32768u
#define PERIPHERALS 64u
#define SYSTICK_BITS 22u /* 131 ms at 32 MHz */

#endif
