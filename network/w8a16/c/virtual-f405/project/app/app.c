#include "app.h"
#include "crc32.h"
#include "requests.h"
#include "session.h"
#include "tap.h"

static frame_decoder decoder;
static const port_info *port;

/* Drawn when somebody asks for the first time: the host's number and the moment are never the same
 * twice, and a board has nothing else that is. */
static void on_hello(const frame *request)
{
    if (challenge == 0)
        challenge = crc32(port_ticks(), &request->sequence, sizeof request->sequence);
    send_hello(port, WIRE_HELLO | WIRE_ANSWER, request->sequence);
}

/* What a board says comes back where the line is an echo: answers are never answered. */
static void dispatch(const frame *request)
{
    if (request->type & WIRE_ANSWER)
        return;
    switch (request->type) {
    case WIRE_HELLO: on_hello(request); break;
    case WIRE_BEGIN: on_begin(request); break;
    case WIRE_DATA: on_data(request); break;
    case WIRE_POLL: on_poll(request); break;
    case WIRE_STATUS: on_status(request); break;
#ifndef APP_LOCKED
    case WIRE_STATE_INFO: on_state_info(request); break;
    case WIRE_STATE_READ: on_state_read(request); break;
    case WIRE_STATE_WRITE: on_state_write(request); break;
    case WIRE_STATE_COMMIT: on_state_commit(request); break;
#endif
    default:
        if (!on_tap(request))
            send_error(request, ERROR_TYPE, request->type, 0);
        break;
    }
}

void app_start(void)
{
    port = port_start();
    session_start();
    send_hello(port, WIRE_READY, 0);
}

/* One in NOTICED bad frames since the last good one is answered: what comes back is less than what
 * was heard, however short they are. */
#define NOTICED 16u

static void on_event(frame_event event, const frame *request)
{
    static uint32_t bad;
    switch (event) {
    case FRAME_PART: break;
    case FRAME_WHOLE:
        bad = 0;
        counts.frames_good++;
        dispatch(request);
        break;
    case FRAME_FOREIGN:
        counts.frames_bad++;
        if ((request->type & WIRE_ANSWER) == 0 && bad++ % NOTICED == 0)
            in_session(request);
        break;
    case FRAME_BAD:
        counts.frames_bad++;
        if (session.mode == MODE_STREAMING && bad++ % NOTICED == 0)
            send_ack(WIRE_ACK, 0, ACK_DAMAGED);
        break;
    }
}

void app_turn(void)
{
    uint8_t bytes[64];
    const uint32_t count = port_read(bytes, sizeof bytes);
    for (uint32_t i = 0; i < count; i++) {
        frame request;
        on_event(frame_take(&decoder, bytes[i], &session.id, &request), &request);
    }
}
