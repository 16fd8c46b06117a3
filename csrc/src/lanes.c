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
INLINE four four_of(const half_rows *rows, int row, int32_t k, int is_single) {
    if (is_single)
        return *(const four_floats *)(rows->single[row] + k);
    return __builtin_convertvector(
        *(const four_doubles *)(rows->precise[row] + k) - rows->offset[row], four);
}

/* Of three rows and their sum. */
INLINE void load(const half_rows *rows, int32_t k, int is_single, four samples[EACH_KIND]) {
    for (int row = 0; row < LANE_SUM; row++)
        samples[row] = four_of(rows, row, k, is_single) * rows->scale[row] - rows->shift[row];
    samples[LANE_SUM] =
        samples[0] * rows->share[0] + samples[1] * rows->share[1] + samples[2] * rows->share[2];
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

/* `count` samples, a multiple of four. */
INLINE void interleave(const half_rows from[2], int32_t start, int32_t count, int is_single,
                       four *halves) {
    const half_rows voltage = from[0], current = from[1]; /* which no store can change */
    for (int32_t k = 0; k < count; k += 4) {
        four rows[LANES], left[4], right[4];
        load(&voltage, start + k, is_single, rows);
        load(&current, start + k, is_single, rows + EACH_KIND);
        transpose(rows, left);
        transpose(rows + EACH_KIND, right);
        for (int n = 0; n < 4; n++) {
            halves[2 * (k + n)] = left[n];
            halves[2 * (k + n) + 1] = right[n];
        }
    }
}

INLINE void side_by_side(four left, four right, eight *both) {
    *both = __builtin_shufflevector(left, right, 0, 1, 2, 3, 4, 5, 6, 7);
}

INLINE void repeat(float left, float right, eight *both) {
    side_by_side((four){0} + left, (four){0} + right, both);
}

/* The same where a vector holds a voltage's four samples beside its current's: each half is
 * transposed by itself, which leaves all lanes of a sample together. */
INLINE void interleave_both(const half_rows from[2], int32_t start, int32_t count, int is_single,
                            eight *lanes) {
    const half_rows voltage = from[0], current = from[1];
    eight scale[LANE_SUM], shift[LANE_SUM], share[LANE_SUM];
    for (int k = 0; k < LANE_SUM; k++) {
        repeat(voltage.scale[k], current.scale[k], scale + k);
        repeat(voltage.shift[k], current.shift[k], shift + k);
        repeat(voltage.share[k], current.share[k], share + k);
    }
    for (int32_t k = 0; k < count; k += 4) {
        eight x[EACH_KIND];
        for (int n = 0; n < LANE_SUM; n++) {
            side_by_side(four_of(&voltage, n, start + k, is_single),
                         four_of(&current, n, start + k, is_single), x + n);
            x[n] = x[n] * scale[n] - shift[n];
        }
        x[LANE_SUM] = x[0] * share[0] + x[1] * share[1] + x[2] * share[2];
        transpose_both(x, lanes + k);
    }
}

WIDE static void interleave_wide(const half_rows rows[2], int32_t start, int32_t count,
                                 int is_single, eight *lanes) {
    if (is_single)
        interleave_both(rows, start, count, 1, lanes);
    else
        interleave_both(rows, start, count, 0, lanes);
}

static void interleave_narrow(const half_rows rows[2], int32_t start, int32_t count, int is_single,
                              eight *lanes) {
    if (is_single)
        interleave(rows, start, count, 1, (four *)lanes);
    else
        interleave(rows, start, count, 0, (four *)lanes);
}

/* The samples of one lane in a row. */
static void copy_row(const half_rows *rows, int row, int32_t start, int32_t count, int is_single,
                     float *to) {
    for (int32_t k = 0; k < count; k += 4)
        *(four *)(to + k) =
            four_of(rows, row, start + k, is_single) * rows->scale[row] - rows->shift[row];
}

static void read_lanes(const half_rows rows[2], int32_t start, int32_t count, int is_single,
                       int source_lane, scratch *work) {
    if (HAS_WIDE)
        interleave_wide(rows, start, count, is_single, work->lanes + 2);
    else
        interleave_narrow(rows, start, count, is_single, work->lanes + 2);
    copy_row(rows + source_lane / EACH_KIND, source_lane % EACH_KIND, start, count, is_single,
             work->source);
}

static half_rows rows_of(const dcpi_window *window, const lane_scaling *scaling, int is_current,
                         int is_single) {
    const void *base = is_current ? window->current : window->voltage;
    size_t length = (size_t)window->samples;
    half_rows rows;
    int first = is_current ? LANE_CURRENT : 0;
    for (int k = 0; k < LANE_SUM; k++) {
        size_t row = k < window->phases ? (size_t)k : 0;
        rows.single[k] = (const float *)base + row * length;
        rows.precise[k] = (const double *)base + row * length;
        rows.offset[k] = scaling->raw_offset[first + k];
        rows.scale[k] = (float)scaling->scale[first + k];
        rows.shift[k] = is_single ? (float)(rows.offset[k] * scaling->scale[first + k]) : 0;
        rows.share[k] = (float)(scaling->unit[first + k] / scaling->unit[first + LANE_SUM]);
    }
    return rows;
}

/* A block of no whole vectors is read into memory of our own, and so are phases that are void or
 * missing, and rows of mixed precision. */
static void pad(const dcpi_window *window, const phase_level *levels, int32_t start, int32_t count,
                int is_current, half_rows *rows, double padded[LANE_SUM][BLOCK]) {
    for (int k = 0; k < LANE_SUM; k++) {
        int is_there = k < window->phases && !is_void(levels + k);
        if (!is_there)
            rows->offset[k] = 0;
        rows->shift[k] = 0;
        for (int32_t n = 0; n < BLOCK; n++)
            padded[k][n] = rows->offset[k];
        if (is_there)
            dcpi_read_block(window, is_current * window->phases + k, start, count, padded[k]);
        rows->precise[k] = padded[k];
    }
}

lane_reader dcpi_lane_reader(const dcpi_window *window, const phase_level *levels,
                             const lane_scaling *scaling, int source_lane) {
    lane_reader reader = {.window = window, .levels = levels, .source_lane = source_lane};
    reader.is_plain = window->phases == DCPI_PHASES_MAX &&
                      !window->voltage_is_float32 == !window->current_is_float32;
    for (int k = 0; k < window->phases; k++)
        reader.is_plain &= !is_void(levels + k);
    for (int half = 0; half < 2; half++)
        reader.rows[half] =
            rows_of(window, scaling, half, reader.is_plain && window->voltage_is_float32);
    return reader;
}

static void interleave_padded(const lane_reader *reader, int32_t start, int32_t count,
                              scratch *work) {
    double padded[2][LANE_SUM][BLOCK];
    half_rows rows[2] = {reader->rows[0], reader->rows[1]};
    for (int half = 0; half < 2; half++)
        pad(reader->window, reader->levels, start, count, half, rows + half, padded[half]);
    read_lanes(rows, 0, BLOCK, 0, reader->source_lane, work);
}

void dcpi_read_lanes(const lane_reader *reader, int32_t start, int32_t count, scratch *work) {
    int is_single = reader->window->voltage_is_float32;
    work->lanes[0] = work->lanes[BLOCK];
    work->lanes[1] = work->lanes[BLOCK + 1];
    if (count < BLOCK)
        memset(work->source, 0, sizeof work->source);
    if (!reader->is_plain || count % 4)
        interleave_padded(reader, start, count, work);
    else
        read_lanes(reader->rows, start, count, is_single, reader->source_lane, work);
}
