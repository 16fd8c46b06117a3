/* Feeds fuzz_analyze.c without libFuzzer: damaged waves from a seed, for so many seconds.
 *
 *   fuzz_analyze SECONDS [SEED]     prints how many windows; a broken promise aborts
 *   fuzz_analyze FILE               one input, as libFuzzer writes it */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz_window.h"

#define TURN 6.283185307179586476925

enum { INPUT_MAX = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

/* xorshift64*, S. Vigna, ACM TOMS 42(4), 2016. */
static uint32_t any(uint32_t below) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32) % below;
}

static double share(void) {
    return any(1u << 24) / (double)(1u << 24);
}

static void put(uint8_t *at, uint8_t kind, double value) {
    float single = (float)value;
    int16_t steps = (int16_t)fmax(-32768, fmin(32767, rint(value)));
    if (kind == FUZZ_FLOAT)
        memcpy(at, &single, sizeof single);
    else if (kind == FUZZ_DOUBLE)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &steps, sizeof steps);
}

/* A distorted wave whose amplitude, phase and offset may change once on the way. */
static void put_wave(const fuzz_header *header, size_t samples, uint8_t *at) {
    double frequency_hz = 40 + 32 * share(), size = pow(10, 5 * share()), distortion = share();
    double phase = share(), offset = any(4) ? 0 : share() * size;
    size_t change = any(3) ? samples : any((uint32_t)samples + 1);
    uint32_t order = 2 + any(60);
    for (size_t k = 0; k < samples; k++) {
        if (k == change) {
            size *= share();
            phase += any(2) ? share() : 0;
        }
        double turns = frequency_hz * (double)k / (double)header->sample_rate_hz + phase;
        double wave = cos(TURN * turns) + distortion * cos(TURN * order * turns);
        put(at + k * fuzz_cell(header->kind), header->kind, offset + size * wave);
    }
}

static void damage(uint8_t *data, size_t size) {
    static const uint8_t patterns[] = {0x00, 0xff, 0x7f, 0x80};
    for (uint32_t left = any(6); left > 0; left--) {
        size_t at = any((uint32_t)size), length = 1 + any(16);
        if (any(2))
            data[at] ^= (uint8_t)(1u << any(8));
        else
            memset(data + at, patterns[any(4)], length < size - at ? length : size - at);
    }
}

static size_t make_input(uint8_t *data) {
    static const float rates[] = {400, 1200, 4000, 4800, 5760, 7200.5f, 12800, 25600};
    fuzz_header header = {.sample_rate_hz = rates[any(8)],
                          .nominal_hz = any(3) ? 0 : 50,
                          .demand_current_a = any(2) ? 0 : 10,
                          .skew_us = (int16_t)(any(4) ? 0 : any(2000)),
                          .kind = (uint8_t)any(FUZZ_KINDS),
                          .phases = (uint8_t)any(DCPI_PHASES_MAX),
                          .exponent = (int8_t)(any(8) ? 0 : any(256)),
                          .correction = (uint8_t)(any(4) ? 0 : any(256))};
    size_t channels = 2u * (header.phases + 1u);
    size_t room = (INPUT_MAX - sizeof header) / channels / fuzz_cell(header.kind);
    size_t samples = (size_t)((double)header.sample_rate_hz * (0.05 + 0.2 * share()));
    samples = samples < room ? samples : room;
    memcpy(data, &header, sizeof header);
    size_t size = sizeof header;
    for (size_t channel = 0; channel < channels; channel++) {
        put_wave(&header, samples, data + size);
        size += samples * fuzz_cell(header.kind);
    }
    damage(any(8) ? data + sizeof header : data, any(8) ? size - sizeof header : size / 2);
    return size;
}

static int run_file(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot read %s\n", path);
        return 2;
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    return LLVMFuzzerTestOneInput(data, size);
}

int main(int count, char **arguments) {
    static uint8_t data[INPUT_MAX];
    char *end = NULL;
    double seconds = count > 1 ? strtod(arguments[1], &end) : 10;
    if (end && *end)
        return run_file(arguments[1]);
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    unsigned long windows = 0;
    time_t start = time(NULL);
    do {
        /* Window n of a seed is window 0 of seed + n: a debugger shows n where a promise broke. */
        state = 0x9E3779B97F4A7C15u * (seed + windows + 1);
        LLVMFuzzerTestOneInput(data, make_input(data));
        windows++;
    } while (difftime(time(NULL), start) < seconds);
    printf("ok %lu windows from seed %llu\n", windows, (unsigned long long)seed);
    return 0;
}
