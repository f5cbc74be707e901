/* The records belong to the last step and are asked for between two steps, as often as it takes:
 * nothing on the line can change them. What is watched is said before the first sample of a session
 * and holds to its end, so a late repetition cannot change it either. */
#include "tap.h"
#ifdef MODEL_TAP
#include "crc32.h"
#include "port.h"
#include "session.h"

/* Values of one operator kept at a time; the host repeats the step for the others. More costs two
 * bytes of RAM each. */
#ifndef TAP_KEPT
#define TAP_KEPT (MODEL_LARGEST_OUTPUT < 2048u ? MODEL_LARGEST_OUTPUT : 2048u)
#endif
#define STEP_HEADER 4u    /* of an answer to TAP_STEP, before its records */
#define VALUES_HEADER 16u /* of an answer to TAP_VALUES, before its values */

typedef struct {
    uint32_t session; /* this is about; in any other session only ticks are kept */
    uint32_t what;    /* TAP_... of wire.h */
    uint32_t op;      /* whose values are kept */
    uint32_t first;   /* of its values, the first that is kept */
} tap_watch;

typedef struct {
    uint32_t crc, ticks;
} tap_record;
#define RECORD 8u
_Static_assert(sizeof(tap_record) == RECORD, "records are sent as they lie");

static tap_watch watch;
static tap_record records[MODEL_OPERATORS];
static int16_t values[TAP_KEPT];
/* values of the watched operator: kept here, and put out by it so far in this step */
static uint32_t kept, total;
static uint32_t mark;        /* when the operator began that runs now */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void tap_begin_step(void)
{
    if (watch.session != session.id.number)
        watch = (tap_watch){.session = session.id.number};
    memset(records, 0, sizeof records);
    kept = total = 0;
    mark = port_ticks();
}

/* Of what follows the `total` values before, the part that belongs behind those kept. */
static void keep(const int16_t *data, uint32_t count)
{
    const uint32_t next = watch.first + kept;
    if (next >= total && next < total + count) {
        const uint32_t taken = smaller(total + count - next, TAP_KEPT - kept);
        memcpy(values + kept, data + (next - total), 2u * taken);
        kept += taken;
    }
    total += count;
}

/* An operator may put out its values in pieces. The time spent in here belongs to no operator. */
void model_tap(unsigned op, const int16_t *data, uint32_t count)
{
    records[op].ticks += port_ticks() - mark;
    if (watch.what >= TAP_CRCS)
        records[op].crc = crc32(records[op].crc, data, 2u * count);
    if (watch.what == TAP_TENSOR && op == watch.op)
        keep(data, count);
    mark = port_ticks();
}

static void on_watch(const frame *request)
{
    if (!in_session(request))
        return;
    if (request->length != 12 || get_u32(request->payload + 4) >= MODEL_OPERATORS) {
        send_error(request, ERROR_LENGTH, request->length, 12);
        return;
    }
    if (session.expected == 0) {
        watch = (tap_watch){.session = session.id.number,
                            .what = get_u32(request->payload),
                            .op = get_u32(request->payload + 4),
                            .first = get_u32(request->payload + 8)};
        kept = total = 0;
    }
    put_u32(put_u32(frame_payload(&answer), MODEL_OPERATORS), TAP_KEPT);
    send_answer(WIRE_TAP_WATCH | WIRE_ANSWER, request->sequence, 8);
}

/* Is there a last step of this session, and does the request ask for something below `limit`?
 * Otherwise says so. */
static bool after_a_step(const frame *request, uint32_t limit)
{
    if (!between_steps(request))
        return false;
    if (session.expected == 0)
        send_error(request, ERROR_MODE, session.mode, 0);
    else if (request->length != 4 || get_u32(request->payload) >= limit)
        send_error(request, ERROR_LENGTH, request->length, 4);
    else
        return true;
    return false;
}

static void on_step(const frame *request)
{
    if (!after_a_step(request, MODEL_OPERATORS))
        return;
    const uint32_t first = get_u32(request->payload);
    const uint32_t count = smaller(MODEL_OPERATORS - first, (WIRE_PAYLOAD - STEP_HEADER) / RECORD);
    memcpy(put_u32(frame_payload(&answer), session.frames), &records[first], count * RECORD);
    send_answer(WIRE_TAP_STEP | WIRE_ANSWER, request->sequence, STEP_HEADER + count * RECORD);
}

static void on_values(const frame *request)
{
    if (!after_a_step(request, kept))
        return;
    const uint32_t first = get_u32(request->payload);
    const uint32_t count = smaller(kept - first, (WIRE_PAYLOAD - VALUES_HEADER) / 2u);
    uint8_t *at = put_u32(frame_payload(&answer), session.frames);
    at = put_u32(at, watch.op);
    at = put_u32(at, watch.first + first);
    at = put_u32(at, total);
    memcpy(at, &values[first], 2u * count);
    send_answer(WIRE_TAP_VALUES | WIRE_ANSWER, request->sequence, VALUES_HEADER + 2u * count);
}

bool on_tap(const frame *request)
{
    switch (request->type) {
    case WIRE_TAP_WATCH: on_watch(request); return true;
    case WIRE_TAP_STEP: on_step(request); return true;
    case WIRE_TAP_VALUES: on_values(request); return true;
    default: return false;
    }
}
#endif
