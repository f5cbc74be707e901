/* What stopped the program, kept over the reset that follows. */
#ifndef FAULT_H
#define FAULT_H

/* All faults, the NMI, and every exception that nobody enabled: writes down what the core says and
 * resets it; the host sees the READY of a board that started again and resumes the run. Under a
 * debugger it stops instead, with stack and registers as they were. */
void Fault_Handler(void);

/* At the start, after the variables have their values: reads why, before anything can fail. */
void fault_start(void);
#endif
