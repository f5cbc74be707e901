/* The application: answers the serial line and steps the model. Owns one step of samples, one frame
 * each way and the last results. */
#ifndef APP_H
#define APP_H

/* Starts the port, checks the model's tables, says READY. */
void app_start(void);

/* One turn of the main loop: takes what has arrived and answers it. Returns after at most one step
 * of the model per whole step of samples received, and after at most 200 ms when nothing
 * arrives. */
void app_turn(void);
#endif
