#include "app.h"
#include "crc32.h"
#include "port.h"
#include "session.h"

#ifndef APP_COMPILER_FLAGS
#define APP_COMPILER_FLAGS "flags not recorded"
#endif
#define COMPILER "gcc " __VERSION__ "; " APP_COMPILER_FLAGS

session_state session;
session_counts counts;
frame_buffer answer;

static frame_decoder decoder;
static const port_info *port;
static uint32_t tables_crc; /* as found at boot */
static uint32_t fault;      /* why the model cannot start; 0: it has */

void send_answer(uint8_t type, uint32_t sequence, uint32_t length)
{
    const frame_header header = {.type = type, .session = session.number, .sequence = sequence, .length = length};
    frame_send(&answer, &header, port_write);
}

void send_error(const frame *request, uint16_t code, uint32_t detail, uint32_t more)
{
    uint8_t *at = frame_payload(&answer);
    at = put_u16(at, code);
    at = put_u16(at, request->type);
    at = put_u32(at, detail);
    put_u32(at, more);
    send_answer(WIRE_ERROR, request->sequence, 12);
}

/* Damaged tables come first: a model that reads them may fail to start because of that. */
static uint16_t refusal(void)
{
    if (tables_crc != MODEL_TABLES_CRC)
        return ERROR_TABLES;
    return fault != 0 ? ERROR_MODEL : ERROR_NONE;
}

static void refuse(const frame *request)
{
    if (refusal() == ERROR_MODEL)
        send_error(request, ERROR_MODEL, fault, 0);
    else
        send_error(request, ERROR_TABLES, MODEL_TABLES_CRC, tables_crc);
}

bool in_session(const frame *request)
{
    if (session.mode == MODE_REFUSING)
        refuse(request);
    else if (session.number == 0 || request->session != session.number)
        send_error(request, ERROR_SESSION, session.number, session.mode);
    else
        return true;
    return false;
}

/* CRC-32 of all constant tables in order. */
static uint32_t check_tables(void)
{
    uint32_t crc = 0;
    for (uint32_t i = 0; i < MODEL_TABLE_COUNT; i++)
        crc = crc32(crc, model_tables[i].data, model_tables[i].bytes);
    return crc;
}

/* A string with its final zero, cut to what the frame still holds. */
static uint8_t *put_string(uint8_t *at, const char *text)
{
    const uint8_t *end = frame_payload(&answer) + WIRE_PAYLOAD - 1;
    while (*text != '\0' && at < end)
        *at++ = (uint8_t)*text++;
    if (at <= end)
        *at++ = 0;
    return at;
}

static uint8_t *put_model(uint8_t *at)
{
    static const uint8_t hash[32] = MODEL_HASH_BYTES;
    at = put_u16(at, WIRE_VERSION);
    at = put_u16(at, (uint16_t)(refusal() | fault << 8));
    memcpy(at, hash, sizeof hash);
    at = put_u32(at + sizeof hash, MODEL_TABLES_CRC);
    at = put_u32(at, tables_crc);
    at = put_u16(at, MODEL_SAMPLES_PER_STEP);
    at = put_u16(at, MODEL_INPUTS);
    at = put_u16(at, MODEL_OUTPUTS);
    at = put_u16(at, WIRE_PAYLOAD);
    return put_u32(at, MODEL_STATE_BYTES);
}

/* The credit: what the port holds, less room for the requests that come on top of DATA frames. */
static uint8_t *put_board(uint8_t *at)
{
    port_health health;
    port_measure(&health);
    at = put_u32(at, port->line_bytes - APP_RESERVE);
    at = put_u32(at, APP_RESULTS);
    at = put_u32(at, session.number);
    at = put_u32(at, session.steps);
    at = put_u32(at, port->clock_hz);
    at = put_u32(at, port->counts);
    at = put_u32(at, port->tick_num);
    at = put_u32(at, port->tick_den);
    return put_u32(at, health.stack_bytes);
}

static void send_hello(uint8_t type, uint32_t sequence)
{
    uint8_t *at = put_board(put_model(frame_payload(&answer)));
    at = put_string(at, MODEL_GENERATOR);
    at = put_string(at, MODEL_NAME);
    at = put_string(at, port->name);
    at = put_string(at, COMPILER);
    send_answer(type, sequence, (uint32_t)(at - frame_payload(&answer)));
}

static void on_status(const frame *request)
{
    port_health health;
    port_measure(&health);
    const uint32_t fields[] = {
        counts.frames_good, counts.frames_bad,  counts.duplicates,  counts.gaps,          health.received,
        health.overruns,    health.dropped,     health.line_errors, health.stack_used,    health.stack_bytes,
        counts.step_ticks,  health.handler_ticks, health.masked_instructions, session.steps,     session.expected,
        MODEL_ARENA_USED,
    };
    memcpy(frame_payload(&answer), fields, sizeof fields);
    send_answer(WIRE_STATUS | WIRE_ANSWER, request->sequence, sizeof fields);
}

static void dispatch(const frame *request)
{
    switch (request->type) {
    case WIRE_HELLO: send_hello(WIRE_HELLO | WIRE_ANSWER, request->sequence); break;
    case WIRE_BEGIN: on_begin(request); break;
    case WIRE_DATA: on_data(request); break;
    case WIRE_POLL: on_poll(request); break;
    case WIRE_STATUS: on_status(request); break;
    case WIRE_STATE_INFO: on_state_info(request); break;
    case WIRE_STATE_READ: on_state_read(request); break;
    case WIRE_STATE_WRITE: on_state_write(request); break;
    case WIRE_STATE_COMMIT: on_state_commit(request); break;
    default: send_error(request, ERROR_TYPE, request->type, 0); break;
    }
}

void app_start(void)
{
    port = port_start();
    tables_crc = check_tables();
    if (tables_crc == MODEL_TABLES_CRC)
        fault = MODEL_FAULT;
    session.mode = refusal() == ERROR_NONE ? MODE_IDLE : MODE_REFUSING;
    if (session.mode == MODE_IDLE)
        model_reset();
    send_hello(WIRE_READY, 0);
}

static void on_event(frame_event event, const frame *request)
{
    if (event == FRAME_WHOLE) {
        counts.frames_good++;
        dispatch(request);
    } else if (event == FRAME_BAD) {
        counts.frames_bad++;
        if (session.mode == MODE_STREAMING)
            send_ack(WIRE_ACK, 0, ACK_DAMAGED);
    }
}

void app_turn(void)
{
    uint8_t bytes[64];
    const uint32_t count = port_read(bytes, sizeof bytes);
    for (uint32_t i = 0; i < count; i++) {
        frame request;
        on_event(frame_take(&decoder, bytes[i], &request), &request);
    }
}
