/* Numbers as text, without printf() and without floating point on the device. */
#ifndef NUMBER_TEXT_H
#define NUMBER_TEXT_H
#include <stdint.h>

/* `real` as a factor of words: constant, so the compiler computes it. */
#define FACTOR(real) ((int64_t)((real)*4294967296.0 + 0.5))

/* An int16 times a factor, to the nearest. */
static inline int64_t times(int16_t word, int64_t factor)
{
    return (word * factor + ((int64_t)1 << 31)) >> 32;
}

/* Says value / 10^decimals. */
static inline void say_number(int64_t value, int decimals, void (*say)(const char *text))
{
    char text[32], *at = &text[sizeof text - 1];
    uint64_t rest = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
    *at = '\0';
    for (int digit = 0; digit <= decimals || rest > 0; digit++) {
        if (digit > 0 && digit == decimals)
            *--at = '.';
        *--at = (char)('0' + rest % 10u);
        rest /= 10u;
    }
    if (value < 0)
        *--at = '-';
    say(at);
}
#endif
