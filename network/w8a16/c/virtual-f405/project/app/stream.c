/* Samples in, results out. A sample enters the network exactly once: DATA frames are taken in the
 * order of their sequence, what was taken before is acknowledged again and forgotten, and results
 * are repeated from memory, never computed twice. */
#include "crc32.h"
#include "requests.h"
#include "session.h"
#include "tap.h"

/* Of one step. */
typedef struct {
    uint32_t ticks;
    int16_t outputs[MODEL_FRAMES_PER_STEP][MODEL_OUTPUTS];
} step_results;

static _Alignas(8) int16_t samples[MODEL_SAMPLES_PER_STEP * MODEL_INPUTS];
static step_results results[APP_RESULTS / MODEL_FRAMES_PER_STEP];

void send_ack(uint8_t type, uint32_t sequence, uint32_t reason)
{
    uint8_t *at = frame_payload(&answer);
    at = put_u32(at, session.expected);
    at = put_u32(at, session.frames);
    put_u32(at, reason);
    send_answer(type, sequence, 12);
}

/* Where the results of the step lie that computes this output frame. */
static step_results *results_of(uint32_t output_frame)
{
    return &results[output_frame % APP_RESULTS / MODEL_FRAMES_PER_STEP];
}

static void send_results(uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        const step_results *r = results_of(i);
        const int16_t *outputs = r->outputs[i % MODEL_FRAMES_PER_STEP];
        memcpy(put_u32(frame_payload(&answer), r->ticks), outputs, sizeof r->outputs[0]);
        send_answer(WIRE_RESULT, i, 4u + sizeof r->outputs[0]);
    }
}

static void step_model(void)
{
    step_results *r = results_of(session.frames);
    tap_begin_step();
    const uint32_t begin = port_ticks();
    model_step(samples, r->outputs[0]);
    r->ticks = port_ticks() - begin;
    if (r->ticks > counts.step_ticks)
        counts.step_ticks = r->ticks;
    session.frames += MODEL_FRAMES_PER_STEP;
    if (session.frames - session.oldest > APP_RESULTS)
        session.oldest = session.frames - APP_RESULTS;
}

/* What may be begun: without the requests for the state there is nothing to restore it with. */
#ifdef APP_LOCKED
#define BEGIN_MOST BEGIN_ZERO
#else
#define BEGIN_MOST BEGIN_RESTORE
#endif

/* A BEGIN of the current session is a repetition: answered, not obeyed. Any other must repeat the
 * challenge, which changes with each that is obeyed: one that was late is not. */
void on_begin(const frame *request)
{
    if (session.mode == MODE_REFUSING) {
        in_session(request);
        return;
    }
    if (request->length != 16) {
        send_error(request, ERROR_LENGTH, request->length, 16);
        return;
    }
    if (get_u32(request->payload) > BEGIN_MOST) {
        send_error(request, ERROR_TYPE, WIRE_BEGIN, get_u32(request->payload));
        return;
    }
    const frame_session id = {get_u32(request->payload + 4), get_u32(request->payload + 8)};
    if (id.number == 0 || id.number != session.id.number || id.key != session.id.key) {
        if (id.number == 0 || challenge == 0 || get_u32(request->payload + 12) != challenge) {
            send_error(request, ERROR_SESSION, session.id.number, session.mode);
            return;
        }
        challenge = crc32(port_ticks(), request->payload, 16);
        model_reset();
        session = (session_state){.id = id,
                                  .mode = get_u32(request->payload) == BEGIN_RESTORE
                                              ? MODE_RESTORING
                                              : MODE_STREAMING};
    }
    send_answer(WIRE_BEGIN | WIRE_ANSWER, request->sequence, 0);
}

void on_data(const frame *request)
{
    if (!in_session(request))
        return;
    if (session.mode != MODE_STREAMING) {
        send_error(request, ERROR_MODE, session.mode, 0);
        return;
    }
    if (request->sequence != session.expected) {
        const bool duplicate = request->sequence < session.expected;
        if (duplicate)
            counts.duplicates++;
        else
            counts.gaps++;
        send_ack(WIRE_ACK, request->sequence, duplicate ? ACK_DUPLICATE : ACK_GAP);
        return;
    }
    if (request->length == 0 || request->length > STEP_BYTES - session.filled) {
        send_error(request, ERROR_LENGTH, request->length, STEP_BYTES - session.filled);
        return;
    }
    memcpy((uint8_t *)samples + session.filled, request->payload, request->length);
    session.filled += request->length;
    session.expected++;
    send_ack(WIRE_ACK, request->sequence, ACK_ACCEPTED);
    if (session.filled == STEP_BYTES) {
        session.filled = 0;
        step_model();
        send_results(session.frames - MODEL_FRAMES_PER_STEP, session.frames);
    }
}

/* Says what has arrived and repeats every kept result from the wanted one on. */
void on_poll(const frame *request)
{
    if (!in_session(request))
        return;
    if (request->length != 4) {
        send_error(request, ERROR_LENGTH, request->length, 4);
        return;
    }
    const uint32_t wanted = get_u32(request->payload);
    if (wanted < session.oldest) {
        send_error(request, ERROR_GONE, wanted, session.oldest);
        return;
    }
    send_results(wanted, session.frames);
    send_ack(WIRE_POLL | WIRE_ANSWER, request->sequence, ACK_ACCEPTED);
}
