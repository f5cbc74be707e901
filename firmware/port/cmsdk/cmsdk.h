/* UART and watchdog of Arm's Cortex-M System Design Kit (ARM DDI 0479), which the boards have that
 * QEMU makes of Arm's FPGA images. A board's registers.h says where they are: UART_BASE,
 * UART_RX_IRQ, WATCHDOG_BASE, WATCHDOG_HZ, and how many PERIPHERALS have vectors. */
#ifndef CMSDK_H
#define CMSDK_H

/* Line, its interrupt, watchdog. The counter of counter.h runs already. */
void cmsdk_start(void);
#endif
