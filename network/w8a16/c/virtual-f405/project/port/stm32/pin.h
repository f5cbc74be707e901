/* A pin of a port (GPIO): the same registers on every STM32 from the F4 on. RM0090 8.4, RM0390 7.4,
 * RM0432 8.4, RM0433 11.4, RM0456 13.4: MODER, OSPEEDR, PUPDR, AFRL and AFRH. The port's clock runs
 * already. */
#ifndef PIN_H
#define PIN_H
#include "core.h"

/* The `field` of `bits` bits that belongs to a pin becomes `value`. */
static inline void pin_field(uint32_t address, uint32_t field, uint32_t bits, uint32_t value)
{
    const uint32_t shift = field * bits, mask = (1u << bits) - 1u;
    REGISTER(address) = (REGISTER(address) & ~(mask << shift)) | value << shift;
}

/* The pin belongs to a peripheral, by the number of its alternate function (the chip's data sheet),
 * with fast edges. */
static inline void pin_alternate(uint32_t port, uint32_t pin, uint32_t function)
{
    pin_field(port + 0x20u + 4u * (pin / 8u), pin % 8u, 4u, function);
    pin_field(port + 0x08u, pin, 2u, 2u);
    pin_field(port + 0x00u, pin, 2u, 2u);
}

/* An open line rests. */
static inline void pin_pull_up(uint32_t port, uint32_t pin)
{
    pin_field(port + 0x0Cu, pin, 2u, 1u);
}
#endif
