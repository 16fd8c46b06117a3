/* How the fuzzer's bytes make a window: this header, then the voltages, then the currents. */
#ifndef DCPI_FUZZ_WINDOW_H
#define DCPI_FUZZ_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "dcpi_sampling.h"

enum { FUZZ_FLOAT, FUZZ_DOUBLE, FUZZ_STEPS, FUZZ_KINDS };

typedef struct {
    float sample_rate_hz, nominal_hz, demand_current_a;
    int16_t skew_us;
    uint8_t kind;
    uint8_t phases;
    int8_t exponent;    /* of one step of FUZZ_STEPS, which are 16-bit integers, to the base 2 */
    uint8_t correction; /* 0: none; each higher bit pair bends one of its fields */
    uint8_t unused[2];
} fuzz_header;

/* Bytes of one sample in the fuzzer's input. */
static inline size_t fuzz_cell(uint8_t kind) {
    return kind == FUZZ_FLOAT ? sizeof(float)
                              : (kind == FUZZ_DOUBLE ? sizeof(double) : sizeof(int16_t));
}

#endif
