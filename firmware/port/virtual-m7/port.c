/* The Cortex-M7 of QEMU's mps2-an500. There is no such chip to buy; this port runs networks that
 * are too large for an STM32F405 on an emulated Cortex-M7 and counts their instructions exactly.
 * Its 25 MHz are those of Arm's FPGA image: a rate for SysTick, not a claim about speed. */
#include "cmsdk.h"
#include "line.h"
#include "port.h"
#include "registers.h"

/* Under -icount shift=0 an instruction is a nanosecond: a tick of 25 MHz is 40 of them. */
static port_info info = {.name = "virtual-m7", .clock_hz = CORE_HZ,
                         .counts = PORT_COUNTS_INSTRUCTIONS, .tick_num = 40u, .tick_den = 1u,
                         .line_bytes = RING_BYTES};

const port_info *port_start(void)
{
    counter_start();
    cmsdk_start();
    return &info;
}
