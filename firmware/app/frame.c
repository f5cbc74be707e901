#include "frame.h"
#include "crc32.h"

static void append(frame_decoder *decoder, uint8_t byte)
{
    if (decoder->used == sizeof decoder->bytes)
        decoder->broken = true;
    else
        decoder->bytes[decoder->used++] = byte;
}

/* The code byte of a COBS block: how far away the next zero is. */
static void begin_block(frame_decoder *decoder, uint8_t code)
{
    if (decoder->owed)
        append(decoder, 0);
    decoder->open = true;
    decoder->left = (uint8_t)(code - 1u);
    decoder->owed = code != 0xFFu;
}

static bool intact(const frame_decoder *decoder)
{
    const uint32_t used = decoder->used;
    if (decoder->broken || decoder->left != 0 || used < WIRE_HEADER + WIRE_TRAILER)
        return false;
    if (decoder->bytes[1] != 0 || get_u16(decoder->bytes + 2) != used - WIRE_HEADER - WIRE_TRAILER)
        return false;
    return crc32(0, decoder->bytes, used - WIRE_TRAILER) ==
           get_u32(decoder->bytes + used - WIRE_TRAILER);
}

static frame_event finish(frame_decoder *decoder, frame *out)
{
    const bool empty = !decoder->open;
    const bool good = intact(decoder);
    if (good)
        *out = (frame){.type = decoder->bytes[0],
                       .session = get_u32(decoder->bytes + 4),
                       .sequence = get_u32(decoder->bytes + 8),
                       .length = decoder->used - WIRE_HEADER - WIRE_TRAILER,
                       .payload = decoder->bytes + WIRE_HEADER};
    decoder->used = 0;
    decoder->left = 0;
    decoder->open = decoder->owed = decoder->broken = false;
    if (empty)
        return FRAME_PART;
    return good ? FRAME_WHOLE : FRAME_BAD;
}

frame_event frame_take(frame_decoder *decoder, uint8_t byte, frame *out)
{
    if (byte == 0)
        return finish(decoder, out);
    if (decoder->broken)
        return FRAME_PART;
    if (decoder->left == 0) {
        begin_block(decoder, byte);
    } else {
        append(decoder, byte);
        decoder->left--;
    }
    return FRAME_PART;
}

/* Bytes from `from` up to the next zero, the end, or 254. */
static uint32_t run_length(const uint8_t *bytes, uint32_t from, uint32_t count)
{
    uint32_t n = 0;
    while (from + n < count && n < 254u && bytes[from + n] != 0)
        n++;
    return n;
}

static void encode(const uint8_t *bytes, uint32_t count,
                   void (*write)(const uint8_t *bytes, uint32_t count))
{
    uint32_t from = 0;
    bool more = true;
    while (more) {
        const uint32_t n = run_length(bytes, from, count);
        const uint8_t code = (uint8_t)(n + 1u);
        write(&code, 1);
        if (n > 0)
            write(bytes + from, n);
        from += n;
        more = from < count;
        if (n < 254u)
            from++; /* over the zero that the code stands for */
    }
}

void frame_send(frame_buffer *buffer, const frame_header *header,
                void (*write)(const uint8_t *bytes, uint32_t count))
{
    static const uint8_t zero = 0;
    uint8_t *at = buffer->bytes;
    *at++ = header->type;
    *at++ = 0;
    at = put_u16(at, (uint16_t)header->length);
    at = put_u32(at, header->session);
    at = put_u32(at, header->sequence);
    at += header->length;
    put_u32(at, crc32(0, buffer->bytes, WIRE_HEADER + header->length));
    write(&zero, 1);
    encode(buffer->bytes, WIRE_HEADER + header->length + WIRE_TRAILER, write);
    write(&zero, 1);
}
