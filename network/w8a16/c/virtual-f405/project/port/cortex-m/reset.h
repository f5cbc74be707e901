/* What a chip itself says of why it started: of its family (stm32/reset.c, cmsdk/cmsdk.c). */
#ifndef RESET_H
#define RESET_H
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t cause; /* PORT_RESET_... of port.h */
    bool ram_lost;  /* reading what RAM held before could itself be a fault (error correction) */
    uint32_t flags; /* its register of causes; 0 where it has none */
} reset_origin;

/* Once, at the start: reads the flags and clears them, or the next start would find them too. */
reset_origin reset_read(void);

/* Is a non-maskable interrupt the watchdog's? */
extern const bool reset_nmi_is_watchdog;
#endif
