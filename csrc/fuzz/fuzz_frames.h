/* How the fuzzer's bytes make frames of a stream: this header, then the frames. */
#ifndef DCPI_FUZZ_FRAMES_H
#define DCPI_FUZZ_FRAMES_H

#include <stdint.h>

#include "dcpi_sampled_values.h"

typedef struct {
    uint16_t appid; /* asked for; 0: any */
    uint16_t accepted_quality;
    uint8_t options; /* 1 svID, 2 confRev, 4 simulated ones; from 16 on: the first row's channel */
    uint8_t rate, rows, unused;
} fuzz_frames;

typedef struct {
    uint16_t size;
    uint16_t step_us; /* since the frame before; a hundred thousandfold when it is far */
    uint8_t is_far, is_timeless;
} fuzz_frame;

#endif
