/* The model's state over the line, in pieces, so that a run can go on after a reset. It is read
 * between two steps and written only in a session that began with BEGIN_RESTORE and has not been
 * committed: a late repetition of a piece can do no harm. */
#ifndef APP_LOCKED
#include "crc32.h"
#include "requests.h"
#include "session.h"

void on_state_info(const frame *request)
{
    if (!between_steps(request))
        return;
    uint8_t *at = frame_payload(&answer);
    at = put_u32(at, session.frames);
    at = put_u32(at, MODEL_STATE_BYTES);
    put_u32(at, crc32(0, model_state(), MODEL_STATE_BYTES));
    send_answer(WIRE_STATE_INFO | WIRE_ANSWER, request->sequence, 12);
}

/* Does [offset, offset + count) lie in the state, and fit a frame? */
static bool within_state(uint32_t offset, uint32_t count)
{
    return count <= WIRE_PAYLOAD && offset <= MODEL_STATE_BYTES &&
           count <= MODEL_STATE_BYTES - offset;
}

void on_state_read(const frame *request)
{
    if (!between_steps(request))
        return;
    if (request->length != 8 ||
        !within_state(get_u32(request->payload), get_u32(request->payload + 4))) {
        send_error(request, ERROR_LENGTH, request->length, 8);
        return;
    }
    const uint32_t offset = get_u32(request->payload), count = get_u32(request->payload + 4);
    memcpy(frame_payload(&answer), (const uint8_t *)model_state() + offset, count);
    send_answer(WIRE_STATE_READ | WIRE_ANSWER, request->sequence, count);
}

void on_state_write(const frame *request)
{
    if (!in_session(request))
        return;
    if (request->length < 4 || !within_state(get_u32(request->payload), request->length - 4u)) {
        send_error(request, ERROR_LENGTH, request->length, MODEL_STATE_BYTES);
        return;
    }
    if (session.mode == MODE_RESTORING)
        memcpy((uint8_t *)model_state() + get_u32(request->payload), request->payload + 4,
               request->length - 4u);
    send_answer(WIRE_STATE_WRITE | WIRE_ANSWER, request->sequence, 0);
}

/* Frames are counted in 32 bits: what begins beyond this might wrap. */
#define MOST_FRAMES 0x7fffffffu

/* The state is complete: check it, and stream on after so many output frames. */
void on_state_commit(const frame *request)
{
    if (!in_session(request))
        return;
    if (request->length != 8) {
        send_error(request, ERROR_LENGTH, request->length, 8);
        return;
    }
    if (get_u32(request->payload) > MOST_FRAMES ||
        get_u32(request->payload) % MODEL_FRAMES_PER_STEP != 0) {
        send_error(request, ERROR_LENGTH, get_u32(request->payload), MODEL_FRAMES_PER_STEP);
        return;
    }
    if (session.mode == MODE_RESTORING) {
        const uint32_t expected = get_u32(request->payload + 4),
                       found = crc32(0, model_state(), MODEL_STATE_BYTES);
        if (expected != found) {
            send_error(request, ERROR_STATE, expected, found);
            return;
        }
        session.frames = session.oldest = get_u32(request->payload);
        session.mode = MODE_STREAMING;
    }
    send_answer(WIRE_STATE_COMMIT | WIRE_ANSWER, request->sequence, 0);
}
#endif
