#include "cmsdk.h"
#include "line.h"
#include "port.h"
#include "registers.h"
#include "reset.h"
#include "vectors.h"

/* APB UART */
#define UART_DATA REGISTER(UART_BASE)
#define UART_STATE REGISTER(UART_BASE + 4u)
#define UART_CTRL REGISTER(UART_BASE + 8u)
#define UART_INTCLEAR REGISTER(UART_BASE + 0xCu)
#define UART_BAUDDIV REGISTER(UART_BASE + 0x10u)
#define UART_STATE_TX_FULL (1u << 0)
#define UART_STATE_RX_FULL (1u << 1)
#define UART_STATE_RX_OVERRUN (1u << 3) /* written 1 it is cleared */
#define UART_CTRL_TX (1u << 0)
#define UART_CTRL_RX (1u << 1)
#define UART_CTRL_RX_INTERRUPT (1u << 3)
#define UART_INT_RX (1u << 1)

/* APB watchdog. Its first time-out is an NMI, which here is a fault, its second one a reset. */
#define WATCHDOG_LOAD REGISTER(WATCHDOG_BASE)
#define WATCHDOG_CONTROL REGISTER(WATCHDOG_BASE + 8u)
#define WATCHDOG_LOCK REGISTER(WATCHDOG_BASE + 0xC00u)
#define WATCHDOG_CONTROL_INTERRUPT 1u
#define WATCHDOG_CONTROL_RESET 2u
#define WATCHDOG_LOCK_OPEN 0x1ACCE551u

/* polls of the transmitter, about 20 ms of the emulator's own time: it waits for a socket, not for
 * a wire */
#define WRITE_TURNS 5000000u

/* QEMU keeps no register that says why it was reset: what is known is what RAM held. */
const bool reset_nmi_is_watchdog = true;

reset_origin reset_read(void)
{
    return (reset_origin){.cause = PORT_RESET_UNKNOWN};
}

/* 1 s of executed instructions to the NMI, 1 s more to the reset. */
static void start_watchdog(void)
{
    WATCHDOG_LOCK = WATCHDOG_LOCK_OPEN;
    line_serve_watchdog();
    WATCHDOG_CONTROL = WATCHDOG_CONTROL_INTERRUPT | WATCHDOG_CONTROL_RESET;
}

/* While the core sleeps the emulator's clock follows the host's, also while the host does not let
 * the emulator run: no fault of the program. It cannot be stopped and started again (QEMU 7.2
 * counts on and remembers), but given its longest period. */
void line_rest_watchdog(void)
{
    WATCHDOG_LOAD = UINT32_MAX;
}

/* It counts from a new load at once. */
void line_serve_watchdog(void)
{
    WATCHDOG_LOAD = WATCHDOG_HZ;
}

void cmsdk_start(void)
{
    UART_BAUDDIV = 16u; /* the least there is; the emulator takes no time from it */
    UART_CTRL = UART_CTRL_TX | UART_CTRL_RX | UART_CTRL_RX_INTERRUPT;
    NVIC_IPR(UART_RX_IRQ) = 0; /* above SysTick */
    NVIC_ISER(UART_RX_IRQ) = 1u << (UART_RX_IRQ % 32u);
    start_watchdog();
}

/* The interrupt is cleared before the byte is taken: reading it makes room for the next one, whose
 * interrupt must stay. */
static void UART_RX_Handler(void)
{
    const uint32_t begin = counter_ticks(), state = UART_STATE;
    const uint32_t waiting = (state & UART_STATE_RX_FULL) ? RECEIVE_RXNE : 0u,
                   overrun = (state & UART_STATE_RX_OVERRUN) ? RECEIVE_ORE : 0u;
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
