/* Numbers of the serial line, version 4. docs/spec/serial-line.md states every byte; this file and
 * host/protocol.py must agree with it. Every field is little-endian, and so is every core this runs
 * on: fields are copied, not assembled. */
#ifndef WIRE_H
#define WIRE_H
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the line is little-endian and fields are copied as they lie");

#define WIRE_VERSION 4u
#define WIRE_HEADER 12u  /* type u8, zero u8, length u16, session u32, sequence u32 */
#define WIRE_TRAILER 4u  /* CRC-32 of header and payload, begun with the session's key */
#define WIRE_PAYLOAD 768u /* most payload bytes of one frame, either way */
#define WIRE_FRAME (WIRE_HEADER + WIRE_PAYLOAD + WIRE_TRAILER)

/* Requests; the answer to a request is its type | WIRE_ANSWER with the same sequence, or
 * WIRE_ERROR. */
enum {
    WIRE_HELLO = 0x01,
    WIRE_BEGIN = 0x02,
    WIRE_DATA = 0x03,
    WIRE_POLL = 0x04,
    WIRE_STATUS = 0x05,
    WIRE_STATE_INFO = 0x06,
    WIRE_STATE_READ = 0x07,
    WIRE_STATE_WRITE = 0x08,
    WIRE_STATE_COMMIT = 0x09,
    WIRE_TAP_WATCH = 0x0A, /* this and the next two: only of an image built with -DMODEL_TAP */
    WIRE_TAP_STEP = 0x0B,
    WIRE_TAP_VALUES = 0x0C,
    WIRE_ANSWER = 0x80, /* set in what a board says: a board never answers that */
    WIRE_ACK = 0x83,
    WIRE_RESULT = 0xA0,
    WIRE_READY = 0xA1,
    WIRE_ERROR = 0xAF
};

/* Why an acknowledgement was sent. */
enum { ACK_ACCEPTED = 0, ACK_DUPLICATE = 1, ACK_GAP = 2, ACK_DAMAGED = 3 };

/* What a BEGIN asks for. */
enum { BEGIN_ZERO = 0, BEGIN_RESTORE = 1 };

/* What a TAP_WATCH asks to be kept of every step: each includes the ones before. */
enum { TAP_TICKS = 0, TAP_CRCS = 1, TAP_TENSOR = 2 };

/* Codes of an error answer. */
enum {
    ERROR_NONE = 0,
    ERROR_IMAGE = 1,    /* the image is not what was built: detail = CRC expected, CRC found */
    ERROR_SESSION = 2,  /* another session is current, or BEGIN's challenge is an old one: detail =
                            current session, its mode */
    ERROR_LENGTH = 3,   /* payload length does not suit the type: detail = length found, length
                           allowed */
    ERROR_TYPE = 4,     /* no such request: detail = type; of BEGIN, what it asked for */
    ERROR_MODE = 5,     /* not possible in this mode of the session: detail = mode, 0 */
    ERROR_STATE = 6,    /* restored state is damaged: detail = CRC expected, CRC found */
    ERROR_GONE = 7,     /* a result is no longer kept: detail = result wanted, oldest kept */
    ERROR_MODEL = 8     /* the model cannot start: detail = its reason, 0 */
};

static inline uint16_t get_u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint8_t *put_u16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static inline uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}
#endif
