/* Calls the AES of github.com/jnk0le/cortexm-AES (which is not part of this project) as its author
 * measured it: 128-bit keys, one block, again and again. results.bin: what came out for the example
 * of FIPS 197, appendix C.1. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "port.h"

#if AES_FOR == 7
#include <aes/target/CM7.h>
#define KEYS CM7_1T_AES128_keyschedule_enc
#define INVERSE CM7_1T_AES_keyschedule_dec
#define ENCRYPT CM7_1T_AES_encrypt
#define DECRYPT CM7_1T_AES_decrypt
#define ENCRYPT_DSP CM7_DSPsBOX_AES_encrypt
#else
#include <aes/target/CM3.h>
#include <aes/target/CM4.h>
#define KEYS CM3_1T_AES128_keyschedule_enc
#define INVERSE CM3_1T_AES_keyschedule_dec
#define ENCRYPT CM3_1T_AES_encrypt
#define DECRYPT CM3_1T_AES_decrypt
#define ENCRYPT_DSP CM4_DSPsBOX_AES_encrypt
#endif

enum { ROUNDS = 10, TIMES = 100 };

static uint8_t key[16], plain[16], there[16], dsp[16], back[16];
static uint32_t keys[4 * (ROUNDS + 1)];

int main(void)
{
    if (!port_begin())
        return 1;
    for (int i = 0; i < 16; i++) {
        key[i] = (uint8_t)i;
        plain[i] = (uint8_t)(0x11 * i);
    }
    for (int i = 0; i < TIMES; i++)
        KEYS((uint8_t *)keys, key);
    for (int i = 0; i < TIMES; i++)
        ENCRYPT((const uint8_t *)keys, plain, there, ROUNDS);
    for (int i = 0; i < TIMES; i++)
        ENCRYPT_DSP((const uint8_t *)keys, plain, dsp, ROUNDS);
    for (int i = 0; i < TIMES; i++) { /* the inverse keys are made in place */
        KEYS((uint8_t *)keys, key);
        INVERSE((uint8_t *)keys, ROUNDS);
    }
    for (int i = 0; i < TIMES; i++)
        DECRYPT((const uint8_t *)keys, there, back, ROUNDS);
    port_write(there, sizeof there);
    port_write(dsp, sizeof dsp);
    port_write(back, sizeof back);
    return port_end();
}
