/* The application: answers the serial line and steps the model. Owns one step of samples, one frame each way and the last results. */
#ifndef APP_H
#define APP_H
#include <stdint.h>

#define APP_RESULTS 4u /* results kept for repetition: the host never sends samples of a step this far beyond its last result */
#define APP_RESERVE 128u /* of the port's receive buffer kept for requests other than DATA */

/* Starts the port, checks the model's tables, says READY. */
void app_start(void);

/* One turn of the main loop: takes what has arrived and answers it. Returns after at most one step of the model per whole step of
 * samples received, and after at most 200 ms when nothing arrives. */
void app_turn(void);
#endif
