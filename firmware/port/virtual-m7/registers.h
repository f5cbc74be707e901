/* What this port knows of its board beside the core: AN500, Arm's application note of this FPGA
 * image of the MPS2 board, memory map and interrupts. Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

#define CORE_HZ 25000000u
#define UART_BASE 0x40004000u
#define UART_RX_IRQ 0u
#define WATCHDOG_BASE 0x40008000u
#define WATCHDOG_HZ CORE_HZ
#define PERIPHERALS 32u
#define SYSTICK_BITS 22u /* 168 ms at 25 MHz */

#endif
