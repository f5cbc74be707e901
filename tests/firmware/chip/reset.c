/* What stm32/reset.c makes of a register of causes: its value is the one argument, hexadecimal.
 * Standard output: the cause, whether RAM is lost, the flags, what was written. */
#include "reset.h"
#include <stdio.h>
#include <stdlib.h>

static volatile uint32_t value;
static uint32_t seen;

volatile uint32_t *chip_register(uint32_t address)
{
    if (address == 0)
        exit(3);
    if (value != seen)
        printf("wrote %x\n", seen = value);
    return &value;
}

int main(int count, char **words)
{
    value = seen = count == 2 ? (uint32_t)strtoul(words[1], NULL, 16) : 0u;
    const reset_origin origin = reset_read();
    (void)chip_register(1);
    printf("%u %d %x\n", origin.cause, origin.ram_lost, origin.flags);
    return 0;
}
