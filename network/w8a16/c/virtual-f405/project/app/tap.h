/* What every operator of the network put out in the last step: its CRC-32, its ticks, the values of
 * one operator. Only in an image built with -DMODEL_TAP; any other has nothing of it and answers
 * its requests as unknown ones. */
#ifndef TAP_H
#define TAP_H
#include "frame.h"
#include "model.h"
#include <stdbool.h>

#if defined(MODEL_TAP) && defined(APP_LOCKED)
#error "MODEL_TAP shows what APP_LOCKED hides: build with one of them"
#endif

#ifdef MODEL_TAP
/* Call right before model_step(). */
void tap_begin_step(void);
/* Answers one of the TAP requests; false when it is none. */
bool on_tap(const frame *request);
#else
static inline void tap_begin_step(void)
{
}

static inline bool on_tap(const frame *request)
{
    (void)request;
    return false;
}
#endif
#endif
