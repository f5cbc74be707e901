#include "nn_attention.h"

/* sum of a*b over n values and `half`, shortened */
static inline int32_t product(const int16_t *a, const int16_t *b, uint32_t n, int32_t half,
                              uint32_t bits)
{
    int64_t acc = half;
    for (; n >= 2; n -= 2, a += 2, b += 2)
        acc = nn_smlald(nn_load_pair(a), nn_load_pair(b), acc);
    if (n)
        acc += *a * *b;
    return (int32_t)(acc >> bits);
}

#if NN_MVE

#define AT_ONCE 4u

static inline uint32_t loadable(const nn_attention *op, const int16_t *queries, const int16_t *keys)
{
    (void)queries, (void)keys;
    return op->keys >= AT_ONCE;
}

#define LONGEST 4u /* vectors of a query that registers hold */

/* One query with four keys; `vectors`, a constant: of eight values, in `q`. */
static inline __attribute__((always_inline)) int32x4_t
four_keys(const nn_attention *op, const int16x8_t *q, const int16_t *key, uint32_t vectors)
{
    int32x4_t sums = vdupq_n_s32(0);
    for (int i = 0; i < 4; i++, key += row_of(op)) {
        int64_t acc = half_of(op);
        for (uint32_t v = 0; v < vectors; v++)
            acc = vmlaldavaq_s16(acc, q[v], vld1q_s16(key + 8 * v));
        sums[i] = (int32_t)(acc >> op->bits);
    }
    return sums;
}

/* A query of one head with all keys; the last block holds the last keys, some of them once more. */
static inline __attribute__((always_inline)) void
keys_of_vectors(const nn_attention *op, const int16_t *query, const int16_t *key, int16_t *y,
                uint32_t vectors)
{
    const uint32_t last = op->keys - AT_ONCE, row = row_of(op);
    int16x8_t q[LONGEST];
    for (uint32_t v = 0; v < vectors; v++)
        q[v] = vld1q_s16(query + 8 * v);
    for (uint32_t k = 0;; k = k + AT_ONCE < last ? k + AT_ONCE : last) {
        vstrhq_s32(y + k, four_outputs(op, four_keys(op, q, key + k * row, vectors), 0));
        if (k == last)
            break;
    }
}

/* The same for any number of values */
static inline int32_t long_product(const nn_attention *op, const int16_t *query, const int16_t *key)
{
    int64_t acc = half_of(op);
    for (int32_t left = op->depth; left > 0; left -= 8, query += 8, key += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)left);
        acc = vmlaldavaq_s16(acc, vldrhq_z_s16(query, there), vldrhq_z_s16(key, there));
    }
    return (int32_t)(acc >> op->bits);
}

static inline void one_query(const nn_attention *op, const int16_t *query, const int16_t *key,
                             int16_t *y)
{
    if (op->depth == 8)
        keys_of_vectors(op, query, key, y, 1);
    else if (op->depth == 16)
        keys_of_vectors(op, query, key, y, 2);
    else if (op->depth == 32)
        keys_of_vectors(op, query, key, y, LONGEST);
    else
        for (uint32_t k = op->keys; k; k--, key += row_of(op))
            *y++ = output_of(op, long_product(op, query, key));
}

#elif NN_DSP

#define AT_ONCE 2u

static inline uint32_t loadable(const nn_attention *op, const int16_t *queries, const int16_t *keys)
{
    return op->keys >= AT_ONCE && op->depth % 4u == 0 && nn_on_words(queries, keys);
}

/* What all pairs of keys share */
typedef struct {
    uint32_t size;     /* bytes of a query */
    int32_t half;      /* what a sum begins with */
    uint32_t bits, up; /* up = 32 - bits: a register shifted by 32 is 0 */
    int32_t mult;
    nn_clamp_pair clamp;
    uint32_t on, row; /* bytes from behind a second key to the next first one, and between keys */
} key_pairs;
NN_LIES(key_pairs, bits, 8);
NN_LIES(key_pairs, mult, 16);
NN_LIES(key_pairs, clamp.top, 24);
NN_LIES(key_pairs, on, 32);

/* One query with pairs of keys, of which there is one at least, up to the output `end`.
 * r0 the query, r3 its end, r1 and r2 the keys, r4:r5 and r6:r7 the sums, lr the output */
/* stack: 40 bytes */
static NN_NAKED void pairs_of_keys(const key_pairs *pairs, const int16_t *query_end,
                                   const int16_t *key, int16_t *y, const int16_t *end)
{
#define FOUR_VALUES                                                                                \
    "ldrd r8, r9, [r0], #8\n\tldrd r10, r11, [r1], #8\n\t"                                         \
    "smlald r4, r5, r8, r10\n\tsmlald r4, r5, r9, r11\n\t"                                         \
    "ldrd r10, r11, [r2], #8\n\t"                                                                  \
    "smlald r6, r7, r8, r10\n\tsmlald r6, r7, r9, r11\n\t"
    __asm__("push {r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\t"
            "mov r12, r0\n\tmov lr, r3\n\tmov r3, r1\n\tmov r1, r2\n\t"
            "ldr r8, [r12, #36]\n\tadd r2, r1, r8\n\tldr r8, [sp, #40]\n\tstr r8, [sp]\n1:\n\t"
            "ldrd r8, r4, [r12]\n\tmovs r5, #0\n\tmov r6, r4\n\tmovs r7, #0\n\t"
            "subs r0, r3, r8\n\tlsls r8, r8, #28\n\tbpl 2f\n\t"
            FOUR_VALUES "cmp r0, r3\n\tbeq 3f\n2:\n\t"
            FOUR_VALUES FOUR_VALUES "cmp r0, r3\n\tbne 2b\n3:\n\t"
            "ldrd r8, r9, [r12, #8]\n\tldrd r10, r11, [r12, #16]\n\t"
            "lsls r5, r9\n\tlsrs r4, r8\n\torrs r4, r5\n\t"
            "lsls r7, r9\n\tlsrs r6, r8\n\torrs r6, r7\n\t"
            "smmlar r4, r4, r10, r11\n\tsmmlar r6, r6, r10, r11\n\tldrd r8, r9, [r12, #24]\n\t"
            "usat r4, #16, r4\n\tusat r6, #16, r6\n\tpkhbt r4, r4, r6, lsl #16\n\t"
            "uqadd16 r4, r4, r8\n\tuadd16 r4, r4, r9\n\tldrd r8, r9, [r12, #32]\n\t"
            "str r4, [lr], #4\n\tldr r4, [sp]\n\tadd r1, r2, r8\n\tadd r2, r1, r9\n\t"
            "cmp lr, r4\n\tbne 1b\n\t"
            "add sp, sp, #4\n\tpop {r4, r5, r6, r7, r8, r9, r10, r11, pc}");
}

/* A query of one head with all keys; of an odd number the last two by themselves. */
static void one_query(const nn_attention *op, const int16_t *query, const int16_t *key, int16_t *y)
{
    const uint32_t row = row_of(op), keys = op->keys;
    const key_pairs pairs = {.size = 2u * op->depth,
                             .half = half_of(op),
                             .bits = op->bits,
                             .up = 32u - op->bits,
                             .mult = op->mult,
                             .clamp = nn_clamp_to(op->lo, op->hi),
                             .on = 2 * (row - op->depth),
                             .row = 2 * row};
    pairs_of_keys(&pairs, query + op->depth, key, y, y + (keys & ~1u));
    if (keys & 1u)
        pairs_of_keys(&pairs, query + op->depth, key + (keys - 2u) * row, y + keys - 2, y + keys);
}

#else
static inline uint32_t loadable(const nn_attention *op, const int16_t *queries, const int16_t *keys)
{
    (void)op, (void)queries, (void)keys;
    return 0;
}

static inline void one_query(const nn_attention *op, const int16_t *query, const int16_t *key,
                             int16_t *y)
{
    (void)op, (void)query, (void)key, (void)y;
}
#endif

/* The definition */
static inline void every_key(const nn_attention *op, const int16_t *query, const int16_t *key,
                             int16_t *y)
{
    const uint32_t row = row_of(op);
    for (uint32_t k = op->keys; k; k--, key += row)
        *y++ = output_of(op, product(query, key, op->depth, half_of(op), op->bits));
}

void nn_attention_scores_s16(const nn_attention *op, const int16_t *queries, const int16_t *keys,
                             int16_t *y)
{
    const nn_attention own = *op; /* which no store to y can change */
    const uint32_t fast = loadable(&own, queries, keys);
    const uint32_t next = own.shared ? 0 : own.keys * row_of(&own);
    for (uint32_t t = own.frames; t; t--, keys += next)
        for (uint32_t h = 0; h < own.heads; h++, queries += own.depth, y += own.keys)
            if (fast)
                one_query(&own, queries, keys + h * own.depth, y);
            else
                every_key(&own, queries, keys + h * own.depth, y);
}
