/* Tendon 0.1.0: network w8a16, its constants. Graph
 * 392a68dbb01c1901e24555bd428348a2d75c7692002634026a8e576f191670b6 */
#include "network_tables.h"
#include "network.h"

/* A linker script chooses the memory of the tables by the sections that they have on an Arm
 * core. Define NETWORK_IN_TABLES(table) to choose otherwise; the alignment must stay. */
#ifndef NETWORK_IN_TABLES
#ifdef __arm__
#define NETWORK_IN_TABLES(table) \
    __attribute__((aligned(8), section(".rodata.model_tables." #table)))
#else
#define NETWORK_IN_TABLES(table) __attribute__((aligned(8)))
#endif
#endif

NETWORK_IN_TABLES(network_inward_2_weights)
const int8_t network_inward_2_weights[128] = {
    70, -12, 81, -48, 36, 66, -62, -124, 37, 6, -60, 18, 127, 102, 123, -68, -28, -79, 7, 77, 114,
    -61, -55, -7, -26, -2, 69, -22, 85, 37, -22, 68, 49, 71, 63, 114, 97, -85, -118, -38, 19, -56,
    -53, -128, 55, -31, 2, 78, -127, 39, -17, -43, -123, -15, -60, 126, -10, 80, 0, 0, -68, 39, 0,
    0, -93, 29, -24, -97, 0, 0, 0, 0, 78, -79, 93, 50, 0, 0, 0, 0, -3, -104, -34, -123, 0, 0, 0, 0,
    87, 68, 21, 8, 0, 0, 0, 0, 70, 100, 127, -127, 0, 0, 0, 0, -109, -24, 8, -20, 0, 0, 0, 0, -80,
    68, -102, 80, 0, 0, 0, 0, 47, 77, 0, 0, 0, 0, 0, 0,
};

NETWORK_IN_TABLES(network_inward_2_bias)
const int32_t network_inward_2_bias[6] = {
    280328, -629719, 168077, 197962, -619745, -420576,
};

NETWORK_IN_TABLES(network_inward_2_mult)
const int32_t network_inward_2_mult[6] = {
    13592689, 14114111, 14167058, 14381199, 12805200, 13371426,
};

NETWORK_IN_TABLES(network_gates_weights)
const int8_t network_gates_weights[96] = {
    47, 72, 25, 55, 92, 18, 28, 110, -59, -83, -42, -109, 43, 107, 100, 92, 127, 122, -26, 6, 127,
    -107, -89, -107, -111, 22, -63, 30, 91, -37, 4, -12, -42, 126, 59, 124, -93, -128, 105, -29, 0,
    0, 0, 0, 0, 0, 0, 0, -77, -128, 16, -29, 127, -89, 98, -109, 127, 78, -80, 124, 92, -59, 105,
    -15, 68, -84, -71, 28, 93, -80, 38, 47, -82, -6, 117, -73, -69, 60, 8, 83, -110, 47, -99, -53,
    107, 127, -104, -92, 0, 0, 0, 0, 0, 0, 0, 0,
};

NETWORK_IN_TABLES(network_gates_bias)
const int32_t network_gates_bias[8] = {
    2269480, 304800, -821142, 164595, 303645, 1002205, -1884491, -639194,
};

NETWORK_IN_TABLES(network_gates_mult)
const int32_t network_gates_mult[8] = {
    3956724, 4311935, 4096402, 3721779, 4305713, 4061845, 3727660, 4225930,
};

NETWORK_IN_TABLES(network_input_weights)
const int8_t network_input_weights[32] = {
    58, -44, -43, 126, -99, 62, -73, 126, 72, -15, 61, -4, 121, -101, -56, 42, 115, -123, 127, -84,
    -127, -72, 65, -44, 0, 0, 0, 0, 0, 0, 0, 0,
};

NETWORK_IN_TABLES(network_input_bias)
const int32_t network_input_bias[4] = {
    985376, -998198, -416145, 1524625,
};

NETWORK_IN_TABLES(network_input_mult)
const int32_t network_input_mult[4] = {
    4364037, 6331303, 4842517, 4197153,
};

NETWORK_IN_TABLES(network_l0_state_weights)
const int8_t network_l0_state_weights[16] = {
    36, 127, -110, 5, 46, -127, 127, 103, 127, -16, -58, -8, 43, 123, 82, 117,
};

NETWORK_IN_TABLES(network_l0_state_bias)
const int32_t network_l0_state_bias[4] = {
    -1111861, 1481161, 1804675, -1197364,
};

NETWORK_IN_TABLES(network_l0_state_mult)
const int32_t network_l0_state_mult[4] = {
    38460376, 27135234, 21235802, 40522458,
};

NETWORK_IN_TABLES(network_sigmoid)
const int16_t network_sigmoid[257] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4,
    4, 4, 5, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12, 14, 15, 16, 18, 20, 22, 24, 26, 29, 32, 35, 38, 42,
    46, 51, 56, 61, 67, 74, 81, 89, 98, 107, 118, 129, 142, 156, 171, 188, 206, 226, 248, 272, 299,
    328, 360, 395, 433, 475, 521, 571, 626, 686, 752, 825, 903, 989, 1083, 1186, 1298, 1420, 1553,
    1698, 1855, 2026, 2212, 2413, 2632, 2868, 3123, 3398, 3694, 4013, 4355, 4721, 5113, 5531, 5975,
    6447, 6947, 7474, 8029, 8611, 9219, 9853, 10511, 11191, 11892, 12611, 13346, 14094, 14852,
    15616, 16384, 17152, 17916, 18674, 19422, 20157, 20876, 21577, 22257, 22915, 23549, 24157,
    24739, 25294, 25821, 26321, 26793, 27237, 27655, 28047, 28413, 28755, 29074, 29370, 29645,
    29900, 30136, 30355, 30556, 30742, 30913, 31070, 31215, 31348, 31470, 31582, 31685, 31779,
    31865, 31943, 32016, 32082, 32142, 32197, 32247, 32293, 32335, 32373, 32408, 32440, 32469,
    32496, 32520, 32542, 32562, 32580, 32597, 32612, 32626, 32639, 32650, 32661, 32670, 32679,
    32687, 32694, 32701, 32707, 32712, 32717, 32722, 32726, 32730, 32733, 32736, 32739, 32742,
    32744, 32746, 32748, 32750, 32752, 32753, 32754, 32756, 32757, 32758, 32759, 32759, 32760,
    32761, 32762, 32762, 32763, 32763, 32764, 32764, 32764, 32765, 32765, 32765, 32765, 32766,
    32766, 32766, 32766, 32766, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
};

NETWORK_IN_TABLES(network_tanh)
const int16_t network_tanh[257] = {
    -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767,
    -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767,
    -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767,
    -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32766, -32766, -32766, -32766, -32765,
    -32765, -32765, -32764, -32764, -32763, -32762, -32762, -32761, -32760, -32759, -32758, -32756,
    -32755, -32753, -32751, -32749, -32746, -32743, -32740, -32736, -32732, -32727, -32722, -32715,
    -32708, -32700, -32691, -32681, -32670, -32657, -32642, -32625, -32606, -32585, -32560, -32533,
    -32502, -32466, -32426, -32381, -32330, -32272, -32207, -32133, -32049, -31954, -31847, -31727,
    -31591, -31437, -31264, -31069, -30849, -30602, -30325, -30013, -29663, -29272, -28834, -28346,
    -27802, -27196, -26525, -25782, -24963, -24061, -23073, -21994, -20821, -19550, -18181, -16714,
    -15150, -13494, -11749, -9925, -8030, -6077, -4077, -2047, 0, 2047, 4077, 6077, 8030, 9925,
    11749, 13494, 15150, 16714, 18181, 19550, 20821, 21994, 23073, 24061, 24963, 25782, 26525,
    27196, 27802, 28346, 28834, 29272, 29663, 30013, 30325, 30602, 30849, 31069, 31264, 31437,
    31591, 31727, 31847, 31954, 32049, 32133, 32207, 32272, 32330, 32381, 32426, 32466, 32502,
    32533, 32560, 32585, 32606, 32625, 32642, 32657, 32670, 32681, 32691, 32700, 32708, 32715,
    32722, 32727, 32732, 32736, 32740, 32743, 32746, 32749, 32751, 32753, 32755, 32756, 32758,
    32759, 32760, 32761, 32762, 32762, 32763, 32764, 32764, 32765, 32765, 32765, 32766, 32766,
    32766, 32766, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767, 32767,
    32767, 32767, 32767, 32767, 32767, 32767,
};

NETWORK_IN_TABLES(network_outward_weights)
const int8_t network_outward_weights[16] = {
    -127, -70, -14, 2, 0, 0, 0, 0, 65, -127, -4, -96, 0, 0, 0, 0,
};

NETWORK_IN_TABLES(network_outward_bias)
const int32_t network_outward_bias[2] = {
    -1100105, 1189284,
};

NETWORK_IN_TABLES(network_outward_mult)
const int32_t network_outward_mult[2] = {
    61292036, 70139149,
};

const network_table network_tables[NETWORK_TABLE_COUNT] = {
    {network_inward_2_weights, sizeof network_inward_2_weights},
    {network_inward_2_bias, sizeof network_inward_2_bias},
    {network_inward_2_mult, sizeof network_inward_2_mult},
    {network_gates_weights, sizeof network_gates_weights},
    {network_gates_bias, sizeof network_gates_bias},
    {network_gates_mult, sizeof network_gates_mult},
    {network_input_weights, sizeof network_input_weights},
    {network_input_bias, sizeof network_input_bias},
    {network_input_mult, sizeof network_input_mult},
    {network_l0_state_weights, sizeof network_l0_state_weights},
    {network_l0_state_bias, sizeof network_l0_state_bias},
    {network_l0_state_mult, sizeof network_l0_state_mult},
    {network_sigmoid, sizeof network_sigmoid},
    {network_tanh, sizeof network_tanh},
    {network_outward_weights, sizeof network_outward_weights},
    {network_outward_bias, sizeof network_outward_bias},
    {network_outward_mult, sizeof network_outward_mult},
};
