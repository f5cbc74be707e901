#include "nn.h"
#include "nn_intrinsics.h"

#define SEGMENT 7 /* bits of 2⁻¹¹ nats in one segment of the table, 1/16 nat */
#define DEEPEST 32767

/* round(2¹⁵·exp(−j/16)) − 2¹⁵, so that two of them are a pair of int16 */
static const int16_t exponentials[257] = {
    0, -1985, -3850, -5602, -7248, -8794, -10247, -11611, -12893, -14097, -15229, -16291, -17289,
    -18227, -19108, -19936, -20713, -21444, -22130, -22774, -23380, -23949, -24483, -24985, -25456,
    -25899, -26316, -26707, -27074, -27419, -27743, -28047, -28333, -28602, -28854, -29092, -29314,
    -29524, -29720, -29905, -30078, -30241, -30394, -30538, -30673, -30800, -30919, -31031, -31137,
    -31235, -31328, -31416, -31497, -31574, -31647, -31715, -31778, -31838, -31895, -31948, -31997,
    -32044, -32088, -32129, -32168, -32204, -32238, -32270, -32301, -32329, -32356, -32381, -32404,
    -32426, -32447, -32466, -32485, -32502, -32518, -32533, -32547, -32561, -32573, -32585, -32596,
    -32606, -32616, -32625, -32634, -32642, -32650, -32657, -32664, -32670, -32676, -32682, -32687,
    -32692, -32696, -32701, -32705, -32709, -32712, -32716, -32719, -32722, -32725, -32727, -32730,
    -32732, -32734, -32736, -32738, -32740, -32742, -32743, -32745, -32746, -32747, -32749, -32750,
    -32751, -32752, -32753, -32754, -32755, -32756, -32756, -32757, -32758, -32758, -32759, -32759,
    -32760, -32760, -32761, -32761, -32762, -32762, -32762, -32763, -32763, -32763, -32764, -32764,
    -32764, -32764, -32765, -32765, -32765, -32765, -32765, -32766, -32766, -32766, -32766, -32766,
    -32766, -32766, -32766, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767,
    -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768,
};

/* 2¹⁵·exp(−q) for q in steps of 2⁻¹¹ nats, rounded to the nearest, halves down */
static inline uint32_t exponential(int32_t q)
{
    const int16_t *e = exponentials + (q >> SEGMENT);
    const uint32_t k = (uint32_t)q & 127u;
    /* the pair (128 − k, k) */
    const uint32_t share = (uint32_t)nn_mla((int32_t)k, 65535, 128);
    return (uint32_t)nn_smlad(nn_load_pair(e), share, (32768 << SEGMENT) + 63) >> SEGMENT;
}

static int32_t maximum(const int16_t *x, uint32_t n)
{
    int32_t max = x[0];
    for (uint32_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

/* The exponentials of a row as uint16 in y, and their sum */
static uint32_t exponentials_of(const nn_softmax *op, const int16_t *x, int16_t *y)
{
    const int32_t max = maximum(x, op->n);
    uint32_t total = 0;
    for (uint32_t i = 0; i < op->n; i++) {
        const int32_t q = nn_requant(max - x[i], op->shift, op->mult);
        const uint32_t e = exponential(q < DEEPEST ? q : DEEPEST);
        total += e;
        y[i] = (int16_t)e;
    }
    return total;
}

/* Each exponential over their sum, which is 2¹⁵ at least */
static void shares(const nn_softmax *op, uint32_t total, int16_t *y)
{
    const uint32_t bits = 16u - (uint32_t)__builtin_clz(total);
    const uint32_t factor = (1u << 31) / ((total + ((1u << bits) >> 1)) >> bits);
    for (uint32_t i = 0; i < op->n; i++) {
        const uint32_t share = ((uint16_t)y[i] * factor + (1u << (15 + bits))) >> (16 + bits);
        y[i] = (int16_t)(share < 32767u ? share : 32767u);
    }
}

void nn_softmax_s16(const nn_softmax *op, const int16_t *x, int16_t *y)
{
    for (uint32_t r = op->rows; r; r--, x += op->n, y += op->n)
        shares(op, exponentials_of(op, x, y), y);
}
