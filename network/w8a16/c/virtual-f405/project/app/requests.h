/* One function per request of the host (docs/spec/serial-line.md); app.c calls them. Each may be
 * called any number of times for one request. */
#ifndef REQUESTS_H
#define REQUESTS_H
#include "frame.h"
#include "model.h"
#include "port.h"

/* Results kept for repetition, one per output frame: four, or those of two steps. The host never
 * sends the samples of a step whose results would push out one that it lacks. */
#define APP_RESULTS (MODEL_FRAMES_PER_STEP > 2 ? 2u * MODEL_FRAMES_PER_STEP : 4u)
_Static_assert(APP_RESULTS % MODEL_FRAMES_PER_STEP == 0, "results are kept by whole steps");
#define APP_RESERVE 128u /* of the port's receive buffer kept for requests other than DATA */

/* about.c */
/* Says what this board is: the answer to HELLO, or READY after a reset. */
void send_hello(const port_info *port, uint8_t type, uint32_t sequence);
void on_status(const frame *request);

/* stream.c */
void on_begin(const frame *request);
void on_data(const frame *request);
void on_poll(const frame *request);
/* Acknowledges the samples received so far. */
void send_ack(uint8_t type, uint32_t sequence, uint32_t reason);

/* state.c */
void on_state_info(const frame *request);
void on_state_read(const frame *request);
void on_state_write(const frame *request);
void on_state_commit(const frame *request);
#endif
