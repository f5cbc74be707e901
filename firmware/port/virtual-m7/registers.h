/* The registers this port touches, beside those of the core. AN500 is Arm's application note of this FPGA image of the MPS2 board,
 * CMSDK the Cortex-M System Design Kit's manual (ARM DDI 0479). Only what is used is declared. */
#ifndef REGISTERS_H
#define REGISTERS_H
#include "core.h"

/* UART 0: AN500, memory map; CMSDK, APB UART */
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_INTCLEAR REGISTER(0x4000400Cu)
#define UART_BAUDDIV REGISTER(0x40004010u)
#define UART_STATE_TX_FULL (1u << 0)
#define UART_STATE_RX_FULL (1u << 1)
#define UART_STATE_RX_OVERRUN (1u << 3) /* written 1 it is cleared */
#define UART_CTRL_TX (1u << 0)
#define UART_CTRL_RX (1u << 1)
#define UART_CTRL_RX_INTERRUPT (1u << 3)
#define UART_INT_RX (1u << 1)

/* Watchdog: AN500, memory map; CMSDK, APB watchdog. Its first time-out is an NMI, which here is a fault, its second one a reset. */
#define WATCHDOG_LOAD REGISTER(0x40008000u)
#define WATCHDOG_CONTROL REGISTER(0x40008008u)
#define WATCHDOG_INTCLEAR REGISTER(0x4000800Cu)
#define WATCHDOG_LOCK REGISTER(0x40008C00u)
#define WATCHDOG_CONTROL_INTERRUPT 1u
#define WATCHDOG_CONTROL_RESET 2u
#define WATCHDOG_LOCK_OPEN 0x1ACCE551u

#define UART_RX_IRQ 0u /* AN500, interrupts */
#define PERIPHERALS 32u
#define SYSTICK_BITS 22u /* 168 ms at 25 MHz */

#endif
