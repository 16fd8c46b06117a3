/* Reading samples, plain means over the window, clipping and what is no number. */
#include <float.h>

#include "internal.h"

/* A converter that clips stands still while the wave would go on. In a run of r equal samples at
 * the extreme a parabola in steps of q falls by at most q to either end; by 4 q to twice as far
 * from its middle and 9 q to three times, a fourth-order flat top by 16 q and 82 q. Beyond, with
 * what rounding adds, it was cut. */
enum { CLIP_NEAR_STEPS = 18, CLIP_FAR_STEPS = 100, CLIP_RUN_MIN = 3 };

/* Noise of a step or two brings one run of three about in 10^5 windows. */
enum { CLIP_LEAST = 6 };

/* Gaps between samples are multiples of the converter's step, of which the smallest gap itself is
 * hardly ever more than this. */
enum { STEP_DIVISORS = 8 };

/* A wave over fewer steps reads some percent wrong, and its distortion is the converter's; without
 * noise it then stands on its extremes for more than this share of the time. Two steps are a square
 * wave as well. */
enum { COARSE_STEPS = 32, SQUARE_STEPS = 2 };
static const double COARSE_SHARE = 1.0 / 16;

/* Of a constant's mean square, single precision leaves less than this as a variance when blocks of
 * it are summed. */
static const double CONSTANT_SHARE = 1e-12;

/* A range ends far from zero: a half-wave current stands at zero without being clipped. */
static const double CLIP_LEVEL_SHARE = 0.01;

static void convert(const float *from, int32_t count, double *to) {
    for (int32_t k = 0; k < count; k++)
        to[k] = (double)from[k];
}

static void copy(const double *from, int32_t count, double *to) {
    for (int32_t k = 0; k < count; k++)
        to[k] = from[k];
}

/* Channels 0 to phases-1 are voltages, the rest currents. */
void dcpi_read_block(const dcpi_window *window, int channel, int32_t start, int32_t count,
                     double *out) {
    int is_current = channel >= window->phases;
    int row = is_current ? channel - window->phases : channel;
    const void *base = is_current ? window->current : window->voltage;
    size_t offset = (size_t)row * (size_t)window->samples + (size_t)start;
    if (is_current ? window->current_is_float32 : window->voltage_is_float32)
        convert((const float *)base + offset, count, out);
    else
        copy((const double *)base + offset, count, out);
}

static double sample_at(const dcpi_window *window, int channel, int32_t index) {
    double value;
    dcpi_read_block(window, channel, index, 1, &value);
    return value;
}

/* D. L. Shell, Comm. ACM 2(7), 1959, with the gaps of M. Ciura, 2001. */
static void sort(double *values, int32_t count) {
    static const int32_t gaps[] = {301, 132, 57, 23, 10, 4, 1};
    for (size_t pass = 0; pass < sizeof gaps / sizeof *gaps; pass++) {
        int32_t gap = gaps[pass];
        for (int32_t k = gap; k < count; k++) {
            double value = values[k];
            int32_t place = k;
            for (; place >= gap && values[place - gap] > value; place -= gap)
                values[place] = values[place - gap];
            values[place] = value;
        }
    }
}

/* Whether the gaps between the sorted values are multiples of the step, as far as single precision
 * tells: samples often were single once. */
static int is_lattice(const double *values, int32_t count, double step, double peak) {
    for (int32_t k = 1; k < count; k++) {
        double steps = (values[k] - values[k - 1]) / step;
        double tolerance = 2 * (double)FLT_EPSILON * peak / step * (1 + steps);
        if (tolerance < 0.1 && fabs(steps - rint(steps)) > tolerance)
            return 0;
    }
    return 1;
}

/* Samples from all over the window. */
static int32_t gather_all_over(const dcpi_window *window, int channel, double *values) {
    int32_t stride = (window->samples + SORTED_MAX / 2 - 1) / (SORTED_MAX / 2);
    int32_t count = window->samples / stride;
    for (int32_t k = 0; k < count; k++)
        values[k] = sample_at(window, channel, k * stride);
    return count;
}

/* The distinct ones of those before and behind a place, where a wave that stands at an extreme goes
 * from step to step; one sampled in time with its period repeats few values elsewhere. */
static int32_t gather_about(const dcpi_window *window, int channel, int32_t place, double *values) {
    int32_t count = 0;
    for (int32_t side = -1; side <= 1; side += 2) {
        double last = sample_at(window, channel, place);
        for (int32_t at = place, end = count + SORTED_MAX / 4;
             at >= 0 && at < window->samples && count < end; at += side) {
            double value = sample_at(window, channel, at);
            if (value != last)
                values[count++] = last = value;
        }
    }
    return count;
}

/* The converter's step by samples about one at an extreme and all over the window; 0 when they
 * stand on no lattice. */
static double converter_step(const dcpi_window *window, int channel, double extreme, double peak,
                             scratch *work) {
    double *values = work->search.sorted, smallest = DBL_MAX;
    int32_t place = 0;
    while (place < window->samples - 1 && sample_at(window, channel, place) != extreme)
        place++;
    int32_t count = gather_about(window, channel, place, values);
    count += gather_all_over(window, channel, values + count);
    sort(values, count);
    for (int32_t k = 1; k < count; k++)
        if (values[k] > values[k - 1])
            smallest = fmin(smallest, values[k] - values[k - 1]);
    for (int divisor = 1; divisor <= STEP_DIVISORS; divisor++)
        if (is_lattice(values, count, smallest / divisor, peak))
            return smallest / divisor;
    return 0;
}

/* How far the wave falls within `away` samples from the run [first, first + length), on the side
 * where it does so less. */
static double fall_beside(const dcpi_window *window, int channel, int32_t first, int32_t length,
                          int32_t away) {
    int32_t before = first - away, after = first + length - 1 + away;
    double level = sample_at(window, channel, first);
    double fall_before = DBL_MAX, fall_after = DBL_MAX;
    if (before >= 0)
        fall_before = fabs(level - sample_at(window, channel, before));
    if (after < window->samples)
        fall_after = fabs(level - sample_at(window, channel, after));
    double fall = fall_before < fall_after ? fall_before : fall_after;
    return fall < DBL_MAX ? fall : 0;
}

/* Whether the wave would have gone on beyond the run. */
static int is_cut(const dcpi_window *window, int channel, int32_t first, int32_t length,
                  double step) {
    double near = fall_beside(window, channel, first, length, (length - 1) / 2);
    double far = fall_beside(window, channel, first, length, length - 1);
    return near > CLIP_NEAR_STEPS * step || far > CLIP_FAR_STEPS * step;
}

static int32_t clipped_at(const dcpi_window *window, int channel, double level, double step) {
    double block[BLOCK];
    int32_t run = 0, clipped = 0;
    for (int32_t start = 0; start < window->samples; start += BLOCK) {
        int32_t left = window->samples - start;
        int32_t count = left < BLOCK ? left : BLOCK;
        dcpi_read_block(window, channel, start, count, block);
        for (int32_t k = 0; k < count; k++) {
            if (block[k] == level) {
                run++;
                continue;
            }
            if (run >= CLIP_RUN_MIN && is_cut(window, channel, start + k - run, run, step))
                clipped += run;
            run = 0;
        }
    }
    if (run >= CLIP_RUN_MIN && is_cut(window, channel, window->samples - run, run, step))
        clipped += run;
    return clipped;
}

static int ends_far_from_zero(const dcpi_correction *correction, double raw, double peak) {
    return fabs(correction->gain * (raw - correction->offset)) > CLIP_LEVEL_SHARE * peak;
}

/* What the converter did to the wave; mostly a count or two tells that it did nothing. */
static void judge_converter(const dcpi_window *window, int channel, const phase_extent *both,
                            scratch *work, channel_level *level) {
    const sample_extent *extent = channel < window->phases ? &both->voltage : &both->current;
    dcpi_correction correction = dcpi_correction_of(window, channel);
    int has_run;
    double found = dcpi_at_extremes(window, channel, both, &has_run);
    int may_be_coarse = found > COARSE_SHARE * window->samples;
    if (!may_be_coarse && !has_run)
        return;
    double raw_peak = fmax(fabs(extent->low), fabs(extent->high));
    /* Single precision has steps of its own. */
    double step = fmax(converter_step(window, channel, extent->high, raw_peak, work),
                       (double)FLT_EPSILON * raw_peak);
    if (ends_far_from_zero(&correction, extent->high, level->peak))
        level->clipped += clipped_at(window, channel, extent->high, step);
    if (ends_far_from_zero(&correction, extent->low, level->peak))
        level->clipped += clipped_at(window, channel, extent->low, step);
    if (level->clipped < CLIP_LEAST)
        level->clipped = 0;
    double range = extent->high - extent->low;
    level->coarse =
        may_be_coarse && range < (COARSE_STEPS - 0.5) * step && range > (SQUARE_STEPS + 0.5) * step;
}

static channel_level level_of(const dcpi_window *window, int channel, const phase_extent *both,
                              scratch *work) {
    const sample_extent *extent = channel < window->phases ? &both->voltage : &both->current;
    dcpi_correction correction = dcpi_correction_of(window, channel);
    double count = window->samples, gain = correction.gain;
    channel_level level = {.gain = gain};
    level.peak = fmax(fabs(gain * (extent->low - correction.offset)),
                      fabs(gain * (extent->high - correction.offset)));
    /* A NaN passes by the comparisons of the extremes, not by the sum of squares. */
    level.finite = isfinite(extent->squares) && level.peak <= VALUE_LIMIT;
    if (!level.finite)
        return level;
    /* `left` is what of the offset the extent could not tell. */
    double mean = extent->sum / count, left = correction.offset - extent->offset;
    level.raw_mean = extent->offset + mean;
    level.raw_peak = fmax(level.raw_mean - extent->low, extent->high - level.raw_mean);
    level.mean = gain * (mean - left);
    level.mean_square = square(gain) * (extent->squares / count - left * (2 * mean - left));
    level.variance = level.mean_square - square(level.mean);
    /* Rounding leaves less than this of a constant. */
    if (level.variance < CONSTANT_SHARE * level.mean_square || level.peak < VALUE_LEAST ||
        level.raw_peak < VALUE_LEAST)
        level.variance = 0;
    if (level.variance > 0)
        judge_converter(window, channel, both, work, &level);
    return level;
}

/* In V*A: the products with what is left of the offsets taken off. */
static double mean_power(const phase_extent *both, const phase_level *level, double count) {
    double v_gain = level->voltage.gain, i_gain = level->current.gain;
    double v_mean = v_gain * both->voltage.sum / count, i_mean = i_gain * both->current.sum / count;
    double v_left = v_mean - level->voltage.mean, i_left = i_mean - level->current.mean;
    return v_gain * i_gain * both->products / count - v_left * i_mean - i_left * v_mean +
           v_left * i_left;
}

void dcpi_phase_level(const dcpi_window *window, int phase, scratch *work, phase_level *level) {
    phase_extent both;
    dcpi_phase_extent(window, phase, work, &both);
    level->voltage = level_of(window, phase, &both, work);
    level->current = level_of(window, window->phases + phase, &both, work);
    level->mean_power = mean_power(&both, level, window->samples);
}
