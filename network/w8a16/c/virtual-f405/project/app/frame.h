/* Frames: COBS between zero bytes; inside, a header, a payload and a CRC
 * (docs/spec/serial-line.md). */
#ifndef FRAME_H
#define FRAME_H
#include "wire.h"
#include <stdbool.h>

/* The session that is current, and the key that its frames' checks begin with; all zero: none. */
typedef struct {
    uint32_t number, key;
} frame_session;

/* Collects the bytes of one frame. All zero is the state before the first byte. */
typedef struct {
    uint8_t bytes[WIRE_FRAME]; /* decoded so far */
    uint32_t used;
    uint8_t left;   /* bytes still to come in this COBS block */
    bool open;      /* a block has begun since the last zero byte */
    bool owed;      /* the block before ended with a zero that has not been written yet */
    bool broken;    /* too long: skip to the next zero byte */
} frame_decoder;

/* FRAME_FOREIGN: of a frame's shape, but of another session than the current one, so that nobody
 * here can check it. */
typedef enum { FRAME_PART, FRAME_WHOLE, FRAME_BAD, FRAME_FOREIGN } frame_event;

/* A frame that passed its length and CRC checks. `payload` points into the decoder and lives until
 * its next byte. */
typedef struct {
    uint8_t type;
    uint32_t session, sequence, length;
    const uint8_t *payload;
} frame;

/* Takes one byte of the line. FRAME_WHOLE and FRAME_FOREIGN fill `out`; FRAME_BAD says that a frame
 * ended that is damaged (stray zeros are not). */
frame_event frame_take(frame_decoder *decoder, uint8_t byte, const frame_session *current,
                       frame *out);

/* A frame being built: write the payload to frame_payload(), then send. */
typedef struct {
    uint8_t bytes[WIRE_FRAME];
} frame_buffer;

static inline uint8_t *frame_payload(frame_buffer *buffer)
{
    return buffer->bytes + WIRE_HEADER;
}

/* What a frame says of itself. `length` counts payload bytes, at most WIRE_PAYLOAD. */
typedef struct {
    uint8_t type;
    frame_session session;
    uint32_t sequence, length;
} frame_header;

/* Completes header and CRC in place and hands the encoded bytes to `write`, piece by piece, with a
 * zero byte before and after. */
void frame_send(frame_buffer *buffer, const frame_header *header,
                void (*write)(const uint8_t *bytes, uint32_t count));
#endif
