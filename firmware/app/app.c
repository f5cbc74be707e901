#include "app.h"
#include "requests.h"
#include "session.h"
#include "tap.h"

static frame_decoder decoder;
static const port_info *port;

static void dispatch(const frame *request)
{
    switch (request->type) {
    case WIRE_HELLO: send_hello(port, WIRE_HELLO | WIRE_ANSWER, request->sequence); break;
    case WIRE_BEGIN: on_begin(request); break;
    case WIRE_DATA: on_data(request); break;
    case WIRE_POLL: on_poll(request); break;
    case WIRE_STATUS: on_status(request); break;
    case WIRE_STATE_INFO: on_state_info(request); break;
    case WIRE_STATE_READ: on_state_read(request); break;
    case WIRE_STATE_WRITE: on_state_write(request); break;
    case WIRE_STATE_COMMIT: on_state_commit(request); break;
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
