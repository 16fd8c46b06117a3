/* All harmonics of all channels from one pass over the samples.
 *
 * Each sample, weighted by a Hann window over whole periods, is spread over FOLD_TAPS of FOLD_BINS
 * bins of one period (a non-uniform Fourier transform of type 1: A. Dutt, V. Rokhlin, SIAM J. Sci.
 * Comput. 14(6), 1993; L. Greengard, J.-Y. Lee, SIAM Review 46(3), 2004). In the same pass go the
 * weighted sums, the half-periods' phasors and the last step of the frequency. The channels are the
 * lanes of a vector, in single precision; sums over blocks are double. */
#include <string.h>

#include "internal.h"
#include "tables.h"

_Static_assert(FOLD_BINS + FOLD_TAPS <= GRID_BINS, "the grid fits");

/* A fold this far off the frequency still reads as exact; beyond, it is folded again. */
static const double FOLDED_GOOD_ENOUGH_HZ = 0.001;
enum { FOLDS_MAX = 3 };
/* Samples so many bins apart hardly wait for each other's sums, and need no second grid. */
static const double ONE_GRID_BINS = 1.5;

/* Accumulators of one block or of the window. */
typedef struct {
    double first[LANES], square[LANES], power[EACH_KIND];
    double bent[LANES]; /* squared second differences */
    double even_re, even_im, odd_re, odd_im;
    double weight;
} pass_sums;

typedef struct {
    hann_span span;
    segment_grid segments;
    rotor line, hann;
    double turns_per_sample;
    uint64_t phase, phase_step; /* of the line, in turns * 2^64 */
    uint32_t odd_grid;          /* bins from the even samples' grid to the odd ones' */
    pass_sums sums;
} fold_pass;

/* The line's cosine and sine, the Hann window and its slope in this block. */
INLINE void turn_block(const fold_pass *pass, int32_t start, int32_t count, scratch *work) {
    float line_c = (float)pass->line.cosine, line_s = (float)pass->line.sine;
    float hann_c = (float)pass->hann.cosine, hann_s = (float)pass->hann.sine;
    int32_t first = pass->span.first - start, last = pass->span.last - start;
    for (int32_t k = 0; k < count; k++) {
        float step_c = pass->line.step_cosine[k], step_s = pass->line.step_sine[k];
        work->cosine[k] = step_c * line_c - step_s * line_s;
        work->sine[k] = step_s * line_c + step_c * line_s;
    }
    for (int32_t k = 0; k < count; k++) {
        float step_c = pass->hann.step_cosine[k], step_s = pass->hann.step_sine[k];
        float weight = 0.5f + 0.5f * (step_c * hann_c - step_s * hann_s);
        work->slope[k] = step_s * hann_c + step_c * hann_s;
        work->weight[k] = (k >= first) & (k <= last) ? weight : 0;
    }
}

/* Where the samples of a block stand in the grids, and their taps. */
INLINE void place(const fold_pass *pass, int32_t count, scratch *work) {
    uint32_t phase = (uint32_t)(pass->phase >> 32), step = (uint32_t)(pass->phase_step >> 32);
    uint32_t odd_grid = pass->odd_grid * (uint32_t)sizeof(eight), at = phase;
    for (int32_t k = 0; k < count; k++, at += step) {
        work->places[k] = (at >> 24) * (uint32_t)sizeof(eight) + (k & 1 ? odd_grid : 0);
        float z = (float)(int32_t)(at & 0xffffffu) * 0x1p-24f - 0.5f;
        float z_square = z * z;
        for (int tap = 0; tap < FOLD_TAPS / 2; tap++) {
            float even = fold_even[tap][FOLD_TERMS - 1], odd = fold_odd[tap][FOLD_TERMS - 1];
            for (int term = FOLD_TERMS - 2; term >= 0; term--) {
                even = even * z_square + fold_even[tap][term];
                odd = odd * z_square + fold_odd[tap][term];
            }
            work->taps[tap][k] = even + z * odd;
            work->taps[FOLD_TAPS - 1 - tap][k] = even - z * odd;
        }
    }
}

/* The even and odd sums of the channel that gives the frequency. */
INLINE void add_slope(const scratch *work, int32_t count, pass_sums *sums) {
    const float *x = work->source;
    float even_re = 0, even_im = 0, odd_re = 0, odd_im = 0, weights = 0;
    for (int32_t k = 0; k < count; k++) {
        float weight = work->weight[k];
        float even = x[k] * weight * weight, odd = x[k] * weight * work->slope[k];
        even_re += even * work->cosine[k];
        even_im -= even * work->sine[k];
        odd_re += odd * work->cosine[k];
        odd_im -= odd * work->sine[k];
        weights += weight;
    }
    sums->even_re += (double)even_re;
    sums->even_im += (double)even_im;
    sums->odd_re += (double)odd_re;
    sums->odd_im += (double)odd_im;
    sums->weight += (double)weights;
}

/* Sums over one block. */
typedef struct {
    eight first, square, bent;
    four power;
} block_sums;

INLINE four four_voltages(const four *lanes) {
    return lanes[0];
}

INLINE four eight_voltages(const eight *lanes) {
    return __builtin_shufflevector(*lanes, *lanes, 0, 1, 2, 3);
}

#define VECTOR four
#define OF(name) four_##name
#include "spread_of.h"
#undef VECTOR
#undef OF
#define VECTOR eight
#define OF(name) eight_##name
#include "spread_of.h"

/* A share of one sample from its segment to the next one. */
INLINE void move(const scratch *work, int32_t k, float share, eight *segment) {
    const eight *x = work->lanes + 2 + k;
    eight bend = x[0] - x[-1] + (x[-2] - x[-1]);
    eight moved[TRACK_KINDS] = {x[0] * (share * work->cosine[k]), -x[0] * (share * work->sine[k]),
                                bend * bend * share};
    for (int kind = 0; kind < TRACK_KINDS; kind++) {
        segment[kind] -= moved[kind];
        segment[TRACK_KINDS + kind] += moved[kind];
    }
}

typedef void spread_piece(scratch *work, int32_t from, int32_t to, eight *segment,
                          block_sums *sums);

/* A block, segment by segment. Samples on a border are shared out by the part of their cell on
 * either side. Segment 0 lies before the first border, segment count + 1 behind the last. */
INLINE void spread_block(const segment_grid *segments, int32_t start, int32_t count,
                         spread_piece *spread, scratch *work, block_sums *sums) {
    int32_t from = 0;
    int32_t segment = (int32_t)ceil((start - 0.5 - segments->start) / segments->length);
    if (segment < 0)
        segment = 0;
    /* The piece between the halves is shorter. */
    segment += segment <= segments->count && border_of(segments, segment) < start - 0.5;
    while (from < count) {
        double border = border_of(segments, segment);
        int32_t sample = (int32_t)floor(border + 0.5) - start;
        int is_within = segment <= segments->count && sample < count;
        int32_t to = is_within ? sample + 1 : count;
        spread(work, from, to, work->track[segment], sums);
        if (is_within)
            move(work, sample, (float)(sample + start - border + 0.5), work->track[segment]);
        from = to;
        segment++;
    }
}

INLINE void add_double(const eight *from, double *to) {
    for (int lane = 0; lane < LANES; lane++)
        to[lane] += (double)(*from)[lane];
}

INLINE void add_block(const block_sums *block, pass_sums *sums) {
    add_double(&block->first, sums->first);
    add_double(&block->square, sums->square);
    add_double(&block->bent, sums->bent);
    for (int k = 0; k < EACH_KIND; k++)
        sums->power[k] += (double)block->power[k];
}

/* Eight lanes at once need registers of that width, or the compiler spills them. */
WIDE static void spread_wide(fold_pass *pass, int32_t start, int32_t count, scratch *work) {
    block_sums block = {{0}, {0}, {0}, {0}};
    spread_block(&pass->segments, start, count, eight_spread, work, &block);
    add_block(&block, &pass->sums);
}

static void spread_narrow(fold_pass *pass, int32_t start, int32_t count, scratch *work) {
    block_sums block = {{0}, {0}, {0}, {0}};
    spread_block(&pass->segments, start, count, four_spread, work, &block);
    add_block(&block, &pass->sums);
}

/* So that the first two samples of the window show no bend. */
static void extend_back(eight *lanes) {
    eight rise = lanes[3] - lanes[2];
    lanes[1] = lanes[2] - rise;
    lanes[0] = lanes[1] - rise;
}

WIDER_CLONES static void prepare_block(fold_pass *pass, int32_t start, int32_t count,
                                       scratch *work) {
    int32_t whole = (count + LANES - 1) / LANES * LANES; /* vectors */
    turn_block(pass, start, whole, work);
    place(pass, whole, work);
    add_slope(work, whole, &pass->sums);
}

static void fold_block(fold_pass *pass, int32_t start, int32_t count, scratch *work) {
    prepare_block(pass, start, count, work);
    if (HAS_WIDE)
        spread_wide(pass, start, count, work);
    else
        spread_narrow(pass, start, count, work);
    pass->phase += BLOCK * pass->phase_step;
    dcpi_rotor_advance(&pass->line);
    dcpi_rotor_advance(&pass->hann);
}

/* Taps beyond the last bin belong to the next period's first ones. */
WIDER_CLONES static void merge_grids(eight *grid, const eight *other) {
    for (int bin = 0; other && bin < FOLD_BINS + FOLD_TAPS; bin++)
        grid[bin] += other[bin];
    for (int bin = 0; bin < FOLD_TAPS - 1; bin++)
        grid[bin] += grid[FOLD_BINS + bin];
}

static fold_pass begin(const dcpi_window *window, double frequency_hz, scratch *work) {
    fold_pass pass;
    memset(&pass.sums, 0, sizeof pass.sums);
    memset(work->track, 0, sizeof work->track);
    pass.span = dcpi_span(window->samples, window->sample_rate_hz, frequency_hz);
    pass.segments = dcpi_segments(window, frequency_hz);
    pass.turns_per_sample = frequency_hz / window->sample_rate_hz;
    /* A quarter of a bin ahead, as the tables have it. */
    pass.phase = UINT64_C(1) << 54;
    pass.phase_step = (uint64_t)(pass.turns_per_sample * 0x1p64);
    pass.odd_grid = FOLD_BINS * pass.turns_per_sample < ONE_GRID_BINS ? GRID_BINS : 0;
    memset(work->grid, 0, sizeof work->grid[0] * (pass.odd_grid ? 2 : 1));
    dcpi_rotor_init(&pass.line, pass.turns_per_sample, 0);
    dcpi_rotor_init(&pass.hann, 1 / pass.span.length, -pass.span.centre);
    return pass;
}

/* The slope of the phase that is left: see frequency.c, with the window's half and quarter. */
static double correction_hz(const dcpi_window *window, const fold_pass *pass) {
    const pass_sums *sums = &pass->sums;
    phasor even = {sums->even_re, sums->even_im}, odd = {sums->odd_re, sums->odd_im};
    double norm = square(even.re) + square(even.im);
    if (!(norm > 0))
        return 0;
    double slope = times_conjugate(odd, even).im / norm;
    return window->sample_rate_hz / pass->span.length * slope;
}

/* In V and A, with the offsets that the lanes had been relieved of. */
static void restore_means(const fold_pass *pass, const lane_scaling *scaling,
                          weighted_means *means) {
    double share = 1 / pass->sums.weight, first[LANES];
    const double *offset = scaling->offset, *unit = scaling->unit;
    for (int lane = 0; lane < LANES; lane++) {
        first[lane] = pass->sums.first[lane] * share * unit[lane];
        means->first[lane] = first[lane] + offset[lane];
        means->square[lane] = pass->sums.square[lane] * share * square(unit[lane]) +
                              offset[lane] * (2 * first[lane] + offset[lane]);
    }
    for (int lane = 0; lane < EACH_KIND; lane++) {
        int other = LANE_CURRENT + lane;
        means->power[lane] = pass->sums.power[lane] * share * unit[lane] * unit[other] +
                             offset[lane] * first[other] + offset[other] * first[lane] +
                             offset[lane] * offset[other];
    }
}

static int32_t highest_order(const dcpi_window *window, double frequency_hz) {
    double order = floor(REACHABLE_SHARE * window->sample_rate_hz / frequency_hz + 1e-9);
    return order < DCPI_ORDER_MAX ? (int32_t)order : DCPI_ORDER_MAX;
}

static void bend_means(const fold_pass *pass, fold_result *result) {
    double share = 1 / pass->sums.weight;
    for (int lane = 0; lane < LANES; lane++)
        result->bend_square[lane] = pass->sums.bent[lane] * square(result->unit[lane]) * share;
}

static fold_pass fold_once(const dcpi_window *window, const phase_level *levels,
                           const lane_scaling *scaling, int source, double frequency_hz,
                           scratch *work) {
    fold_pass pass = begin(window, frequency_hz, work);
    lane_reader reader = dcpi_lane_reader(window, levels, scaling, channel_lane(window, source));
    for (int32_t start = 0; start < window->samples; start += BLOCK) {
        int32_t left = window->samples - start;
        int32_t count = left < BLOCK ? left : BLOCK;
        dcpi_read_lanes(&reader, start, count, work);
        if (start == 0)
            extend_back(work->lanes);
        fold_block(&pass, start, count, work);
    }
    return pass;
}

/* What does not vary has no orders, only what rounding its mean off left. */
static void silence(const dcpi_window *window, const phase_level *levels, fold_result *result) {
    for (int channel = 0; channel < 2 * window->phases; channel++) {
        if (channel_of(window, levels, channel)->variance > 0)
            continue;
        int lane = channel_lane(window, channel);
        for (int32_t order = 1; order <= result->h_max; order++)
            result->re[order * LANES + lane] = result->im[order * LANES + lane] = 0;
    }
}

void dcpi_fold(const dcpi_window *window, const phase_level *levels, int source,
               double frequency_hz, int is_exact, scratch *work, fold_result *result) {
    lane_scaling scaling = dcpi_scaling(window, levels);
    fold_pass pass;
    result->frequency_hz = frequency_hz;
    for (int folds = 0; folds < FOLDS_MAX; folds++) {
        result->folded_hz = result->frequency_hz;
        pass = fold_once(window, levels, &scaling, source, result->folded_hz, work);
        double change_hz = is_exact ? 0 : correction_hz(window, &pass);
        result->frequency_hz += change_hz;
        if (fabs(change_hz) < FOLDED_GOOD_ENOUGH_HZ)
            break;
    }
    result->span = pass.span;
    result->segments = pass.segments;
    result->h_max = highest_order(window, result->frequency_hz);
    for (int lane = 0; lane < LANES; lane++)
        result->unit[lane] = scaling.unit[lane];
    merge_grids(work->grid[0], pass.odd_grid ? work->grid[1] : NULL);
    restore_means(&pass, &scaling, &result->means);
    bend_means(&pass, result);
    dcpi_transform(work, pass.sums.weight, result);
    silence(window, levels, result);
}
