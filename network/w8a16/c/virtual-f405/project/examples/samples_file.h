/* Samples from a file: int16 in the byte order of this machine, NETWORK_INPUTS values a sample,
 * nothing else. In Python: samples.astype(numpy.int16).tofile(path), of shape (time, inputs). */
#ifndef SAMPLES_FILE_H
#define SAMPLES_FILE_H
#include "network.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline FILE *open_samples(const char *path)
{
    FILE *const file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be opened: %s\n", path, strerror(errno));
        exit(2);
    }
    return file;
}

/* The file that the command line names, else standard input. */
static inline FILE *given_samples(int count, char **arguments)
{
    if (count > 2) {
        fprintf(stderr, "usage: %s [samples]\n", arguments[0]);
        exit(2);
    }
    return count == 2 ? open_samples(arguments[1]) : stdin;
}

/* The next step's samples: 1 when they are there, 0 at the end of the file. */
static inline int read_step(FILE *file, int16_t *samples)
{
    const size_t sample = NETWORK_INPUTS * sizeof *samples;
    const size_t step = NETWORK_STEP_SAMPLES * sizeof *samples;
    const size_t bytes = fread(samples, 1, step, file);
    if (ferror(file)) {
        fprintf(stderr, "the samples cannot be read: %s\n", strerror(errno));
        exit(2);
    }
    if (bytes % sample != 0) {
        fprintf(stderr, "expected whole samples of %d bytes (%d int16), found %d more bytes\n",
                (int)sample, NETWORK_INPUTS, (int)(bytes % sample));
        exit(2);
    }
    if (bytes != 0 && bytes != step)
        fprintf(stderr, "left over: %d samples at the end, a step is %d\n",
                (int)(bytes / sample), NETWORK_SAMPLES_PER_STEP);
    return bytes == step;
}

/* A program whose tables or kernels are damaged ends here. */
static inline void require_selftest(network *net, int16_t *samples, int16_t *out)
{
    const int found = network_selftest(net, samples, out);
    if (found == 0)
        return;
    fprintf(stderr, "%s: the self-test failed: %s\n", NETWORK_NAME,
            found == 1 ? "its tables are damaged" : "its kernels compute something else");
    exit(1);
}
#endif
