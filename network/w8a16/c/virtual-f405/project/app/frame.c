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

/* COBS and length are right: this has the shape of a frame. */
static bool shaped(const frame_decoder *decoder)
{
    const uint32_t used = decoder->used;
    return !decoder->broken && decoder->left == 0 && used >= WIRE_HEADER + WIRE_TRAILER &&
           decoder->bytes[1] == 0 &&
           get_u16(decoder->bytes + 2) == used - WIRE_HEADER - WIRE_TRAILER;
}

/* HELLO keeps its form in every version, whatever session a host believes in. */
static frame_event check(const frame_decoder *decoder, const frame_session *current, frame *out)
{
    const uint8_t *at = decoder->bytes;
    uint32_t key = 0;
    if (!shaped(decoder))
        return FRAME_BAD;
    *out = (frame){.type = at[0],
                   .session = get_u32(at + 4),
                   .sequence = get_u32(at + 8),
                   .length = decoder->used - WIRE_HEADER - WIRE_TRAILER,
                   .payload = at + WIRE_HEADER};
    if (out->session != 0 && out->type != WIRE_HELLO) {
        if (out->session != current->number)
            return FRAME_FOREIGN;
        key = current->key;
    }
    return crc32(key, at, WIRE_HEADER + out->length) == get_u32(out->payload + out->length)
               ? FRAME_WHOLE
               : FRAME_BAD;
}

static frame_event finish(frame_decoder *decoder, const frame_session *current, frame *out)
{
    const frame_event event = decoder->open ? check(decoder, current, out) : FRAME_PART;
    decoder->used = 0;
    decoder->left = 0;
    decoder->open = decoder->owed = decoder->broken = false;
    return event;
}

frame_event frame_take(frame_decoder *decoder, uint8_t byte, const frame_session *current,
                       frame *out)
{
    if (byte == 0)
        return finish(decoder, current, out);
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
    at = put_u32(at, header->session.number);
    at = put_u32(at, header->sequence);
    at += header->length;
    put_u32(at, crc32(header->session.key, buffer->bytes, WIRE_HEADER + header->length));
    write(&zero, 1);
    encode(buffer->bytes, WIRE_HEADER + header->length + WIRE_TRAILER, write);
    write(&zero, 1);
}
