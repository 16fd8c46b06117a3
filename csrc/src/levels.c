/* Reading samples, plain means over the window, clipping and what is no number. */
#include <float.h>

#include "internal.h"

/* A converter that clips stands still while the wave would go on. In a run of r equal samples at
 * the extreme a parabola in steps of q falls by at most 9 q over r samples on either side, and a
 * fourth-order flat top by 82 q; beyond a hundred steps it was cut. */
enum { CLIP_STEPS = 100, CLIP_RUN_MIN = 3 };

/* Gaps between samples are multiples of the converter's step, of which the smallest gap itself is
 * hardly ever more than this. */
enum { STEP_DIVISORS = 8 };

/* A wave over fewer steps reads some percent wrong, and its distortion is the converter's; without
 * noise it then stands on its extremes for more than this share of the time. Two steps are a square
 * wave as well. */
enum { COARSE_STEPS = 32, SQUARE_STEPS = 2 };
static const double COARSE_SHARE = 1.0 / 16;

/* A range ends far from zero: a half-wave current stands at zero without being clipped. */
static const double CLIP_LEVEL_SHARE = 0.01;

typedef struct {
    double low, high; /* extremes of the raw samples: a converter is judged by what it gave */
    double sum, squares;
    double products; /* with the other channel of the phase */
} sample_extent;

static void convert(const float *from, int32_t count, double *to) {
    for (int32_t k = 0; k < count; k++)
        to[k] = (double)from[k];
}

static void copy(const double *from, int32_t count, double *to) {
    for (int32_t k = 0; k < count; k++)
        to[k] = from[k];
}

/* Channels 0 to phases-1 are voltages, the rest currents. */
static void read_raw(const dcpi_window *window, int channel, int32_t start, int32_t count,
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

/* In V or A. */
void dcpi_read_block(const dcpi_window *window, int channel, int32_t start, int32_t count,
                     double *out) {
    read_raw(window, channel, start, count, out);
    dcpi_correct_block(window, channel, count, out);
}

static double sample_at(const dcpi_window *window, int channel, int32_t index) {
    double value;
    read_raw(window, channel, index, 1, &value);
    return value;
}

/* Extremes on eight independent lanes, so that the compiler can use vectors of any width. */
WIDER_CLONES static void extend(const double *x, int32_t count, sample_extent *extent) {
    double low[8], high[8];
    for (int lane = 0; lane < 8; lane++) {
        low[lane] = extent->low;
        high[lane] = extent->high;
    }
    int32_t whole = count & ~7;
    for (int32_t k = 0; k < whole; k += 8) {
        for (int lane = 0; lane < 8; lane++) {
            double value = x[k + lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
        }
    }
    for (int32_t k = whole; k < count; k++) {
        low[0] = x[k] < low[0] ? x[k] : low[0];
        high[0] = x[k] > high[0] ? x[k] : high[0];
    }
    for (int lane = 0; lane < 8; lane++) {
        extent->low = low[lane] < extent->low ? low[lane] : extent->low;
        extent->high = high[lane] > extent->high ? high[lane] : extent->high;
    }
}

WIDER_CLONES static void add_sums(const double *x, const double *other, int32_t count,
                                  sample_extent *extent) {
    double sum = 0, squares = 0, products = 0;
    for (int32_t k = 0; k < count; k++) {
        sum += x[k];
        squares += x[k] * x[k];
        products += x[k] * other[k];
    }
    extent->sum += sum;
    extent->squares += squares;
    extent->products += products;
}

/* How many samples stand at either extreme, as a double so that the loop needs one width only. */
WIDER_CLONES static double at_extremes(const double *x, int32_t count, double low, double high) {
    double found = 0;
    for (int32_t k = 0; k < count; k++)
        found += x[k] == low || x[k] == high ? 1.0 : 0.0;
    return found;
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

/* The converter's step by samples from all over the window; 0 when they stand on no lattice. */
static double converter_step(const dcpi_window *window, int channel, double peak,
                             dcpi_workspace *workspace) {
    double *values = workspace->lanes, smallest = DBL_MAX;
    int32_t stride = (window->samples + DCPI_BLOCK_CELLS - 1) / DCPI_BLOCK_CELLS;
    int32_t count = window->samples / stride;
    for (int32_t k = 0; k < count; k++)
        values[k] = sample_at(window, channel, k * stride);
    sort(values, count);
    for (int32_t k = 1; k < count; k++)
        if (values[k] > values[k - 1])
            smallest = fmin(smallest, values[k] - values[k - 1]);
    for (int divisor = 1; divisor <= STEP_DIVISORS; divisor++)
        if (is_lattice(values, count, smallest / divisor, peak))
            return smallest / divisor;
    return 0;
}

/* Whether the wave would have gone on beyond the run [first, first + length). */
static int is_cut(const dcpi_window *window, int channel, int32_t first, int32_t length,
                  double step) {
    int32_t before = first - length, after = first + 2 * length - 1;
    double level = sample_at(window, channel, first);
    double fall_before = DBL_MAX, fall_after = DBL_MAX;
    if (before >= 0)
        fall_before = fabs(level - sample_at(window, channel, before));
    if (after < window->samples)
        fall_after = fabs(level - sample_at(window, channel, after));
    double fall = fall_before < fall_after ? fall_before : fall_after;
    return fall < DBL_MAX && fall > CLIP_STEPS * step;
}

static int32_t clipped_at(const dcpi_window *window, int channel, double level, double step) {
    double block[DCPI_BLOCK];
    int32_t run = 0, clipped = 0;
    for (int32_t start = 0; start < window->samples; start += DCPI_BLOCK) {
        int32_t left = window->samples - start;
        int32_t count = left < DCPI_BLOCK ? left : DCPI_BLOCK;
        read_raw(window, channel, start, count, block);
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

static double count_at_extremes(const dcpi_window *window, int channel, const sample_extent *extent,
                                dcpi_workspace *workspace) {
    double found = 0;
    for (int32_t start = 0; start < window->samples; start += DCPI_BLOCK_CELLS) {
        int32_t left = window->samples - start;
        int32_t count = left < DCPI_BLOCK_CELLS ? left : DCPI_BLOCK_CELLS;
        read_raw(window, channel, start, count, workspace->channels);
        found += at_extremes(workspace->channels, count, extent->low, extent->high);
    }
    return found;
}

static int ends_far_from_zero(const dcpi_window *window, int channel, double raw, double peak) {
    return fabs(dcpi_corrected(window, channel, raw)) > CLIP_LEVEL_SHARE * peak;
}

/* What the converter did to the wave; mostly a single count tells that it did nothing. */
static void judge_converter(const dcpi_window *window, int channel, const sample_extent *extent,
                            dcpi_workspace *workspace, channel_level *level) {
    double found = count_at_extremes(window, channel, extent, workspace);
    if (found < CLIP_RUN_MIN)
        return;
    double raw_peak = fmax(fabs(extent->low), fabs(extent->high));
    double step = converter_step(window, channel, raw_peak, workspace);
    if (ends_far_from_zero(window, channel, extent->high, level->peak))
        level->clipped += clipped_at(window, channel, extent->high, step);
    if (ends_far_from_zero(window, channel, extent->low, level->peak))
        level->clipped += clipped_at(window, channel, extent->low, step);
    double range = extent->high - extent->low;
    level->coarse = found > COARSE_SHARE * window->samples && range < (COARSE_STEPS - 0.5) * step &&
                    range > (SQUARE_STEPS + 0.5) * step;
}

static channel_level level_of(const dcpi_window *window, int channel, const sample_extent *extent,
                              dcpi_workspace *workspace) {
    double count = window->samples;
    channel_level level = {0};
    level.peak = fmax(fabs(dcpi_corrected(window, channel, extent->low)),
                      fabs(dcpi_corrected(window, channel, extent->high)));
    /* A NaN passes by the comparisons of the extremes, not by the sum of squares. */
    level.finite = isfinite(extent->squares) && level.peak <= VALUE_LIMIT;
    if (!level.finite)
        return level;
    level.mean = extent->sum / count;
    level.mean_square = extent->squares / count;
    level.variance = level.mean_square - square(level.mean);
    /* Rounding leaves less than this of a constant. */
    if (level.variance < 1e-12 * level.mean_square)
        level.variance = 0;
    if (level.variance > 0)
        judge_converter(window, channel, extent, workspace, &level);
    return level;
}

void dcpi_phase_level(const dcpi_window *window, int phase, dcpi_workspace *workspace,
                      phase_level *level) {
    sample_extent voltage = {DBL_MAX, -DBL_MAX, 0, 0, 0}, current = voltage;
    double *v = workspace->channels, *i = workspace->lanes;
    for (int32_t start = 0; start < window->samples; start += DCPI_BLOCK_CELLS) {
        int32_t left = window->samples - start;
        int32_t count = left < DCPI_BLOCK_CELLS ? left : DCPI_BLOCK_CELLS;
        read_raw(window, phase, start, count, v);
        read_raw(window, window->phases + phase, start, count, i);
        extend(v, count, &voltage);
        extend(i, count, &current);
        dcpi_correct_block(window, phase, count, v);
        dcpi_correct_block(window, window->phases + phase, count, i);
        add_sums(v, i, count, &voltage);
        add_sums(i, v, count, &current);
    }
    level->voltage = level_of(window, phase, &voltage, workspace);
    level->current = level_of(window, window->phases + phase, &current, workspace);
    level->mean_power = voltage.products / window->samples;
}
