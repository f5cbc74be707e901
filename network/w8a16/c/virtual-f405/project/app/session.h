/* What every request shares: the session it belongs to, whether the model is fit to infer, and the
 * answer. Requests are in requests.h. */
#ifndef SESSION_H
#define SESSION_H
#include "frame.h"
#include "model.h"
#include <stdbool.h>

#define STEP_BYTES ((uint32_t)MODEL_SAMPLES_PER_STEP * MODEL_INPUTS * 2u)
_Static_assert(4u + 2u * MODEL_OUTPUTS <= WIRE_PAYLOAD, "one result fits one frame");

enum { MODE_IDLE = 0, MODE_RESTORING = 1, MODE_STREAMING = 2, MODE_REFUSING = 3 };

/* A model around an interpreter can fail to start, and knows only then how much of its arena it
 * needs. Generated C has nothing to start. */
#ifndef MODEL_FAULT
#define MODEL_FAULT 0u
#define MODEL_ARENA_USED MODEL_ARENA_BYTES
#endif

/* One session runs from its BEGIN to the next one that is obeyed, or to a reset. */
typedef struct {
    frame_session id;  /* as the host drew it; 0: none since the last reset */
    uint32_t mode;     /* MODE_... ; MODE_REFUSING when the image is damaged or the model cannot
                          start */
    uint32_t expected; /* sequence of the next DATA frame */
    uint32_t filled;   /* bytes of the current step received */
    uint32_t frames;   /* output frames computed since the zero state, also those before a restored
                          snapshot */
    uint32_t oldest;   /* first output frame whose result is kept */
} session_state;

typedef struct {
    uint32_t frames_good, frames_bad, duplicates, gaps;
    uint32_t step_ticks; /* longest step of the model */
} session_counts;

/* What the CRC of the start is of. */
enum { COVERS_TABLES = 0, COVERS_IMAGE = 1 };

/* As found at boot. */
typedef struct {
    uint32_t crc_covers;              /* COVERS_... */
    uint32_t crc_expected, crc_found; /* not equal: the image is damaged */
    uint32_t fault;                   /* why the model cannot start; 0: it has */
} model_fitness;

extern session_state session;
extern uint32_t challenge; /* what the next BEGIN must repeat; 0: nobody has asked yet */
extern session_counts counts;
extern model_fitness fitness;
extern frame_buffer answer; /* every answer is built here: one at a time */

/* Checks image and model, and takes up the mode that follows. */
void session_start(void);

/* The ERROR_... with which an unfit model refuses everything but HELLO and STATUS; ERROR_NONE when
 * it is fit. */
uint16_t refusal(void);

/* Sends `answer`, whose payload of `length` bytes is in place, with this type and sequence, in the
 * current session. */
void send_answer(uint8_t type, uint32_t sequence, uint32_t length);
/* As send_answer(), outside of any session: what everyone may read. */
void send_outside(uint8_t type, uint32_t sequence, uint32_t length);
/* Answers a request with an ERROR frame, in the session of the request where that is current. */
void send_error(const frame *request, uint16_t code, uint32_t detail, uint32_t more);

/* Does the request belong to the current session? Otherwise says so and returns false. */
bool in_session(const frame *request);
/* As in_session(), and the session is streaming and has no part of a step waiting. */
bool between_steps(const frame *request);
#endif
