/* Whether a tone stands between 0.49 of the rate and half of it, where it may be an alias.
 *
 * Every other sample turned over, half the rate becomes zero; a Blackman-Harris window (F. J.
 * Harris, Proc. IEEE 66(1), 1978: -92 dB beside the main lobe) tells the tone from orders below. */
#include "internal.h"

/* So many samples about mid window tell orders apart at 51.2 kS/s; tones half a bin apart. */
enum { LENGTH_MAX = 4096, TONES = 32, TONES_MAX = 3 * TONES };
static const double STEP_BINS = 0.5;
/* So many bins beyond the limit are looked at, so that a lobe's skirt is no tone. */
static const double BEYOND_BINS = 5;
/* How far a tone may be off for noise and its mirror image, and where an order would be. */
static const double LIMIT_BINS = 0.1, ORDER_BINS = 0.3;
/* Orders closer than this share a lobe, whose top may lie well beside them. */
static const double ORDERS_APART_BINS = 3, SHARED_LOBE_BINS = 2;
/* A weaker one beside the strongest may be rounding. */
static const double WEAKEST = 1e-4;

typedef struct {
    float re[TONES], im[TONES];
} tone_sums;

WIDER_CLONES static void add_tones(const float *x, int32_t count, const float *by_re,
                                   const float *by_im, tone_sums *turn, tone_sums *sums) {
    for (int32_t n = 0; n < count; n++) {
        for (int k = 0; k < TONES; k++) {
            sums->re[k] += x[n] * turn->re[k];
            sums->im[k] += x[n] * turn->im[k];
            float re = turn->re[k] * by_re[k] - turn->im[k] * by_im[k];
            turn->im[k] = turn->im[k] * by_re[k] + turn->re[k] * by_im[k];
            turn->re[k] = re;
        }
    }
}

static double blackman_harris(double turns) {
    double c = cos(TWO_PI * turns), c_two = 2 * c * c - 1, c_three = c * (2 * c_two - 1);
    return 0.35875 - 0.48829 * c + 0.14128 * c_two - 0.01168 * c_three;
}

/* Samples of the middle `length`, from `start` of them on, weighted and every other one turned
 * over; the sum of their weights. */
static double load_turned(const dcpi_window *window, int channel, const channel_level *level,
                          int32_t length, int32_t start, int32_t count, float *turned) {
    double samples[BLOCK], weight_sum = 0;
    dcpi_read_block(window, channel, (window->samples - length) / 2 + start, count, samples);
    for (int32_t n = 0; n < count; n++) {
        double weight = blackman_harris((start + n + 0.5) / length);
        double value = (samples[n] - level->raw_mean) / level->raw_peak;
        weight_sum += weight;
        turned[n] = (float)(value * (n % 2 ? -weight : weight));
    }
    return weight_sum;
}

/* Mean squares of tones at multiples of STEP_BINS below half the rate, in V^2 or A^2. */
static void tone_squares(const dcpi_window *window, int channel, const channel_level *level,
                         int32_t length, int first_tone, double *squares) {
    tone_sums turn, sums = {{0}, {0}};
    float by_re[TONES], by_im[TONES], turned[BLOCK] = {0};
    double weight_sum = 0;
    for (int k = 0; k < TONES; k++) {
        double angle = TWO_PI * (first_tone + k) * STEP_BINS / length;
        by_re[k] = (float)cos(angle);
        by_im[k] = (float)sin(angle);
        turn.re[k] = 1;
        turn.im[k] = 0;
    }
    for (int32_t start = 0; start < length; start += BLOCK) {
        int32_t count = length - start < BLOCK ? length - start : BLOCK;
        weight_sum += load_turned(window, channel, level, length, start, count, turned);
        add_tones(turned, count, by_re, by_im, &turn, &sums);
    }
    double unit = level->gain * level->raw_peak / weight_sum;
    for (int k = 0; k < TONES; k++)
        squares[k] = 2 * square(unit) * (square((double)sums.re[k]) + square((double)sums.im[k]));
}

/* Where a parabola through three logarithms of squares has its top, in steps from the middle. */
static double top_of(double before, double middle, double after) {
    double rise = log(middle / before), fall = log(middle / after);
    return rise + fall > 0 ? 0.5 * (rise - fall) / (rise + fall) : 0;
}

int dcpi_has_tone_near_half(const dcpi_window *window, int channel, const channel_level *level,
                            double frequency_hz, double least_square) {
    int32_t length = window->samples < LENGTH_MAX ? window->samples : LENGTH_MAX;
    double limit = (0.5 - REACHABLE_SHARE) * length;
    int tones = (int)ceil((limit + BEYOND_BINS) / STEP_BINS);
    double turns = frequency_hz / window->sample_rate_hz, squares[TONES_MAX], strongest = 0;
    double highest_order = floor(REACHABLE_SHARE / turns + 1e-9);
    double order = (0.5 - highest_order * turns) * length;
    double beside = turns * length < ORDERS_APART_BINS ? SHARED_LOBE_BINS : ORDER_BINS;
    limit = fmin(limit + LIMIT_BINS, order - beside);
    for (int first = 0; first < tones; first += TONES)
        tone_squares(window, channel, level, length, first, squares + first);
    for (int k = 0; k < tones; k++)
        strongest = fmax(strongest, squares[k]);
    for (int k = 0; k < tones - 1; k++) {
        double before = squares[k ? k - 1 : 1], after = squares[k + 1];
        if (squares[k] < before || squares[k] < after || squares[k] < least_square ||
            squares[k] < WEAKEST * strongest)
            continue;
        if ((k + top_of(before, squares[k], after)) * STEP_BINS < limit)
            return 1;
    }
    return 0;
}
