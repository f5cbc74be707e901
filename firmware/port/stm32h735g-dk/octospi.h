/* The external flash as memory. */
#ifndef OCTOSPI_H
#define OCTOSPI_H

#define OCTOSPI_MAPPED 0x90000000u /* RM0468, memory map: 64 MB of OCTOSPI1 begin here */

/* Afterwards the flash reads as memory: on eight lines and both edges of 100 MHz, or slowly on one
 * line when it or its clock did not answer as it should. Returns which, for HELLO. Nothing hangs;
 * whether the tables in it are whole is what the application checks at boot (their CRC-32). */
const char *octospi_start(void);
#endif
