#include "port.h"

#include <stdio.h>

static FILE *cases, *results;

int port_begin(void)
{
    cases = fopen("cases.bin", "rb");
    results = fopen("results.bin", "wb");
    return cases && results;
}

int port_read(void *data, uint32_t bytes)
{
    return fread(data, 1, bytes, cases) == bytes;
}

void port_write(const void *data, uint32_t bytes)
{
    fwrite(data, 1, bytes, results);
}

uint32_t port_ticks(void)
{
    return 0;
}

int port_end(void)
{
    return fclose(cases) || fclose(results);
}
