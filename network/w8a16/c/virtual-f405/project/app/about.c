/* What the board says of itself: the model, the core, the build, and its counts since the reset. */
#include "requests.h"
#include "session.h"

#ifndef APP_COMPILER_FLAGS
#define APP_COMPILER_FLAGS "flags not recorded"
#endif
#if defined(__clang__)
#define COMPILER "clang " __clang_version__ "; " APP_COMPILER_FLAGS
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__ "; " APP_COMPILER_FLAGS
#else
#define COMPILER "another compiler; " APP_COMPILER_FLAGS
#endif

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
    at = put_u16(at, (uint16_t)(refusal() | fitness.fault << 8));
    memcpy(at, hash, sizeof hash);
    at = put_u32(at + sizeof hash, fitness.crc_expected);
    at = put_u32(at, fitness.crc_found);
    at = put_u16(at, MODEL_SAMPLES_PER_STEP);
    at = put_u16(at, MODEL_INPUTS);
    at = put_u16(at, MODEL_OUTPUTS);
    at = put_u16(at, WIRE_PAYLOAD);
    at = put_u16(at, MODEL_FRAMES_PER_STEP);
    at = put_u16(at, (uint16_t)fitness.crc_covers);
    return put_u32(at, MODEL_STATE_BYTES);
}

/* The credit: what the port holds, less room for the requests that come on top of DATA frames. */
static uint8_t *put_board(const port_info *port, uint8_t *at)
{
    port_health health;
    port_measure(&health);
    at = put_u32(at, port->line_bytes - APP_RESERVE);
    at = put_u32(at, APP_RESULTS);
    at = put_u32(at, session.id.number);
    at = put_u32(at, session.frames);
    at = put_u32(at, port->clock_hz);
    at = put_u32(at, port->counts);
    at = put_u32(at, port->tick_num);
    at = put_u32(at, port->tick_den);
    return put_u32(at, health.stack_bytes);
}

_Static_assert(sizeof(port_past) == 52u, "docs/spec/serial-line.md has these bytes");
static uint8_t *put_past(uint8_t *at)
{
    port_past past;
    port_recall(&past);
    memcpy(at, &past, sizeof past);
    return at + sizeof past;
}

void send_hello(const port_info *port, uint8_t type, uint32_t sequence)
{
    uint8_t *at = put_past(put_board(port, put_model(frame_payload(&answer))));
    at = put_u32(at, challenge);
    at = put_string(at, MODEL_GENERATOR);
    at = put_string(at, MODEL_NAME);
    at = put_string(at, port->name);
    at = put_string(at, port->memory == NULL ? "" : port->memory);
    at = put_string(at, COMPILER);
    send_outside(type, sequence, (uint32_t)(at - frame_payload(&answer)));
}

void on_status(const frame *request)
{
    port_health health;
    port_measure(&health);
    const uint32_t fields[] = {
        counts.frames_good,
        counts.frames_bad,
        counts.duplicates,
        counts.gaps,
        health.received,
        health.overruns,
        health.dropped,
        health.line_errors,
        health.stack_used,
        health.stack_bytes,
        counts.step_ticks,
        health.handler_ticks,
        health.masked_instructions,
        session.frames,
        session.expected,
        MODEL_ARENA_USED,
    };
    memcpy(frame_payload(&answer), fields, sizeof fields);
    send_outside(WIRE_STATUS | WIRE_ANSWER, request->sequence, sizeof fields);
}
