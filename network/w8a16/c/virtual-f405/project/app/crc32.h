/* CRC-32 of IEEE 802.3 (reflected 0x04C11DB7), the one of zlib.crc32. */
#ifndef CRC32_H
#define CRC32_H
#include <stdint.h>

/* The CRC of `count` more bytes after those that gave `crc`; begin with 0. */
uint32_t crc32(uint32_t crc, const void *bytes, uint32_t count);
#endif
