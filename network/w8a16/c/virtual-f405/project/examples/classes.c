/* What the network says, as text. Samples come from the file that the command line names, else from
 * standard input (samples_file.h says how they lie there). What a frame means is in classes.h,
 * which needs no operating system: a device uses it as it is. */
#include "network.h"
#include "samples_file.h"
#include "classes.h"

NETWORK_DEFINE(net);
static int16_t samples[NETWORK_STEP_SAMPLES];
static int16_t out[NETWORK_STEP_OUTPUTS];

static void say(const char *text)
{
    fputs(text, stdout);
}

int main(int count, char **arguments)
{
    FILE *const file = given_samples(count, arguments);
    int meaningless = NETWORK_START_UP;
    classes reader;
    classes_reset(&reader);
    require_selftest(&net, samples, out);
    network_reset(&net);
    while (read_step(file, samples)) {
        network_step(&net, samples, out);
        for (int i = 0; i < NETWORK_FRAMES_PER_STEP; i++)
            if (meaningless > 0)
                meaningless--;
            else
                classes_frame(&reader, &out[i * NETWORK_OUTPUTS], say);
        fflush(stdout);
    }
    return 0;
}
