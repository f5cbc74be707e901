/* The network over a file: int16 samples in, int16 frames out.
 *
 *      file [samples] > frames
 *
 * Samples come from the file that is named, else from standard input (samples_file.h says how they
 * lie there). Each frame is written as NETWORK_OUTPUTS int16; a real value is that times
 * NETWORK_OUTPUT_SCALE. The first NETWORK_START_UP frames mean nothing. */
#include "network.h"
#include "samples_file.h"

NETWORK_DEFINE(net);
static int16_t samples[NETWORK_STEP_SAMPLES];
static int16_t out[NETWORK_STEP_OUTPUTS];

int main(int count, char **arguments)
{
    FILE *const file = given_samples(count, arguments);
    require_selftest(&net, samples, out);
    network_reset(&net);
    while (read_step(file, samples)) {
        network_step(&net, samples, out);
        if (fwrite(out, sizeof out, 1, stdout) != 1) {
            fprintf(stderr, "the frames cannot be written: %s\n", strerror(errno));
            return 2;
        }
    }
    return 0;
}
