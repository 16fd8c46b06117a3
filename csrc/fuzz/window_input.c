/* Damaged waves for fuzz_analyze.c. */
#include <math.h>
#include <string.h>

#include "fuzz_input.h"
#include "fuzz_window.h"

#define TURN 6.283185307179586476925

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
    double frequency_hz = 40 + 32 * fuzz_share(), size = pow(10, 5 * fuzz_share()),
           distortion = fuzz_share();
    double phase = fuzz_share(), offset = fuzz_any(4) ? 0 : fuzz_share() * size;
    size_t change = fuzz_any(3) ? samples : fuzz_any((uint32_t)samples + 1);
    uint32_t order = 2 + fuzz_any(60);
    for (size_t k = 0; k < samples; k++) {
        if (k == change) {
            size *= fuzz_share();
            phase += fuzz_any(2) ? fuzz_share() : 0;
        }
        double turns = frequency_hz * (double)k / (double)header->sample_rate_hz + phase;
        double wave = cos(TURN * turns) + distortion * cos(TURN * order * turns);
        put(at + k * fuzz_cell(header->kind), header->kind, offset + size * wave);
    }
}

size_t fuzz_input(uint8_t *data) {
    static const float rates[] = {400, 1200, 4000, 4800, 5760, 7200.5f, 12800, 25600};
    fuzz_header header = {.sample_rate_hz = rates[fuzz_any(8)],
                          .nominal_hz = fuzz_any(3) ? 0 : 50,
                          .demand_current_a = fuzz_any(2) ? 0 : 10,
                          .skew_us = (int16_t)(fuzz_any(4) ? 0 : fuzz_any(2000)),
                          .kind = (uint8_t)fuzz_any(FUZZ_KINDS),
                          .phases = (uint8_t)fuzz_any(DCPI_PHASES_MAX),
                          .exponent = (int8_t)(fuzz_any(8) ? 0 : fuzz_any(256)),
                          .correction = (uint8_t)(fuzz_any(4) ? 0 : fuzz_any(256))};
    size_t channels = 2u * (header.phases + 1u);
    size_t room = (FUZZ_INPUT_MAX - sizeof header) / channels / fuzz_cell(header.kind);
    size_t samples = (size_t)((double)header.sample_rate_hz * (0.05 + 0.2 * fuzz_share()));
    samples = samples < room ? samples : room;
    memcpy(data, &header, sizeof header);
    size_t size = sizeof header;
    for (size_t channel = 0; channel < channels; channel++) {
        put_wave(&header, samples, data + size);
        size += samples * fuzz_cell(header.kind);
    }
    fuzz_damage(fuzz_any(8) ? data + sizeof header : data,
                fuzz_any(8) ? size - sizeof header : size / 2);
    return size;
}
