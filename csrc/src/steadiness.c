/* Whether a channel's fundamental stood still over the window, and if not, how it moved. */
#include <float.h>

#include "internal.h"

/* How far a period's phasor may stray from the window's: 0.4 % is a step of 0.8 % or of 0.5
 * degrees; a tone of 0.2 % beside the fundamental changes power by 0.1 %. */
static const double UNSTEADY_STRAY = 0.004;
static const double TONE_STRAY = 0.0015;
/* Beyond it a window is not stationary, whatever the shape, and a step leaks more than 0.1 % of the
 * fundamental into the harmonics. */
static const double LARGE_STRAY = 0.02;
/* Steps and modulations move along a line, ratio of the axes squared below this. */
static const double LINE_ROUNDNESS = 0.1;
/* A jump of one degree leaves so much in rad beside any ramp of the frequency; where the
 * fundamental moves along its phase half of it will do, and a tone of 0.5 % far off leaves less. */
static const double JUMP_STRAY = 0.0025;
static const double TURN_STRAY = 0.0012;
/* What is no parabola is noise already known to be there: less of it is needed to tell. */
static const double JUMP_NOISE_SHARE = 0.3;
/* Noise strays that many standard deviations once in e^49. */
static const double NOISE_STRAY = 7;
/* The box's error with n samples a period is below this over n^2. */
static const double BOX_ERROR = 0.5;
/* Leaks of the orders add up at random to less than so many times their root sum of squares; those
 * of orders above the 50th, which may be sharp pulses in phase, to less than this. */
static const double LEAKS_PEAK = 3, PULSES_PEAK = 6;
/* So much of them is left when they are taken off, and less than so much is not worth it. */
static const double LEAKS_LEFT = 0.02, LEAKS_LEAST = 1e-5;
/* A step of the magnitude by 1 % two milliseconds from the window's end; in a root sum of squares
 * over the boxes, as are phase steps of currents. Those of voltages are no frequency:
 * there it is 0.03 degrees or 3 mHz. */
static const double STEP_LEAST = 0.001, JUMP_LEAST = 0.0003;
/* A spike looks like so much noise that it would pass. */
static const double BESIDE_NOISE_MAX = 0.0005;
/* So near the window's end, in boxes, a step leaves enough of it alone. */
static const double END_BOXES = 0.5;
/* So many boxes' errors may add up to look like a step. */
static const double STEP_ERRORS = 3;
/* A transient that adds this much to the distortion, and one that moves the frequency by 5 mHz. */
static const double BURST_DISTORTION = 0.001;
static const double BURST_JUMP = 0.006;
/* Hann-weighted and plain mean square differ by a sixth at most where nothing moves. */
static const double UNEVEN_SHARE = 0.5;
/* Noise bends by six times its square, a tone from 0.39 of the rate on by more than this; less than
 * so much of the wave is noise or rounding, and so is what holds less of what is no order. */
static const double NEAR_HALF_BEND = 10, NEAR_HALF_SHARE = 0.001, TONE_SHARE_LEAST = 0.2;
/* What the highest orders leave of themselves at low rates, where their mirror images are near. */
static const double MIRROR_SHARE = 0.02;
/* Quartile of an exponential distribution over its mean: ln(4/3). */
static const double QUARTILE = 0.2877;

/* Sine of 0 to pi/2: M. Abramowitz, I. Stegun, Handbook of Mathematical Functions, 1964, 4.3.97;
 * 2e-9 of it. */
INLINE float sine(float x) {
    static const float terms[] = {-2.39e-8f,     2.7526e-6f,     -1.98409e-4f,
                                  8.3333315e-3f, -0.1666666664f, 1};
    float y = x * x, sum = terms[0];
    for (int k = 1; k < 6; k++)
        sum = sum * y + terms[k];
    return sum * x;
}

/* What a box with fractional ends passes of a tone that makes whole turns in it: the image around
 * one turn a sample, sin(pi turns) / (pi (1 - turns))^2 / box, with a parabola for the sine. */
INLINE float leak(float turns, float box) {
    return 4 * turns / ((float)square(M_PI) * (1 - turns) * box);
}

/* What else passes of each order's square. */
typedef struct {
    float shares[ORDERS_PADDED]; /* of boxes: each order makes a lower and an upper tone when the
                                  * fundamental is turned to rest */
    float bends[ORDERS_PADDED];  /* of second differences: (2 sin(pi turns))^4 */
} order_shares;

/* Meaningless above h_max. */
WIDER_CLONES static void fill_shares(float turns, float box, order_shares *of) {
    for (int32_t order = 0; order < ORDERS_PADDED; order++) {
        float here = turns * (float)order, bend = 2 * sine((float)M_PI * here);
        float below = leak(here - turns, box), above = leak(here + turns, box);
        of->shares[order] = below * below + above * above;
        of->bends[order] = bend * bend * (bend * bend);
    }
    of->shares[1] = 0;
}

/* The orders' squares lane by lane, summed. */
typedef struct {
    eight bent;      /* what the orders add to the squared second differences */
    eight explained; /* from order 1 on */
    eight quiet;     /* the largest of the weakest quarter of the upper orders */
    eight leaks;     /* with the shares that boxes pass */
} order_sums;

/* The weakest quarter of the upper orders are hardly harmonics, and a step of the fundamental
 * hardly reaches them. */
WIDER_CLONES static void sum_orders(const eight *re, const eight *im, int32_t h_max,
                                    const order_shares *of, order_sums *sums) {
    int32_t first = h_max / 2 + 1, kept = (h_max - first + 1) / 4 + 1;
    eight least[DCPI_ORDERS / 8 + 1], explained = {0}, leaks = {0}, bent = {0};
    for (int32_t place = 0; place < kept; place++)
        least[place] = (eight){0} + FLT_MAX;
    for (int32_t order = 1; order <= h_max; order++) {
        eight value = re[order] * re[order] + im[order] * im[order];
        explained += value;
        leaks += of->shares[order] * value;
        bent += of->bends[order] * value;
        /* Into the sorted ones; what is larger moves on. */
        for (int32_t place = 0; order >= first && place < kept; place++)
            put_in_order(least + place, &value);
    }
    sums->explained = explained;
    sums->leaks = leaks;
    sums->bent = bent;
    sums->quiet = least[kept - 1];
}

/* The square of what is none of the orders. */
static double left_square(const fold_result *folded, const order_sums *sums, int lane) {
    double ac_square = folded->means.square[lane] - square(folded->means.first[lane]);
    return fmax(ac_square / square(folded->unit[lane]) - (double)sums->explained[lane], 0);
}

static double noise_variance(const fold_result *folded, const order_sums *sums, int lane) {
    double quiet = (double)sums->quiet[lane] / QUARTILE * folded->span.length / 3;
    return fmin(left_square(folded, sums, lane), quiet);
}

static double leaks_of(const order_sums *sums, int lane, double fundamental) {
    return LEAKS_PEAK * sqrt((double)sums->leaks[lane]) / fundamental;
}

static double fundamental_of(const fold_result *folded, int lane) {
    double re = (double)folded->re[LANES + lane], im = (double)folded->im[LANES + lane];
    return sqrt(re * re + im * im);
}

/* Mostly nothing moves enough to be judged, whatever leaks. */
static int leaks_may_be_seen(const dcpi_window *window, const fold_result *folded,
                             const stray_shapes *strays, const order_sums *sums) {
    for (int channel = 0; channel < 2 * window->phases; channel++) {
        int lane = channel_lane(window, channel);
        double fundamental = fundamental_of(folded, lane);
        int moves = (double)strays->largest[lane] > STEP_LEAST ||
                    sqrt(strays->boxes) * (double)strays->jump[lane] > JUMP_LEAST;
        if (moves && fundamental > 0 && leaks_of(sums, lane, fundamental) > LEAKS_LEAST)
            return 1;
    }
    return 0;
}

/* Of what a box still has of the orders: of those that were taken off, and of those above, which
 * only their square tells of. */
static double box_error_of(const fold_result *folded, const order_sums *sums, int lane, double box,
                           double fundamental) {
    double above = sqrt(2 * left_square(folded, sums, lane)) *
                   (double)leak((float)REACHABLE_SHARE, (float)box);
    return BOX_ERROR / square(box) + LEAKS_LEFT * leaks_of(sums, lane, fundamental) +
           PULSES_PEAK * above / fundamental;
}

/* One sample off by x in mid window adds 2 sqrt(2) x / length to each of 49 orders. */
static double burst_distortion(double burst_square, double length, double fundamental) {
    return 20 * sqrt(burst_square) / (length * fundamental);
}

static int is_uneven(const channel_level *level, double mean_square, double dc) {
    double difference = fabs(mean_square - square(dc) - level->variance);
    return level->variance > 0 && difference > UNEVEN_SHARE * level->variance;
}

/* Smaller over larger axis of the ellipse of the strays, squared. */
static double roundness(const stray_shapes *strays, int lane) {
    double xx = (double)strays->along[lane], yy = (double)strays->across[lane];
    double middle = 0.5 * (xx + yy);
    double radius = sqrt(square(0.5 * (xx - yy)) + square((double)strays->mixed[lane]));
    return middle + radius > 0 ? fmax(middle - radius, 0) / (middle + radius) : 0;
}

/* Sought only where enough moves. */
static int steps(const stray_shapes *strays, int lane, double noise, double *place) {
    double least = STEP_LEAST + noise / 2;
    return (double)strays->largest[lane] > least &&
           dcpi_magnitude_steps(strays, lane, least, noise, place);
}

/* Beside a step, or where what moves stands at the window's end, the phase goes on: its slope there
 * is the frequency that the whole window's phasor does not tell. */
static void judge_beside(const stray_shapes *strays, int lane, double place, double noise,
                         steady_verdict *verdict) {
    double tolerance = JUMP_LEAST + fmin(noise / 2, BESIDE_NOISE_MAX);
    double slope = dcpi_slope_beside(strays, lane, place, tolerance);
    verdict->jumps = isnan(slope);
    verdict->slope = verdict->jumps ? 0 : slope;
}

static double first_end(const stray_shapes *strays) {
    return (double)strays->place[0] - 0.5;
}

static double last_end(const stray_shapes *strays) {
    return (double)strays->place[strays->boxes - 1] + 0.5;
}

static void judge_without_ends(const stray_shapes *strays, int lane, double noise,
                               steady_verdict *verdict) {
    judge_beside(strays, lane, first_end(strays), noise, verdict);
    if (verdict->jumps)
        judge_beside(strays, lane, last_end(strays), noise, verdict);
}

static int is_at_end(const stray_shapes *strays, double place) {
    return place < first_end(strays) + END_BOXES || place > last_end(strays) - END_BOXES;
}

/* The largest movement is at least the mean one. */
static int leaps_a_little(const stray_shapes *strays, int lane, double noise, double *place) {
    double least = lane < LANE_CURRENT ? JUMP_LEAST : STEP_LEAST + noise / 2;
    return sqrt(strays->boxes) * (double)strays->jump[lane] > least &&
           dcpi_phase_steps(strays, lane, least, noise, place);
}

static void judge(const stray_shapes *strays, int lane, double noise, double step_noise,
                  double burst, steady_verdict *verdict) {
    double largest = (double)strays->largest[lane], jump = (double)strays->jump[lane];
    int moves = largest > TONE_STRAY + noise;
    int is_line = moves && roundness(strays, lane) < LINE_ROUNDNESS;
    int is_burst = burst > BURST_DISTORTION;
    int is_turning = strays->across[lane] > strays->along[lane];
    int stray = largest > UNSTEADY_STRAY + noise;
    int turns = stray && is_line && is_turning && jump > TURN_STRAY + noise;
    /* Of a step at the window's end little but its mirror image is left, which turns the phase. */
    double place;
    int is_step = steps(strays, lane, step_noise, &place);
    int is_jump = !is_step && !is_burst && leaps_a_little(strays, lane, step_noise, &place);
    if (is_burst || is_step || is_jump || (stray && (is_line || largest > LARGE_STRAY)))
        verdict->flags |= DCPI_NON_STATIONARY;
    if (moves && !is_line && !is_step && !is_jump)
        verdict->flags |= DCPI_INTERHARMONIC;
    if (!(verdict->flags & DCPI_NON_STATIONARY))
        return;
    int leaps = jump > JUMP_STRAY + JUMP_NOISE_SHARE * noise;
    verdict->smears = leaps || is_burst || largest > LARGE_STRAY;
    if (is_step)
        judge_beside(strays, lane, place, step_noise, verdict);
    else
        verdict->jumps = is_jump || turns || leaps || burst > BURST_JUMP;
    if (!is_step && verdict->jumps && (!is_jump || is_at_end(strays, place)))
        judge_without_ends(strays, lane, step_noise, verdict);
}

/* Whether what is no order stands close to half the rate. Its second differences mostly tell that
 * it does not. */
static int is_near_half_rate(const dcpi_window *window, int channel, const channel_level *level,
                             const fold_result *folded, const order_sums *sums) {
    int lane = channel_lane(window, channel);
    double unit_square = square(folded->unit[lane]), explained = (double)sums->explained[lane];
    double left = left_square(folded, sums, lane);
    double bent = folded->bend_square[lane] / unit_square - (double)sums->bent[lane];
    double harmonics = fmax(explained - square(fundamental_of(folded, lane)), 0);
    double least = square(NEAR_HALF_SHARE) * explained + square(MIRROR_SHARE) * harmonics;
    if (left <= least || bent <= NEAR_HALF_BEND * left)
        return 0;
    least = fmax(square(NEAR_HALF_SHARE) * explained, TONE_SHARE_LEAST * left);
    return dcpi_has_tone_near_half(window, channel, level, folded->frequency_hz,
                                   least * unit_square);
}

static steady_verdict verdict_of(const dcpi_window *window, int channel, const channel_level *level,
                                 const fold_result *folded, const stray_shapes *strays,
                                 const order_sums *sums) {
    int lane = channel_lane(window, channel);
    double fundamental = fundamental_of(folded, lane), box = 2 * folded->segments.length;
    steady_verdict verdict = {0};
    verdict.uneven = is_uneven(level, folded->means.square[lane], folded->means.first[lane]);
    if (!(fundamental > 0))
        return verdict;
    double box_error = box_error_of(folded, sums, lane, box, fundamental);
    double noise =
        NOISE_STRAY * sqrt(2 * noise_variance(folded, sums, lane) / box) / fundamental + box_error;
    double burst =
        burst_distortion((double)strays->burst_square[lane], folded->span.length, fundamental);
    judge(strays, lane, noise, noise + STEP_ERRORS * box_error, burst, &verdict);
    if (!verdict.flags && is_near_half_rate(window, channel, level, folded, sums))
        verdict.flags |= DCPI_NEAR_HALF_RATE;
    return verdict;
}

void dcpi_steadiness(const dcpi_window *window, const phase_level *levels, scratch *work,
                     fold_result *folded) {
    order_shares shares;
    stray_shapes strays;
    order_sums sums;
    fill_shares((float)(folded->frequency_hz / window->sample_rate_hz),
                (float)(2 * folded->segments.length), &shares);
    sum_orders((const eight *)(const void *)folded->re, (const eight *)(const void *)folded->im,
               folded->h_max, &shares, &sums);
    dcpi_strays(window, folded, work, &strays);
    if (leaks_may_be_seen(window, folded, &strays, &sums)) {
        dcpi_take_leaks_off(window, folded, work);
        dcpi_strays(window, folded, work, &strays);
    }
    for (int channel = 0; channel < 2 * window->phases; channel++) {
        folded->verdict[channel] = (steady_verdict){0};
        if (!is_void(levels + channel % window->phases))
            folded->verdict[channel] = verdict_of(
                window, channel, channel_of(window, levels, channel), folded, &strays, &sums);
    }
}
