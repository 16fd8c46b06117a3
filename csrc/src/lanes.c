/* Samples of all channels side by side, in single precision. */
#include <string.h>

#include "internal.h"

typedef double four_doubles __attribute__((vector_size(32), aligned(8), may_alias));
typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));

static double scale_of(double peak) {
    int exponent;
    if (!(peak > VALUE_LEAST))
        return 1;
    frexp(peak, &exponent);
    return ldexp(1, -exponent);
}

static void scale_lane(const dcpi_correction *correction, const channel_level *level, int lane,
                       lane_scaling *scaling) {
    int sum = lane / EACH_KIND * EACH_KIND + LANE_SUM;
    double gain = correction->gain, offset = (double)(float)level->raw_mean;
    scaling->raw_offset[lane] = offset;
    scaling->scale[lane] = copysign(scale_of(level->raw_peak), gain);
    scaling->unit[lane] = gain / scaling->scale[lane];
    scaling->offset[lane] = gain * (offset - correction->offset);
    scaling->unit[sum] = fmax(scaling->unit[sum], scaling->unit[lane]);
    scaling->offset[sum] += scaling->offset[lane];
}

/* A power of two rounds nothing; the mean, taken off, leaves the digits to the wave. A sum has the
 * unit of its largest part. */
lane_scaling dcpi_scaling(const dcpi_window *window, const phase_level *levels) {
    lane_scaling scaling;
    for (int lane = 0; lane < LANES; lane++) {
        scaling.raw_offset[lane] = scaling.offset[lane] = 0;
        scaling.scale[lane] = 1;
        scaling.unit[lane] = lane % EACH_KIND == LANE_SUM ? 0 : 1;
    }
    for (int channel = 0; channel < 2 * window->phases; channel++) {
        dcpi_correction correction = dcpi_correction_of(window, channel);
        if (!is_void(levels + channel % window->phases))
            scale_lane(&correction, channel_of(window, levels, channel),
                       channel_lane(window, channel), &scaling);
    }
    for (int lane = LANE_SUM; lane < LANES; lane += EACH_KIND)
        if (!(scaling.unit[lane] > 0))
            scaling.unit[lane] = 1;
    return scaling;
}

/* Four samples of a row; double ones less the offset, while its digits still count. */
INLINE four four_of(const lane_rows *rows, int row, int32_t k, int is_single) {
    if (is_single)
        return *(const four_floats *)(rows->single[row] + k);
    return __builtin_convertvector(
        *(const four_doubles *)(rows->precise[row] + k) - rows->offset[row], four);
}

/* Four samples of each row and of their sums: first of the voltages, then of the currents. */
INLINE void interleave_halves(const lane_rows *from, int32_t start, int32_t count, int is_single,
                              four *halves) {
    const lane_rows rows = *from; /* which no store can change */
    const four *scale = (const four *)rows.scale, *shift = (const four *)rows.shift;
    const four *share = (const four *)rows.share;
    for (int half = 0; half < 2; half++)
        for (int32_t k = 0; k < count; k += 4) {
            four x[EACH_KIND], columns[4];
            for (int n = 0; n < LANE_SUM; n++) {
                x[n] = four_of(&rows, half * LANE_SUM + n, start + k, is_single);
                x[n] = x[n] * scale[2 * n + half] - shift[2 * n + half];
            }
            x[LANE_SUM] = x[0] * share[half] + x[1] * share[2 + half] + x[2] * share[4 + half];
            transpose(x, columns);
            for (int n = 0; n < 4; n++)
                halves[2 * (k + n) + half] = columns[n];
        }
}

/* In each half by itself. */
INLINE void transpose_both(const eight rows[EACH_KIND], eight *lanes) {
    eight ac_low = __builtin_shufflevector(rows[0], rows[2], 0, 8, 1, 9, 4, 12, 5, 13);
    eight ac_high = __builtin_shufflevector(rows[0], rows[2], 2, 10, 3, 11, 6, 14, 7, 15);
    eight bd_low = __builtin_shufflevector(rows[1], rows[3], 0, 8, 1, 9, 4, 12, 5, 13);
    eight bd_high = __builtin_shufflevector(rows[1], rows[3], 2, 10, 3, 11, 6, 14, 7, 15);
    lanes[0] = __builtin_shufflevector(ac_low, bd_low, 0, 8, 1, 9, 4, 12, 5, 13);
    lanes[1] = __builtin_shufflevector(ac_low, bd_low, 2, 10, 3, 11, 6, 14, 7, 15);
    lanes[2] = __builtin_shufflevector(ac_high, bd_high, 0, 8, 1, 9, 4, 12, 5, 13);
    lanes[3] = __builtin_shufflevector(ac_high, bd_high, 2, 10, 3, 11, 6, 14, 7, 15);
}

/* The same where a vector holds a voltage's four samples beside its current's: each half is
 * transposed by itself, which leaves all lanes of a sample together. */
INLINE void interleave_both(const lane_rows *from, int32_t start, int32_t count, int is_single,
                            eight *lanes) {
    const lane_rows rows = *from;
    for (int32_t k = 0; k < count; k += 4) {
        eight x[EACH_KIND];
        for (int n = 0; n < LANE_SUM; n++) {
            four left = four_of(&rows, n, start + k, is_single);
            four right = four_of(&rows, LANE_SUM + n, start + k, is_single);
            x[n] = __builtin_shufflevector(left, right, 0, 1, 2, 3, 4, 5, 6, 7) * rows.scale[n] -
                   rows.shift[n];
        }
        x[LANE_SUM] = x[0] * rows.share[0] + x[1] * rows.share[1] + x[2] * rows.share[2];
        transpose_both(x, lanes + k);
    }
}

WIDE static void interleave_wide(const lane_rows *rows, int32_t start, int32_t count, int is_single,
                                 eight *lanes) {
    if (is_single)
        interleave_both(rows, start, count, 1, lanes);
    else
        interleave_both(rows, start, count, 0, lanes);
}

static void interleave_narrow(const lane_rows *rows, int32_t start, int32_t count, int is_single,
                              eight *lanes) {
    if (is_single)
        interleave_halves(rows, start, count, 1, (four *)lanes);
    else
        interleave_halves(rows, start, count, 0, (four *)lanes);
}

/* The samples of one lane in a row. */
static void copy_row(const lane_rows *rows, int lane, int32_t start, int32_t count, int is_single,
                     float *to) {
    int half = lane / EACH_KIND, row = lane % EACH_KIND;
    float scale = rows->scale[row][lane], shift = rows->shift[row][lane];
    for (int32_t k = 0; k < count; k += 4)
        *(four *)(to + k) =
            four_of(rows, half * LANE_SUM + row, start + k, is_single) * scale - shift;
}

static void read_lanes(const lane_rows *rows, int32_t start, int32_t count, int is_single,
                       int source_lane, scratch *work) {
    if (HAS_WIDE)
        interleave_wide(rows, start, count, is_single, work->lanes + 2);
    else
        interleave_narrow(rows, start, count, is_single, work->lanes + 2);
    copy_row(rows, source_lane, start, count, is_single, work->source);
}

/* Each channel's values stand in the four lanes of its kind. */
static void set_half(const dcpi_window *window, const lane_scaling *scaling, int is_current,
                     int is_single, lane_rows *rows) {
    const void *base = is_current ? window->current : window->voltage;
    int first = is_current ? LANE_CURRENT : 0;
    for (int k = 0; k < LANE_SUM; k++) {
        size_t start = (k < window->phases ? (size_t)k : 0) * (size_t)window->samples;
        int row = is_current * LANE_SUM + k, lane = first + k;
        double scale = scaling->scale[lane], offset = scaling->raw_offset[lane];
        rows->single[row] = (const float *)base + start;
        rows->precise[row] = (const double *)base + start;
        rows->offset[row] = offset;
        for (int n = first; n < first + EACH_KIND; n++) {
            rows->scale[k][n] = (float)scale;
            rows->shift[k][n] = is_single ? (float)(offset * scale) : 0;
            rows->share[k][n] = (float)(scaling->unit[lane] / scaling->unit[first + LANE_SUM]);
        }
    }
}

/* A block of no whole vectors is read into memory of our own, and so are phases that are void or
 * missing, and rows of mixed precision. */
static void pad(const lane_reader *reader, int32_t start, int32_t count, lane_rows *rows,
                double padded[CHANNELS_MAX][BLOCK]) {
    const dcpi_window *window = reader->window;
    for (int row = 0; row < CHANNELS_MAX; row++) {
        int phase = row % LANE_SUM;
        int is_there = phase < window->phases && !is_void(reader->levels + phase);
        if (!is_there)
            rows->offset[row] = 0;
        for (int32_t n = 0; n < BLOCK; n++)
            padded[row][n] = rows->offset[row];
        if (is_there)
            dcpi_read_block(window, row / LANE_SUM * window->phases + phase, start, count,
                            padded[row]);
        rows->precise[row] = padded[row];
    }
    for (int k = 0; k < LANE_SUM; k++)
        rows->shift[k] = (eight){0};
}

lane_reader dcpi_lane_reader(const dcpi_window *window, const phase_level *levels,
                             const lane_scaling *scaling, int source_lane) {
    lane_reader reader = {.window = window, .levels = levels, .source_lane = source_lane};
    reader.is_plain = window->phases == DCPI_PHASES_MAX &&
                      !window->voltage_is_float32 == !window->current_is_float32;
    for (int k = 0; k < window->phases; k++)
        reader.is_plain &= !is_void(levels + k);
    for (int half = 0; half < 2; half++)
        set_half(window, scaling, half, reader.is_plain && window->voltage_is_float32,
                 &reader.rows);
    return reader;
}

static void read_padded(const lane_reader *reader, int32_t start, int32_t count, scratch *work) {
    double padded[CHANNELS_MAX][BLOCK];
    lane_rows rows = reader->rows;
    pad(reader, start, count, &rows, padded);
    read_lanes(&rows, 0, BLOCK, 0, reader->source_lane, work);
}

void dcpi_read_lanes(const lane_reader *reader, int32_t start, int32_t count, scratch *work) {
    work->lanes[0] = work->lanes[BLOCK];
    work->lanes[1] = work->lanes[BLOCK + 1];
    if (count < BLOCK)
        memset(work->source, 0, sizeof work->source);
    if (reader->is_plain && count % 4 == 0)
        read_lanes(&reader->rows, start, count, reader->window->voltage_is_float32,
                   reader->source_lane, work);
    else
        read_padded(reader, start, count, work);
}
