/* The application as a process: the line is standard input and output, a pipe, a socket or a pty in
 * raw mode.
 *
 * By itself the line waits: no more is read than the ring has room for. Two variables of the
 * environment make it one that does not, as a UART whose reader is busy:
 *   TENDON_LINE_BYTES=N    everything sent is fetched at once, and what exceeds N bytes (at most
 *                          4096) is lost
 *   TENDON_LOSE_EVERY=N    everything sent is fetched at once, and one byte in about N is
 *                          overwritten before anyone fetches it
 * A third one is for who must know the board's challenges (docs/spec/serial-line.md) beforehand:
 *   TENDON_TICKS=N         the counter stands still at N
 *
 * The counter is the system's monotonic clock, in nanoseconds. It counts nothing of the core's, so
 * nothing of it is reported; the stack is the system's. */
#define _POSIX_C_SOURCE 200809L
#include "port.h"
#include "ring.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static ring received;
static port_health health;
static uint32_t line_bytes, lose_every; /* 0: not asked for */
static uint32_t still_at;
static int stands_still;

static port_info info = {.name = "posix", .counts = PORT_COUNTS_NOTHING, .tick_num = 1,
                         .tick_den = 1, .line_bytes = RING_BYTES};

static uint32_t from_environment(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

const port_info *port_start(void)
{
    line_bytes = from_environment("TENDON_LINE_BYTES");
    lose_every = from_environment("TENDON_LOSE_EVERY");
    still_at = from_environment("TENDON_TICKS");
    stands_still = getenv("TENDON_TICKS") != NULL;
    return &info;
}

/* One byte in about `lose_every`, the same ones every time. */
static int overwritten(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return lose_every != 0 && x % lose_every == 0;
}

static void arrive(uint8_t byte)
{
    health.received++;
    if (overwritten())
        health.overruns++;
    else if ((line_bytes != 0 && ring_used(&received) >= line_bytes) || !ring_put(&received, byte))
        health.dropped++;
}

/* Fetches what the line holds; waits up to `timeout_ms` for the first byte. When the input has
 * ended and what it held is answered, so has the board. */
static void fetch(int timeout_ms)
{
    struct pollfd line = {.fd = STDIN_FILENO, .events = POLLIN};
    const int waits = line_bytes == 0 && lose_every == 0;
    for (int turn = 0; turn < 64; turn++) {
        uint8_t bytes[1024];
        size_t room = sizeof bytes;
        if (waits && room > RING_BYTES - ring_used(&received))
            room = RING_BYTES - ring_used(&received);
        if (room == 0 || poll(&line, 1, timeout_ms) <= 0)
            return;
        const ssize_t count = read(STDIN_FILENO, bytes, room);
        if (count <= 0 && (count == 0 || (errno != EINTR && errno != EAGAIN))) {
            if (ring_used(&received) == 0)
                exit(0);
            return;
        }
        for (ssize_t i = 0; i < count; i++)
            arrive(bytes[i]);
        timeout_ms = 0;
    }
}

uint32_t port_read(uint8_t *bytes, uint32_t room)
{
    fetch(ring_used(&received) > 0 ? 0 : 200);
    return ring_take(&received, bytes, room);
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    static uint8_t pending[2048];
    static size_t used;
    memcpy(pending + used, bytes, count);
    used += count;
    if (used < 1024 && bytes[count - 1] != 0)
        return;
    for (size_t sent = 0; sent < used;) {
        const ssize_t n = write(STDOUT_FILENO, pending + sent, used - sent);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            exit(0);
        sent += n > 0 ? (size_t)n : 0;
    }
    used = 0;
}

/* Whoever runs a process reads its file before. */
const port_image *port_layout(void)
{
    return NULL;
}

/* Nobody watches. */
void port_alive(void)
{
}

/* Nanoseconds. */
uint32_t port_ticks(void)
{
    struct timespec now = {0};
    if (stands_still || clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return still_at;
    return (uint32_t)now.tv_sec * 1000000000u + (uint32_t)now.tv_nsec;
}

void port_measure(port_health *out)
{
    *out = health;
}

/* A process remembers nothing; what ended the one before is told by whoever ran it. */
void port_recall(port_past *out)
{
    *out = (port_past){.cause = PORT_RESET_UNKNOWN};
}
