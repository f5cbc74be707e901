#include "session.h"
#include "crc32.h"
#include "port.h"

session_state session;
uint32_t challenge;
session_counts counts;
model_fitness fitness;
frame_buffer answer;

/* About twenty cycles a byte: 0.3 s on the slowest clock of all ports, 4 MHz. */
#define PIECE 65536u

/* On a clock or an external flash that fell back it takes longer than a watchdog waits, and the
 * board could never say which. */
static void check_bytes(const uint8_t *at, uint32_t left)
{
    while (left > 0) {
        const uint32_t count = left < PIECE ? left : PIECE;
        fitness.crc_found = crc32(fitness.crc_found, at, count);
        at += count;
        left -= count;
        port_alive();
    }
}

/* Of all constant tables in order. */
static void check_tables(void)
{
#if MODEL_TABLE_COUNT > 0
    for (uint32_t i = 0; i < MODEL_TABLE_COUNT; i++)
        check_bytes(model_tables[i].data, model_tables[i].bytes);
#endif
    fitness.crc_expected = MODEL_TABLES_CRC;
}

/* A stamp that is itself damaged is none that would be found. */
static void check_image(const port_image *image)
{
    for (uint32_t i = 0; i < image->count; i++)
        check_bytes(image->pieces[i].begin,
                    (uint32_t)(image->pieces[i].end - image->pieces[i].begin));
    fitness.crc_expected = image->stamp[1] ^ image->stamp[0] ^ PORT_STAMPED;
    fitness.crc_covers = COVERS_IMAGE;
}

void session_start(void)
{
    const port_image *image = port_layout();
    if (image == NULL || (image->stamp[0] | image->stamp[1]) == 0)
        check_tables();
    else
        check_image(image);
    if (fitness.crc_found == fitness.crc_expected)
        fitness.fault = MODEL_FAULT;
    session.mode = refusal() == ERROR_NONE ? MODE_IDLE : MODE_REFUSING;
    if (session.mode == MODE_IDLE)
        model_reset();
}

/* Damage comes first: a model may fail to start because of it. */
uint16_t refusal(void)
{
    if (fitness.crc_found != fitness.crc_expected)
        return ERROR_IMAGE;
    return fitness.fault != 0 ? ERROR_MODEL : ERROR_NONE;
}

static void send_in(frame_session where, uint8_t type, uint32_t sequence, uint32_t length)
{
    const frame_header header = {.type = type, .session = where, .sequence = sequence,
                                 .length = length};
    frame_send(&answer, &header, port_write);
}

void send_answer(uint8_t type, uint32_t sequence, uint32_t length)
{
    send_in(session.id, type, sequence, length);
}

void send_outside(uint8_t type, uint32_t sequence, uint32_t length)
{
    send_in((frame_session){0}, type, sequence, length);
}

void send_error(const frame *request, uint16_t code, uint32_t detail, uint32_t more)
{
    uint8_t *at = frame_payload(&answer);
    at = put_u16(at, code);
    at = put_u16(at, request->type);
    at = put_u32(at, detail);
    put_u32(at, more);
    send_in(request->session == session.id.number ? session.id : (frame_session){0}, WIRE_ERROR,
            request->sequence, 12);
}

static void refuse(const frame *request)
{
    if (refusal() == ERROR_MODEL)
        send_error(request, ERROR_MODEL, fitness.fault, 0);
    else
        send_error(request, ERROR_IMAGE, fitness.crc_expected, fitness.crc_found);
}

bool in_session(const frame *request)
{
    if (session.mode == MODE_REFUSING)
        refuse(request);
    else if (session.id.number == 0 || request->session != session.id.number)
        send_error(request, ERROR_SESSION, session.id.number, session.mode);
    else
        return true;
    return false;
}

bool between_steps(const frame *request)
{
    if (!in_session(request))
        return false;
    if (session.mode == MODE_STREAMING && session.filled == 0)
        return true;
    send_error(request, ERROR_MODE, session.mode, session.filled);
    return false;
}
