/* A board's own part of the vector table: an array of all its peripherals' vectors, right behind
 * those of the core.
 *     const vector peripheral_vectors[82] PERIPHERAL_VECTORS = {[37] = USART1_IRQHandler}; */
#ifndef VECTORS_H
#define VECTORS_H

typedef void (*vector)(void);

#define PERIPHERAL_VECTORS __attribute__((section(".vectors.peripheral"), used))
#endif
