/* Tendon 0.1.0: network w8a16, its self-test. Graph
 * 392a68dbb01c1901e24555bd428348a2d75c7692002634026a8e576f191670b6 */
#include "network.h"

/* CRC-32 (IEEE 802.3), bit by bit: about 45 instructions a byte */
static uint32_t crc_of(uint32_t crc, const void *bytes, uint32_t count)
{
    const uint8_t *at = (const uint8_t *)bytes;
    crc = ~crc;
    while (count-- > 0) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

/* The same samples everywhere: the upper bits of a linear congruential generator */
static uint32_t make_samples(uint32_t seed, int16_t *samples)
{
    for (uint32_t i = 0; i < NETWORK_STEP_SAMPLES; i++) {
        seed = seed * 1664525u + 1013904223u;
        samples[i] = (int16_t)((int32_t)(seed >> 18) - 8192);
    }
    return seed;
}

static int tables_are_whole(void)
{
    uint32_t crc = 0;
    const network_table *table = network_tables;
    for (uint32_t i = 0; i < NETWORK_TABLE_COUNT; i++, table++)
        crc = crc_of(crc, table->data, table->bytes);
    return crc == NETWORK_TABLES_CRC;
}

int network_selftest(network *self, int16_t *samples, int16_t *out)
{
    uint32_t crc = 0, seed = 1u;
    network_reset(self);
    if (!tables_are_whole())
        return 1;
    for (int step = 0; step < 3; step++) {
        seed = make_samples(seed, samples);
        network_step(self, samples, out);
        crc = crc_of(crc, out, 2u * NETWORK_STEP_OUTPUTS);
    }
    network_reset(self);
    /* what the reference, Tendon's integer interpreter, gave */
    return crc == 0x5950dbf1u ? 0 : 2;
}
