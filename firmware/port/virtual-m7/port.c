/* The Cortex-M7 of QEMU's mps2-an500: UART 0 of the Cortex-M System Design Kit. There is no such chip to buy; this port runs networks that are
 * too large for an STM32F405 on an emulated Cortex-M7 and counts their instructions exactly. Its 25 MHz are those of Arm's FPGA image: a
 * rate for SysTick, not a claim about speed. */
#include "line.h"
#include "port.h"
#include "registers.h"
#include "vectors.h"

#define CORE_HZ 25000000u
#define WRITE_TURNS 5000000u /* polls of the transmitter, about 20 ms of the emulator's own time: it waits for a socket, not for a wire */

/* Under -icount shift=0 an instruction is a nanosecond: a tick of 25 MHz is 40 of them. */
static port_info info = {.name = "virtual-m7", .clock_hz = CORE_HZ, .counts = PORT_COUNTS_INSTRUCTIONS, .tick_num = 40u, .tick_den = 1u,
                         .line_bytes = RING_BYTES};

/* 1 s of the emulated clock to the NMI, 1 s more to the reset. */
static void start_watchdog(void)
{
    WATCHDOG_LOCK = WATCHDOG_LOCK_OPEN;
    WATCHDOG_LOAD = CORE_HZ;
    WATCHDOG_CONTROL = WATCHDOG_CONTROL_INTERRUPT | WATCHDOG_CONTROL_RESET;
}

void line_serve_watchdog(void)
{
    WATCHDOG_INTCLEAR = 1u; /* also loads it again */
}

const port_info *port_start(void)
{
    counter_start();
    UART_BAUDDIV = 16u; /* the least CMSDK allows; the emulator takes no time from it */
    UART_CTRL = UART_CTRL_TX | UART_CTRL_RX | UART_CTRL_RX_INTERRUPT;
    NVIC_IPR(UART_RX_IRQ) = 0; /* above SysTick */
    NVIC_ISER(UART_RX_IRQ) = 1u << UART_RX_IRQ;
    start_watchdog();
    return &info;
}

/* The interrupt is cleared before the byte is taken: reading it makes room for the next one, whose interrupt must stay. */
static void UART_RX_Handler(void)
{
    const uint32_t begin = counter_ticks(), state = UART_STATE;
    const uint32_t waiting = (state & UART_STATE_RX_FULL) ? RECEIVE_RXNE : 0u, overrun = (state & UART_STATE_RX_OVERRUN) ? RECEIVE_ORE : 0u;
    UART_INTCLEAR = UART_INT_RX;
    line_receive(waiting | overrun, (uint8_t)UART_DATA);
    UART_STATE = state & UART_STATE_RX_OVERRUN;
    line_handled_since(begin);
}

const vector peripheral_vectors[PERIPHERALS] PERIPHERAL_VECTORS = {[UART_RX_IRQ] = UART_RX_Handler};

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t turn = 0;
        while (UART_STATE & UART_STATE_TX_FULL)
            if (++turn == WRITE_TURNS)
                return;
        UART_DATA = bytes[i];
    }
}
