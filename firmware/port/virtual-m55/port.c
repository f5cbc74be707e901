/* The Cortex-M55 of QEMU's mps3-an547. There is no such chip to buy; this port runs networks with
 * the vector instructions of Armv8.1-M and counts their instructions exactly. Its 32 MHz are those
 * of Arm's FPGA image: a rate for SysTick, not a claim about speed. */
#include "cmsdk.h"
#include "line.h"
#include "port.h"
#include "registers.h"

/* Under -icount shift=0 an instruction is a nanosecond: a tick of 32 MHz is 31 1/4 of them. */
static port_info info = {.name = "virtual-m55", .clock_hz = CORE_HZ,
                         .counts = PORT_COUNTS_INSTRUCTIONS, .tick_num = 125u, .tick_den = 4u,
                         .line_bytes = RING_BYTES};

const port_info *port_start(void)
{
    counter_start();
    cmsdk_start();
    return &info;
}
