// The network in C++17: two streams that share tables and arena, each over a file.
//
//      application first second > frames
//
// Frames are written as int16, one of the first stream, one of the second, until one of the files
// ends (samples_file.h says how samples lie in them).
#include "network.h"
#include "samples_file.h"
#include <array>
#include <cstdint>
#include <cstdio>

namespace {

// One stream: its memory is its own, the arena is lent. Streams with the same arena must not step
// at the same time. Not copied, for `self` points into it.
class Stream {
public:
    using Samples = std::array<std::int16_t, NETWORK_STEP_SAMPLES>;
    using Frames = std::array<std::int16_t, NETWORK_STEP_OUTPUTS>;

    explicit Stream(network_arena &lent) : self{&state, &lent}
    {
        network_reset(&self);
    }

    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;

    const Frames &step(const Samples &samples)
    {
        network_step(&self, samples.data(), frames.data());
        return frames;
    }

    bool selftest()
    {
        Samples samples; // made by the test
        return network_selftest(&self, samples.data(), frames.data()) == 0;
    }

private:
    alignas(8) network_state state;
    network self;
    Frames frames{};
};

alignas(8) network_arena arena;
Stream first{arena}, second{arena}; // of the image, not of the stack: a state may be large

bool write(const Stream::Frames &frames)
{
    return std::fwrite(frames.data(), sizeof frames, 1, stdout) == 1;
}

} // namespace

int main(int count, char **arguments)
{
    if (count != 3) {
        std::fprintf(stderr, "usage: %s first second\n", arguments[0]);
        return 2;
    }
    if (!first.selftest() || !second.selftest()) {
        std::fprintf(stderr, "%s: the self-test failed\n", NETWORK_NAME);
        return 1;
    }
    std::FILE *const files[] = {open_samples(arguments[1]), open_samples(arguments[2])};
    static std::array<Stream::Samples, 2> samples;
    while (read_step(files[0], samples[0].data()) && read_step(files[1], samples[1].data()))
        if (!write(first.step(samples[0])) || !write(second.step(samples[1])))
            return 2;
    return 0;
}
