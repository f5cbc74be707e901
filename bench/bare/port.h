/* What cases.c needs of the machine it runs on. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

/* opens cases.bin and results.bin; 0 when it cannot */
int port_begin(void);
int port_read(void *data, uint32_t bytes);     /* 0 at the end of the cases */
void port_write(const void *data, uint32_t bytes);
/* 24-bit count of virtual time, which passes with instructions; 0 on a PC */
uint32_t port_ticks(void);
int port_end(void);                            /* exit status of main */

#endif
