/* A port's USART: reception by interrupt into a ring that needs no masking, transmission by
 * polling, 921600 baud, 8N1. port_write() and the handler are in stm32-usart-sr or stm32-usart-isr,
 * by the kind the chip has; registers.h says USART_BASE and USART_IRQ. */
#ifndef USART_H
#define USART_H
#include <stdint.h>

#define BAUD 921600u

/* `divider` goes into BRR; `core_hz` bounds how long a byte may take. Pins and the USART's clock
 * are set already. */
void usart_start(uint32_t divider, uint32_t core_hz);

/* 16 samples per bit, to the nearest. */
static inline uint32_t usart_divider(uint32_t line_hz)
{
    return (line_hz + BAUD / 2u) / BAUD;
}
#endif
