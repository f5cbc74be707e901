#include "coremark.h"

#include <stdarg.h>
#include <stdio.h>

#include "port.h"

/* of a performance run */
volatile ee_s32 seed1_volatile = 0, seed2_volatile = 0, seed3_volatile = 0x66;
volatile ee_s32 seed4_volatile = ITERATIONS, seed5_volatile = 0;
ee_u32 default_num_contexts = 1;

void portable_init(core_portable *p, int *argc, char *argv[])
{
    (void)argc, (void)argv;
    p->portable_id = (ee_u8)port_begin();
}

void portable_fini(core_portable *p)
{
    (void)p;
    (void)port_end();
}

void start_time(void) {}

void stop_time(void) {}

CORE_TICKS get_time(void)
{
    return 0;
}

secs_ret time_in_secs(CORE_TICKS ticks)
{
    return ticks;
}

int ee_printf(const char *format, ...)
{
    char line[160];
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (length > 0)
        port_write(line, (uint32_t)(length < (int)sizeof line ? length : (int)sizeof line - 1));
    return length;
}
