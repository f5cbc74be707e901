/* What a board gives to the application: eight functions. Nothing else of the application knows the
 * board.
 *
 * A port also brings its start-up code, a linker script where there is one, and board.toml: the
 * memory map, the limits the export checks, compiler, flags, clock, how to emulate it and whether
 * it has run on silicon. Every wait in a port is bounded. */
#ifndef PORT_H
#define PORT_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one tick of port_ticks() counts. Of NOTHING the counter still moves, but no time of a step
 * is told from it. */
enum { PORT_COUNTS_NOTHING = 0, PORT_COUNTS_CYCLES = 1, PORT_COUNTS_INSTRUCTIONS = 2 };

typedef struct {
    const char *name;    /* as in BOARD= */
    uint32_t clock_hz;   /* of the core; 0 where it means nothing */
    uint16_t counts;     /* PORT_COUNTS_... */
    uint32_t tick_num;   /* ticks * tick_num / tick_den = cycles or instructions */
    uint32_t tick_den;
    uint32_t line_bytes; /* received bytes the port holds while the application is busy */
    const char *memory;  /* how external memory is mapped and how fast; NULL where there is none */
} port_info;

/* The image as it lies in memory. Its stamp is PORT_STAMPED and the CRC-32 over all pieces in this
 * order; two zeros where the build could not write it. */
#define PORT_STAMPED 0x31435243u /* "CRC1" */
typedef struct {
    const uint8_t *begin, *end;
} port_piece;

typedef struct {
    const port_piece *pieces;
    uint32_t count;
    const volatile uint32_t *stamp;
} port_image;

/* Why the board started last. */
enum {
    PORT_RESET_UNKNOWN = 0,
    PORT_RESET_POWER_ON = 1,
    PORT_RESET_BROWN_OUT = 2, /* the supply fell too low, and RAM kept what it held */
    PORT_RESET_PIN = 3,
    PORT_RESET_SOFTWARE = 4, /* or a debugger */
    PORT_RESET_WATCHDOG = 5,
    PORT_RESET_FAULT = 6,
    PORT_RESET_OTHER = 7     /* low power, option bytes */
};

/* Where the stack pointer was at a fault. */
enum {
    PORT_STACK_INSIDE = 0,
    PORT_STACK_OVERFLOWED = 1, /* just below the stack: neither pc nor lr is known */
    PORT_STACK_LOST = 2        /* nowhere near it: nor the caller */
};

/* The last fault since power-on, as the core's registers said it; 0 where nothing is known. */
typedef struct {
    uint16_t exception; /* the number of the one that was a fault; 0: there was none */
    uint16_t stack;     /* PORT_STACK_... */
    uint32_t pc, lr;
    uint32_t caller; /* the first return address on the stack: as a rule the caller's */
    uint32_t sp, cfsr, hfsr;
    uint32_t address; /* MMFAR or BFAR, whichever is valid */
    uint32_t starts;  /* since then; 1: it caused this one */
    uint32_t faults;  /* since power-on */
} port_fault;

/* What was before the last start. HELLO carries it as it lies (docs/spec/serial-line.md). */
typedef struct {
    uint32_t cause;    /* PORT_RESET_... */
    uint32_t flags;    /* the chip's own register of causes; 0 where it has none */
    uint32_t code_crc; /* CRC-32 of the code of this image: tells whose addresses these are */
    port_fault fault;
} port_past;

/* Counts since start; 32 bits, wrapping. */
typedef struct {
    uint32_t received;            /* bytes taken off the line */
    uint32_t overruns;            /* times the receiver lost bytes because nobody fetched them */
    uint32_t dropped;             /* bytes that found the ring full */
    uint32_t line_errors;         /* bytes with a framing or noise error */
    uint32_t stack_used;          /* most bytes of stack ever used; 0 where unknown */
    uint32_t stack_bytes;         /* size of the stack; 0 where unknown */
    uint32_t handler_ticks;       /* longest run of the receive handler, in ticks */
    uint32_t masked_instructions; /* bound on those executed while interrupts are masked; 0 when
                                     they never are */
} port_health;

/* Clock, counter, line. Afterwards every byte that arrives is kept. The result lives for ever. */
const port_info *port_start(void);

/* Where the image lies, for the check at the start; NULL where nobody knows: then the application
 * checks the model's tables only. */
const port_image *port_layout(void);

/* Serves the watchdog and does nothing else: for work between two port_read() whose end is certain
 * and may be far off, as the image's CRC is on a clock that fell back. */
void port_alive(void);

/* Takes up to `room` received bytes, oldest first, and returns how many. When none are waiting it
 * may sleep, at most 200 ms, and return 0. The application calls it at least twice a second: the
 * port serves its watchdog here. */
uint32_t port_read(uint8_t *bytes, uint32_t room);

/* Sends `count` bytes; waits for the line no longer than it takes to send them, then gives up on
 * the rest (the host asks again). */
void port_write(const uint8_t *bytes, uint32_t count);

/* The counter, 32 bits, wrapping: steps are timed by it, and the challenge of a session begins with
 * it (docs/spec/serial-line.md), so it is not the same at every start. */
uint32_t port_ticks(void);

/* Everything the port has counted. */
void port_measure(port_health *out);

/* What was before: the same from the start to the next one. */
void port_recall(port_past *out);
#ifdef __cplusplus
}
#endif
#endif
