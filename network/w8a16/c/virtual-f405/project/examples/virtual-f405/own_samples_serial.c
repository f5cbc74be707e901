/* Own samples over the serial line: the board asks for those of a step with the byte ENQ, computes
 * it, and says on the same line as text what the network says. send_samples.py is the other end.
 *
 * Samples are int16, low byte first, NETWORK_INPUTS values each. All that this needs of a board is
 * in port/port.h. A byte that the line loses shifts all samples behind it, and nothing here would
 * notice: the protocol of app/ does (docs/spec/serial-line.md). */
#include "network.h"
#include "number_text.h"
#include "own_samples.h"
#include "port.h"
#include "classes.h"
#include <string.h>

#define ENQ "\005" /* of ASCII: enquiry; in no text */

NETWORK_DEFINE(net);
static int16_t samples[NETWORK_STEP_SAMPLES];
static int16_t out[NETWORK_STEP_OUTPUTS];
static classes reader;

static void say(const char *text)
{
    port_write((const uint8_t *)text, (uint32_t)strlen(text));
}

/* Returns when all have come. port_read() sleeps while there are none, and serves the watchdog. */
static void receive(uint8_t *bytes, uint32_t count)
{
    while (count > 0) {
        const uint32_t came = port_read(bytes, count);
        bytes += came;
        count -= came;
    }
}

static void greet(void)
{
    say(NETWORK_NAME);
    say(": bytes a step: ");
    say_number(sizeof samples, 0, say);
    say("\n");
}

int main(void)
{
    int meaningless = NETWORK_START_UP;
    port_start();
    if (network_selftest(&net, samples, out) != 0) {
        say("the self-test failed: tables or kernels are damaged\n");
        for (;;)
            receive((uint8_t *)samples, sizeof samples);
    }
    network_reset(&net);
    classes_reset(&reader);
    greet();
    for (;;) {
        say(ENQ);
        receive((uint8_t *)samples, sizeof samples);
        own_samples(samples, NETWORK_STEP_SAMPLES);
        network_step(&net, samples, out);
        for (int i = 0; i < NETWORK_FRAMES_PER_STEP; i++)
            if (meaningless > 0)
                meaningless--;
            else
                classes_frame(&reader, &out[i * NETWORK_OUTPUTS], say);
    }
}
