/* Reads pairs of status and data register from standard input, as the receive interrupt would find
 * them; writes what reached the ring, then the three counts. */
#include "receive.h"
#include <stdio.h>

int main(void)
{
    static ring into;
    static receive_counts counts;
    int status, byte;
    while ((status = getchar()) != EOF && (byte = getchar()) != EOF)
        receive(&into, &counts, (uint32_t)status, (uint8_t)byte);
    uint8_t out[RING_BYTES];
    printf("%.*s|", (int)ring_take(&into, out, sizeof out), (const char *)out);
    printf("%u %u %u", (unsigned)counts.overruns, (unsigned)counts.dropped,
           (unsigned)counts.line_errors);
    return 0;
}
