/* Frames of sampled values, byte for byte by IEC 61850-9-2:2011 annex A. */
#ifndef DCPI_TEST_SV_FRAMES_H
#define DCPI_TEST_SV_FRAMES_H

#include <stdint.h>
#include <string.h>

#include "dcpi_sampled_values.h"

typedef struct {
    uint8_t bytes[4096];
    size_t size;
} raw_frame;

typedef struct {
    int32_t smp_cnt, smp_synch, asdus, channels;
    uint32_t quality, conf_rev;
    int is_simulated;
} frame_recipe;

static const frame_recipe NORMAL = {.smp_synch = 2, .asdus = 1, .channels = 8, .conf_rev = 1};

static inline void put(raw_frame *frame, uint64_t value, int size) {
    for (int k = size - 1; k >= 0; k--)
        frame->bytes[frame->size++] = (uint8_t)(value >> 8 * k);
}

/* Channel k of sample s has the value 1000 s + k. */
static inline void put_asdu(raw_frame *frame, const frame_recipe *recipe, int32_t smp_cnt) {
    int size = 8 * recipe->channels;
    put(frame, 0x3081, 2);
    put(frame, (uint64_t)(6 + 4 + 6 + 3 + 3 + size), 1);
    put(frame, 0x80044d553031, 6); /* svID "MU01" */
    put(frame, 0x8202, 2);
    put(frame, (uint64_t)smp_cnt, 2);
    put(frame, 0x8304, 2);
    put(frame, recipe->conf_rev, 4);
    put(frame, 0x8501, 2);
    put(frame, (uint64_t)recipe->smp_synch, 1);
    put(frame, 0x8781, 2);
    put(frame, (uint64_t)size, 1);
    for (int k = 0; k < recipe->channels; k++) {
        put(frame, (uint64_t)(1000 * smp_cnt + k), 4);
        put(frame, recipe->quality, 4);
    }
}

static inline raw_frame frame_of(const frame_recipe *recipe) {
    raw_frame frame = {.size = 0};
    int asdus = recipe->asdus * (25 + 8 * recipe->channels);
    put(&frame, 0x010ccd040001, 6);
    put(&frame, 0x020000000001, 6);
    put(&frame, 0x88ba4000, 4);
    put(&frame, (uint64_t)(8 + 4 + 3 + 4 + asdus), 2);
    put(&frame, recipe->is_simulated ? 0x80000000 : 0, 4);
    put(&frame, 0x6082, 2);
    put(&frame, (uint64_t)(3 + 4 + asdus), 2);
    put(&frame, 0x8001, 2);
    put(&frame, (uint64_t)recipe->asdus, 1);
    put(&frame, 0xa282, 2);
    put(&frame, (uint64_t)asdus, 2);
    for (int32_t k = 0; k < recipe->asdus; k++)
        put_asdu(&frame, recipe, recipe->smp_cnt + k);
    return frame;
}

#endif
