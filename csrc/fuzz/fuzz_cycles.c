/* Any bytes as settings and samples: the values over actual cycles keep what their header promises.
 *
 * Input: 8 bytes of settings, then blocks of a command byte, a length byte and samples, which are
 * raw floats or, cheaper to find, a wave of one byte's frequency. The memory stands between marks
 * that nothing may touch. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dcpi_cycles.h"

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { ROW = 256, ROWS = 2 * DCPI_PHASES_MAX, MARKS = 64 };
#define MARK 12345.678

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static dcpi_cycles cycles;
static dcpi_cycle_workspace workspace;
static int64_t last_end_ns;
static int is_timed;

static void check_channel(const dcpi_cycle_channel *channel, int32_t h_max) {
    PROMISE(isnan(channel->rms) || channel->rms >= 0);
    for (int order = 1; order < DCPI_ORDERS; order++) {
        double group = channel->groups[order], subgroup = channel->subgroups[order];
        PROMISE(isnan(group) == isnan(subgroup) &&
                isnan(group) == isnan(channel->harmonics[order]));
        PROMISE(order <= h_max || isnan(group));
        PROMISE(isnan(group) || (channel->harmonics[order] >= 0 && subgroup >= 0 && group >= 0));
        PROMISE(isnan(group) || subgroup >= channel->harmonics[order]);
    }
}

static void check_values(const dcpi_cycle_values *values, int32_t phases) {
    PROMISE(values->phases == phases && values->count >= 1 && values->cycles >= 10);
    PROMISE(values->duration_s > 0);
    PROMISE(is_timed || values->start_ns < values->end_ns); /* a measured clock may step back */
    PROMISE(values->flagged >= 0 && values->flagged <= values->count);
    PROMISE(values->h_max <= DCPI_ORDER_MAX);
    for (int k = 0; k < phases; k++) {
        check_channel(&values->phase[k].voltage, values->h_max);
        check_channel(&values->phase[k].current, values->h_max);
    }
}

static void check_ready(int32_t phases) {
    dcpi_cycle_kind kind;
    for (int left = 100000; (kind = dcpi_cycles_next(&cycles, &workspace)) != DCPI_CYCLE_NOTHING;
         left--) {
        PROMISE(left > 0);
        if (kind == DCPI_CYCLE_HALF) {
            PROMISE(cycles.half.phase >= 0 && cycles.half.phase < phases);
            PROMISE(cycles.half.start < cycles.half.end);
        } else if (kind == DCPI_CYCLE_FREQUENCY) {
            PROMISE(isnan(cycles.frequency.frequency_hz) || cycles.frequency.duration_s > 0);
        } else if (kind == DCPI_CYCLE_TEN_TWELVE) {
            check_values(&cycles.ten_twelve, phases);
            PROMISE(cycles.ten_twelve.count == 1);
            /* A measured clock may set the time back. */
            PROMISE(is_timed || cycles.ten_twelve.end_ns > last_end_ns);
            last_end_ns = cycles.ten_twelve.end_ns;
        } else if (kind == DCPI_CYCLE_SHORT) {
            check_values(&cycles.short_mean, phases);
            PROMISE(cycles.short_mean.count == DCPI_CYCLE_INTERVALS);
        } else {
            check_values(&cycles.long_mean, phases);
        }
    }
}

static void fill(float *rows, int32_t phases, int32_t count, int64_t index, uint8_t kind,
                 const uint8_t *bytes) {
    if (kind == 0) {
        memcpy(rows, bytes, (size_t)(2 * phases * count) * sizeof *rows);
        return;
    }
    double cycle = (40 + bytes[0] / 8.0) / cycles.config.sample_rate_hz;
    for (int32_t row = 0; row < 2 * phases; row++)
        for (int32_t n = 0; n < count; n++) {
            double turns = cycle * (double)(index + n) - row % phases / 3.0;
            double wave = cos(6.283185307179586 * turns) + (kind > 4) * cos(31.4159265 * turns);
            rows[row * count + n] = (float)((kind == 1 ? 3 : 325) * wave);
        }
}

static void take(const float *rows, int32_t phases, int32_t count, int64_t index) {
    int32_t offset = 0, taken = 0;
    for (int left = 100000; offset < count; offset += taken, left--) {
        dcpi_cycle_block block = {.voltage = rows + offset,
                                  .current = rows + phases * count + offset,
                                  .is_float32 = 1,
                                  .samples = count - offset,
                                  .stride = count,
                                  .first_index = index + offset};
        PROMISE(left > 0);
        PROMISE(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_OK);
        PROMISE(taken >= 0 && taken <= count - offset);
        check_ready(phases);
    }
}

static void correct(uint8_t gain, uint8_t lead, int32_t phases) {
    dcpi_correction wanted[ROWS];
    for (int k = 0; k < ROWS; k++)
        wanted[k] = (dcpi_correction){.gain = gain - 128.0,
                                      .offset = gain,
                                      .phase_rad = lead / 256.0,
                                      .delay_s = lead * 5e-5};
    int fits = gain != 128 && lead / 256.0 <= 0.5 && lead * 5e-5 <= 0.01;
    PROMISE((dcpi_cycles_set_corrections(&cycles, wanted) == DCPI_OK) == fits || phases == 0);
}

static void run(const uint8_t *data, size_t size, int32_t phases) {
    static float rows[ROWS * ROW];
    int64_t index = 0;
    while (size > 2) {
        uint8_t command = data[0];
        int32_t count = 1 + data[1] % ROW;
        size_t wanted = command % 8 ? 1 : (size_t)(2 * phases * count) * sizeof *rows;
        if (size - 2 < wanted)
            return;
        if (command == 255) {
            index += data[2] + 1; /* a gap */
        } else if (command == 254) {
            index += (int64_t)data[2] << 16; /* minutes */
        } else if (command == 253) {
            double rate_hz = cycles.config.sample_rate_hz * (1 + (data[2] - 128) * 1e-4);
            is_timed |= dcpi_cycles_set_time(&cycles, index,
                                             INT64_C(1800000000000000000) + data[1] * 1000000,
                                             rate_hz) == DCPI_OK;
        } else if (command == 252) {
            correct(data[1], data[2], phases);
        } else {
            for (int32_t again = 0; again < (command % 8 ? 1 + command / 8 : 1); again++) {
                fill(rows, phases, count, index, command % 8, data + 2);
                take(rows, phases, count, index);
                index += count;
            }
        }
        data += 2 + wanted;
        size -= 2 + wanted;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 8)
        return 0;
    dcpi_cycle_config config = {.phases = data[0] % 5,
                                .wants_halves = data[0] / 128,
                                .sample_rate_hz = 950 + 16.0 * data[1],
                                .nominal_hz = data[2] % 8 ? (data[2] % 2 ? 50 : 60) : data[2],
                                .declared_v = data[3] % 2 ? data[3] : 0,
                                /* Seconds before a 10 min tick. */
                                .epoch_ns =
                                    INT64_C(1800000000000000000) - data[4] * INT64_C(100000000)};
    for (int k = 0; k < DCPI_PHASES_MAX; k++)
        config.skew_s[k] = (data[5] - 128) * 1e-4;
    if (workspace.cells[0] == 0)
        dcpi_cycle_workspace_init(&workspace);
    size_t cells = dcpi_cycles_cells(&config);
    double *memory = malloc((cells + 2 * MARKS) * sizeof *memory);
    if (!memory)
        return 0;
    for (size_t k = 0; k < MARKS; k++)
        memory[k] = memory[MARKS + cells + k] = MARK;
    last_end_ns = 0;
    is_timed = 0;
    int status = dcpi_cycles_init(&cycles, &config, memory + MARKS, cells);
    if (status == DCPI_OK) {
        PROMISE(config.phases >= 1 && config.phases <= DCPI_PHASES_MAX);
        PROMISE(config.sample_rate_hz >= DCPI_CYCLE_RATE_MIN_HZ);
        run(data + 8, size - 8, config.phases);
    }
    for (size_t k = 0; k < MARKS; k++)
        PROMISE(memory[k] == MARK && memory[MARKS + cells + k] == MARK);
    free(memory);
    return 0;
}
