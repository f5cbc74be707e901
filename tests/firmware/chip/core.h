/* Stands before the ports' core.h: every register is one of a simulated chip (chip.c). */
#ifndef CHIP_CORE_H
#define CHIP_CORE_H
#include_next "core.h"

#undef REGISTER
#define REGISTER(address) (*chip_register(address))
#undef REGISTER_AGAIN
#define REGISTER_AGAIN(at) (*chip_again(at))
#undef NVIC_IPR
#define NVIC_IPR(irq) (*(volatile uint8_t *)chip_register(0xE000E400u + (irq)))

volatile uint32_t *chip_register(uint32_t address);
const volatile uint32_t *chip_again(const volatile uint32_t *at);
#endif
