/* The Cortex-M33 of QEMU's mps2-an505. There is no such chip to buy; this port runs networks on the
 * instruction set of the STM32U5, L5 and H5 and counts their instructions exactly. Its 20 MHz are
 * those of Arm's FPGA image: a rate for SysTick, not a claim about speed. */
#include "cmsdk.h"
#include "line.h"
#include "port.h"
#include "registers.h"

/* Under -icount shift=0 an instruction is a nanosecond: a tick of 20 MHz is 50 of them. */
static port_info info = {.name = "virtual-m33", .clock_hz = CORE_HZ,
                         .counts = PORT_COUNTS_INSTRUCTIONS, .tick_num = 50u, .tick_den = 1u,
                         .line_bytes = RING_BYTES};

const port_info *port_start(void)
{
    counter_start();
    cmsdk_start();
    return &info;
}
