/* Samples of all channels side by side, in single precision. */
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

/* Four samples of three rows and their sum. */
INLINE void load(const half_rows *rows, int32_t k, int is_single, four samples[EACH_KIND]) {
    for (int row = 0; row < LANE_SUM; row++) {
        if (is_single)
            samples[row] = *(const four_floats *)(rows->single[row] + k) - rows->single_offset[row];
        else
            samples[row] = __builtin_convertvector(
                *(const four_doubles *)(rows->precise[row] + k) - rows->offset[row], four);
        samples[row] *= rows->scale[row];
    }
    samples[LANE_SUM] =
        samples[0] * rows->share[0] + samples[1] * rows->share[1] + samples[2] * rows->share[2];
}

/* From four samples in each of four rows to four halves of lanes. */
INLINE void transpose(const four rows[EACH_KIND], four *halves) {
    four ac_low = __builtin_shufflevector(rows[0], rows[2], 0, 4, 1, 5);
    four ac_high = __builtin_shufflevector(rows[0], rows[2], 2, 6, 3, 7);
    four bd_low = __builtin_shufflevector(rows[1], rows[3], 0, 4, 1, 5);
    four bd_high = __builtin_shufflevector(rows[1], rows[3], 2, 6, 3, 7);
    halves[0] = __builtin_shufflevector(ac_low, bd_low, 0, 4, 1, 5);
    halves[1] = __builtin_shufflevector(ac_low, bd_low, 2, 6, 3, 7);
    halves[2] = __builtin_shufflevector(ac_high, bd_high, 0, 4, 1, 5);
    halves[3] = __builtin_shufflevector(ac_high, bd_high, 2, 6, 3, 7);
}

/* A block; `row` gets the samples of the lane `wanted`. */
INLINE void interleave(const half_rows from[2], int32_t start, int is_single, int wanted,
                       float *row, four *halves) {
    const half_rows voltage = from[0], current = from[1]; /* which no store can change */
    for (int32_t k = 0; k < BLOCK; k += 4) {
        four rows[LANES], left[4], right[4];
        load(&voltage, start + k, is_single, rows);
        load(&current, start + k, is_single, rows + EACH_KIND);
        *(four *)(row + k) = rows[wanted];
        transpose(rows, left);
        transpose(rows + EACH_KIND, right);
        for (int n = 0; n < 4; n++) {
            halves[2 * (k + n)] = left[n];
            halves[2 * (k + n) + 1] = right[n];
        }
    }
}

WIDER_CLONES static void interleave_single(const half_rows rows[2], int32_t start, int wanted,
                                           float *row, four *halves) {
    interleave(rows, start, 1, wanted, row, halves);
}

WIDER_CLONES static void interleave_double(const half_rows rows[2], int32_t start, int wanted,
                                           float *row, four *halves) {
    interleave(rows, start, 0, wanted, row, halves);
}

static half_rows rows_of(const dcpi_window *window, const lane_scaling *scaling, int is_current) {
    const void *base = is_current ? window->current : window->voltage;
    size_t length = (size_t)window->samples;
    half_rows rows;
    int first = is_current ? LANE_CURRENT : 0;
    for (int k = 0; k < LANE_SUM; k++) {
        size_t row = k < window->phases ? (size_t)k : 0;
        rows.single[k] = (const float *)base + row * length;
        rows.precise[k] = (const double *)base + row * length;
        rows.offset[k] = scaling->raw_offset[first + k];
        rows.single_offset[k] = (float)rows.offset[k];
        rows.scale[k] = (float)scaling->scale[first + k];
        rows.share[k] = (float)(scaling->unit[first + k] / scaling->unit[first + LANE_SUM]);
    }
    return rows;
}

/* The last block is read into memory of our own, and so are phases that are void or missing, and
 * rows of mixed precision. */
static void pad(const dcpi_window *window, const phase_level *levels, int32_t start, int32_t count,
                int is_current, half_rows *rows, double padded[LANE_SUM][BLOCK]) {
    for (int k = 0; k < LANE_SUM; k++) {
        int is_there = k < window->phases && !is_void(levels + k);
        if (!is_there)
            rows->offset[k] = 0;
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
        reader.rows[half] = rows_of(window, scaling, half);
    return reader;
}

void dcpi_read_lanes(const lane_reader *reader, int32_t start, int32_t count, scratch *work) {
    four *halves = (four *)(work->lanes + 2);
    int wanted = reader->source_lane;
    work->lanes[0] = work->lanes[BLOCK];
    work->lanes[1] = work->lanes[BLOCK + 1];
    if (reader->is_plain && count == BLOCK && reader->window->voltage_is_float32) {
        interleave_single(reader->rows, start, wanted, work->source, halves);
    } else if (reader->is_plain && count == BLOCK) {
        interleave_double(reader->rows, start, wanted, work->source, halves);
    } else {
        double padded[2][LANE_SUM][BLOCK];
        half_rows rows[2] = {reader->rows[0], reader->rows[1]};
        for (int half = 0; half < 2; half++)
            pad(reader->window, reader->levels, start, count, half, rows + half, padded[half]);
        interleave_double(rows, 0, wanted, work->source, halves);
    }
}
