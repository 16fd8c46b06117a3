/* All harmonics of all channels from one pass over the samples.
 *
 * Each sample, weighted by a Hann window over whole periods, is spread over FOLD_TAPS of FOLD_BINS
 * bins of one period (a non-uniform Fourier transform of type 1: A. Dutt, V. Rokhlin, SIAM J. Sci.
 * Comput. 14(6), 1993; L. Greengard, J.-Y. Lee, SIAM Review 46(3), 2004). One short transform
 * across the channels then gives every order; dividing by the kernel's transform undoes the
 * spreading. Voltage and current of a phase are the real and imaginary part of one complex lane. */
#include <string.h>

#include "internal.h"
#include "tables.h"

_Static_assert((FOLD_BINS + FOLD_TAPS) * DCPI_LANES <= DCPI_GRID_CELLS, "the grid fits");
_Static_assert(FOLD_TAPS *DCPI_BLOCK <= DCPI_BLOCK_CELLS, "the taps fit");
_Static_assert(DCPI_LANES *DCPI_BLOCK <= DCPI_BLOCK_CELLS, "the lanes fit");

enum { LANES = DCPI_LANES, HALF = DCPI_LANES / 2 };

/* Bins and taps of samples that stand `turns` of the period on, rising by `step`. */
WIDER_CLONES static void place(double turns, double step, int32_t count, int32_t *bins,
                               double *taps) {
    for (int32_t k = 0; k < count; k++) {
        double position = turns + step * k;
        position = FOLD_BINS * (position - (double)(int32_t)position);
        bins[k] = (int32_t)position;
        double z = position - bins[k] - 0.5;
        double z_square = z * z;
        for (int tap = 0; tap < FOLD_TAPS / 2; tap++) {
            double even = fold_even[tap][FOLD_TERMS - 1], odd = fold_odd[tap][FOLD_TERMS - 1];
            for (int term = FOLD_TERMS - 2; term >= 0; term--) {
                even = even * z_square + fold_even[tap][term];
                odd = odd * z_square + fold_odd[tap][term];
            }
            taps[tap * DCPI_BLOCK + k] = even + z * odd;
            taps[(FOLD_TAPS - 1 - tap) * DCPI_BLOCK + k] = even - z * odd;
        }
    }
}

WIDER_CLONES static void spread(const double *restrict lanes, const double *restrict taps,
                                const int32_t *restrict bins, int32_t count,
                                double *restrict grid) {
    for (int32_t k = 0; k < count; k++) {
        double *cell = grid + bins[k] * LANES;
        for (int tap = 0; tap < FOLD_TAPS; tap++) {
            double share = taps[tap * DCPI_BLOCK + k];
            for (int lane = 0; lane < LANES; lane++)
                cell[tap * LANES + lane] += share * lanes[k * LANES + lane];
        }
    }
}

WIDER_CLONES static void weigh(const double *channels, const double *weight, int32_t count,
                               double *restrict lanes) {
    for (int32_t k = 0; k < count; k++)
        for (int lane = 0; lane < LANES; lane++)
            lanes[k * LANES + lane] = weight[k] * channels[lane * DCPI_BLOCK + k];
}

WIDER_CLONES static double weighted_product(const double *x, const double *y, const double *weight,
                                            int32_t count) {
    double sum = 0;
    for (int32_t k = 0; k < count; k++)
        sum += weight[k] * x[k] * y[k];
    return sum;
}

static void add_means(const double *channels, const double *weight, int32_t count, int phases,
                      weighted_means *sums) {
    for (int k = 0; k < phases; k++) {
        const double *v = channels + k * DCPI_BLOCK;
        const double *i = channels + (LANE_CURRENT + k) * DCPI_BLOCK;
        sums->voltage_square[k] += weighted_product(v, v, weight, count);
        sums->current_square[k] += weighted_product(i, i, weight, count);
        sums->power[k] += weighted_product(v, i, weight, count);
        if (phases < DCPI_PHASES_MAX)
            continue;
        const double *v_next = channels + (k + 1) % phases * DCPI_BLOCK;
        const double *i_next = channels + (LANE_CURRENT + (k + 1) % phases) * DCPI_BLOCK;
        sums->voltage_cross[k] += weighted_product(v, v_next, weight, count);
        sums->current_cross[k] += weighted_product(i, i_next, weight, count);
    }
}

static void divide_means(weighted_means *sums, double weight_sum) {
    for (int k = 0; k < DCPI_PHASES_MAX; k++) {
        sums->voltage_square[k] /= weight_sum;
        sums->current_square[k] /= weight_sum;
        sums->power[k] /= weight_sum;
        sums->voltage_cross[k] /= weight_sum;
        sums->current_cross[k] /= weight_sum;
    }
}

/* One radix-4 butterfly across the lanes; bins a quarter of the transform apart. */
static inline void butterfly(double *restrict first, int quarter, int turn) {
    const double *cosine = fold_sine + FOLD_BINS / 4;
    double *a = first, *b = a + quarter * LANES, *c = b + quarter * LANES, *d = c + quarter * LANES;
    for (int lane = 0; lane < HALF; lane++) {
        int im = lane + HALF;
        double sum_re = a[lane] + c[lane], sum_im = a[im] + c[im];
        double difference_re = a[lane] - c[lane], difference_im = a[im] - c[im];
        double other_re = b[lane] + d[lane], other_im = b[im] + d[im];
        /* times -j */
        double turned_re = b[im] - d[im], turned_im = d[lane] - b[lane];
        double one_re = difference_re + turned_re, one_im = difference_im + turned_im;
        double two_re = sum_re - other_re, two_im = sum_im - other_im;
        double three_re = difference_re - turned_re, three_im = difference_im - turned_im;
        a[lane] = sum_re + other_re;
        a[im] = sum_im + other_im;
        b[lane] = one_re * cosine[turn] + one_im * fold_sine[turn];
        b[im] = one_im * cosine[turn] - one_re * fold_sine[turn];
        c[lane] = two_re * cosine[2 * turn] + two_im * fold_sine[2 * turn];
        c[im] = two_im * cosine[2 * turn] - two_re * fold_sine[2 * turn];
        d[lane] = three_re * cosine[3 * turn] + three_im * fold_sine[3 * turn];
        d[im] = three_im * cosine[3 * turn] - three_re * fold_sine[3 * turn];
    }
}

/* In place; the result of order h stands in the bin with h's base-4 digits reversed. */
WIDER_CLONES static void transform(double *grid) {
    for (int length = FOLD_BINS; length >= 4; length /= 4) {
        int quarter = length / 4;
        for (int base = 0; base < FOLD_BINS; base += length)
            for (int k = 0; k < quarter; k++)
                butterfly(grid + (base + k) * LANES, quarter, k * (FOLD_BINS / length));
    }
}

static int reversed_digits(int order) {
    return (order & 3) << 6 | (order & 12) << 2 | (order & 48) >> 2 | (order & 192) >> 6;
}

/* Taps beyond the last bin belong to the next period's first ones. */
static void wrap(double *grid) {
    for (int cell = 0; cell < (FOLD_TAPS - 1) * LANES; cell++)
        grid[cell] += grid[FOLD_BINS * LANES + cell];
}

/* Separate the voltage (real part) and the current (imaginary part) of one phase. */
static void unpack(const double *grid, int phase, int order, double weight_sum, phasor *voltage,
                   phasor *current) {
    const double *plus = grid + reversed_digits(order) * LANES;
    const double *minus = grid + reversed_digits((FOLD_BINS - order) % FOLD_BINS) * LANES;
    double re = plus[phase], im = plus[phase + HALF];
    double mirror_re = minus[phase], mirror_im = minus[phase + HALF];
    /* Tap 0 stands FOLD_TAPS/2 - 1 bins before the sample's own. */
    int turn = order * (FOLD_TAPS / 2 - 1) % FOLD_BINS;
    double scale = fold_gain[order] / weight_sum * (order == 0 ? 0.5 : M_SQRT1_2);
    double c = scale * fold_sine[turn + FOLD_BINS / 4], s = scale * fold_sine[turn];
    phasor v = {re + mirror_re, im - mirror_im}, i = {im + mirror_im, mirror_re - re};
    *voltage = (phasor){v.re * c - v.im * s, v.im * c + v.re * s};
    *current = (phasor){i.re * c - i.im * s, i.im * c + i.re * s};
}

static void load_lanes(const dcpi_window *window, const phase_level *levels, int32_t start,
                       int32_t count, dcpi_workspace *workspace) {
    for (int channel = 0; channel < 2 * window->phases; channel++) {
        const phase_level *level = levels + channel % window->phases;
        if (level->voltage.finite && level->current.finite)
            dcpi_read_block(window, channel, start, count,
                            workspace->channels + channel_lane(window, channel) * DCPI_BLOCK);
    }
    /* The track of a pure cosine and sine tells what of its own image a fundamental leaves. */
    memcpy(workspace->channels + LANE_COSINE * DCPI_BLOCK, workspace->cosine,
           sizeof workspace->cosine);
    memcpy(workspace->channels + LANE_SINE * DCPI_BLOCK, workspace->sine, sizeof workspace->sine);
}

static double hann_block(const rotor_table *hann, const hann_span *span, int32_t start,
                         int32_t count, dcpi_workspace *workspace) {
    double *cosine = workspace->lanes, *sine = workspace->lanes + DCPI_BLOCK;
    double sum = 0;
    dcpi_rotor_block(hann, start - span->centre, count, cosine, sine);
    for (int32_t k = 0; k < count; k++) {
        int32_t index = start + k;
        int inside = index >= span->first && index <= span->last;
        workspace->weight[k] = inside ? 0.5 + 0.5 * cosine[k] : 0;
        sum += workspace->weight[k];
    }
    return sum;
}

static void fold_block(const dcpi_window *window, double turns_per_sample, int32_t start,
                       int32_t count, dcpi_workspace *workspace, weighted_means *sums) {
    double turns = turns_per_sample * start;
    place(turns - floor(turns), turns_per_sample, count, workspace->bins, workspace->taps);
    weigh(workspace->channels, workspace->weight, count, workspace->lanes);
    spread(workspace->lanes, workspace->taps, workspace->bins, count, workspace->grid);
    add_means(workspace->channels, workspace->weight, count, window->phases, sums);
}

static int32_t highest_order(const dcpi_window *window, double frequency_hz) {
    double order = floor(REACHABLE_SHARE * window->sample_rate_hz / frequency_hz + 1e-9);
    return order < DCPI_ORDER_MAX ? (int32_t)order : DCPI_ORDER_MAX;
}

void dcpi_fold(const dcpi_window *window, const phase_level *levels, double frequency_hz,
               dcpi_workspace *workspace, fold_result *result) {
    double turns_per_sample = frequency_hz / window->sample_rate_hz;
    hann_span span = dcpi_span(window, frequency_hz);
    segment_grid segments = dcpi_segments(window, frequency_hz);
    rotor_table line, hann;
    dcpi_rotor_init(&line, turns_per_sample);
    dcpi_rotor_init(&hann, 1 / span.length);
    memset(result, 0, sizeof *result);
    memset(workspace->grid, 0, sizeof workspace->grid);
    memset(workspace->track, 0, sizeof workspace->track);
    memset(workspace->channels, 0, sizeof workspace->channels);
    double weight_sum = 0;
    for (int32_t start = 0; start < window->samples; start += DCPI_BLOCK) {
        int32_t left = window->samples - start;
        int32_t count = left < DCPI_BLOCK ? left : DCPI_BLOCK;
        dcpi_rotor_block(&line, start, count, workspace->cosine, workspace->sine);
        load_lanes(window, levels, start, count, workspace);
        dcpi_track_block(&segments, start, count, workspace);
        if (start > span.last || start + count <= span.first)
            continue;
        weight_sum += hann_block(&hann, &span, start, count, workspace);
        fold_block(window, turns_per_sample, start, count, workspace, &result->means);
    }
    wrap(workspace->grid);
    transform(workspace->grid);
    divide_means(&result->means, weight_sum);
    result->frequency_hz = frequency_hz;
    result->h_max = highest_order(window, frequency_hz);
    for (int phase = 0; phase < window->phases; phase++)
        for (int order = 0; order <= result->h_max; order++)
            unpack(workspace->grid, phase, order, weight_sum, &result->voltage[phase].order[order],
                   &result->current[phase].order[order]);
}
