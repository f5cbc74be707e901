#include "session.h"
#include "crc32.h"
#include "port.h"

session_state session;
uint32_t challenge;
session_counts counts;
model_fitness fitness;
frame_buffer answer;

#if MODEL_TABLE_COUNT > 0
/* About twenty cycles a byte: 0.3 s on the slowest clock of all ports, 4 MHz. */
#define PIECE 65536u

static uint32_t check_table(uint32_t crc, const uint8_t *at, uint32_t left)
{
    while (left > 0) {
        const uint32_t count = left < PIECE ? left : PIECE;
        crc = crc32(crc, at, count);
        at += count;
        left -= count;
        port_alive();
    }
    return crc;
}

/* CRC-32 of all constant tables in order. On a clock or an external flash that fell back it takes
 * longer than a watchdog waits, and the board could never say which. */
static uint32_t check_tables(void)
{
    uint32_t crc = 0;
    for (uint32_t i = 0; i < MODEL_TABLE_COUNT; i++)
        crc = check_table(crc, model_tables[i].data, model_tables[i].bytes);
    return crc;
}
#else
static uint32_t check_tables(void)
{
    return MODEL_TABLES_CRC; /* there are none */
}
#endif

void session_start(void)
{
    fitness.tables_crc = check_tables();
    if (fitness.tables_crc == MODEL_TABLES_CRC)
        fitness.fault = MODEL_FAULT;
    session.mode = refusal() == ERROR_NONE ? MODE_IDLE : MODE_REFUSING;
    if (session.mode == MODE_IDLE)
        model_reset();
}

/* Damaged tables come first: a model that reads them may fail to start because of that. */
uint16_t refusal(void)
{
    if (fitness.tables_crc != MODEL_TABLES_CRC)
        return ERROR_TABLES;
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
        send_error(request, ERROR_TABLES, MODEL_TABLES_CRC, fitness.tables_crc);
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
