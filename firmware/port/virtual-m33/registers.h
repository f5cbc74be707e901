/* What this port knows of its board beside the core: AN505 (ARM DAI 0505), Arm's application note
 * of this FPGA image of the MPS2+ board, memory map and interrupts; the watchdog is that of its
 * subsystem, the IoT Kit (ARM ECM0601256). Addresses are the secure ones: the core starts in the
 * secure state and stays there, and after a reset every peripheral and every interrupt is secure.
 * Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

#define CORE_HZ 20000000u
#define UART_BASE 0x50200000u
#define UART_RX_IRQ 32u
#define WATCHDOG_BASE 0x50081000u
#define WATCHDOG_HZ CORE_HZ
#define PERIPHERALS 124u
#define SYSTICK_BITS 21u /* 105 ms at 20 MHz */

#endif
