#include "nn_attention.h"

/* Σ a·b over n values and `half`, shortened */
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

/* Four values of a query with those of two keys */
#define FOUR_VALUES                                                                            \
    "ldrd %[q], %[r], [%[query]], #8\n\tldrd %[s], %[t], [%[k]], #8\n\t"                        \
    "smlald %Q[a], %R[a], %[q], %[s]\n\tsmlald %Q[a], %R[a], %[r], %[t]\n\t"                     \
    "ldrd %[s], %[t], [%[l]], #8\n\t"                                                           \
    "smlald %Q[b], %R[b], %[q], %[s]\n\tsmlald %Q[b], %R[b], %[r], %[t]\n\t"
#define EIGHT_VALUES FOUR_VALUES FOUR_VALUES "cmp %[query], %[end]\n\tbne 1b\n\t"
#define OPERANDS                                                                               \
    [query] "+&r"(query), [k] "+&r"(k), [l] "+&r"(l), [a] "+&r"(a), [b] "+&r"(b),               \
        [q] "=&r"(q), [r] "=&r"(r), [s] "=&r"(s), [t] "=&r"(t)

/* acc >> bits in 32 bits: a register shifted by 32 is 0 */
static inline int32_t shortened(int64_t acc, uint32_t bits)
{
    uint32_t low, high;
    __asm__("lsl %[high], %R[acc], %[up]\n\tlsr %[low], %Q[acc], %[bits]\n\t"
            : [low] "=r"(low), [high] "=&r"(high)
            : [acc] "r"(acc), [bits] "r"(bits), [up] "r"(32u - bits));
    return (int32_t)(low | high);
}

/* One query with pairs of keys, eight values a turn; `four`, a constant: four more come first. */
static inline __attribute__((always_inline)) void
pairs_of_keys(const nn_attention *op, const int16_t *query, const int16_t *k, int16_t *y,
              uint32_t pairs, uint32_t four)
{
    const uint32_t row = row_of(op);
    const int16_t *const end = query + op->depth;
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    for (int16_t *const last = y + 2 * pairs; y != last; y += 2) {
        const int16_t *l = k + row;
        int64_t a = half_of(op), b = a;
        uint32_t q, r, s, t;
        if (four)
            __asm__(FOUR_VALUES "cmp %[query], %[end]\n\tbeq 2f\n1:\n\t" EIGHT_VALUES "2:\n\t"
                    : OPERANDS : [end] "r"(end) : "cc", "memory");
        else
            __asm__("1:\n\t" EIGHT_VALUES : OPERANDS : [end] "r"(end) : "cc", "memory");
        nn_store_pair(y, nn_clamp_requant(&clamp, shortened(a, op->bits), op->mult,
                                          shortened(b, op->bits), op->mult));
        query -= op->depth, k = l + (row - op->depth);
    }
}

static inline void several_keys(const nn_attention *op, const int16_t *query, const int16_t *key,
                                int16_t *y, uint32_t pairs)
{
    if (op->depth & 4u)
        pairs_of_keys(op, query, key, y, pairs, 1);
    else
        pairs_of_keys(op, query, key, y, pairs, 0);
}

/* A query of one head with all keys; of an odd number the last two by themselves. */
static void one_query(const nn_attention *op, const int16_t *query, const int16_t *key, int16_t *y)
{
    several_keys(op, query, key, y, op->keys / 2u);
    if (op->keys & 1u)
        several_keys(op, query, key + (op->keys - 2u) * row_of(op), y + op->keys - 2, 1);
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
