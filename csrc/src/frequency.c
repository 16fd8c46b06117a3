/* Frequency of the line, from one channel.
 *
 * First a coarse search on decimated samples, then Newton steps: demodulated with the frequency f,
 * the signal is weighted with the even window e = (1 + cos a)^2 and the odd one o = sin a (1 + cos
 * a), a = 2 pi t / T, over the whole periods T that fit. Both windows' transforms vanish at
 * multiples of 1/T from the third on, so DC, the mirror image and all harmonics drop out as f
 * becomes right, and what remains is the phase's slope: df = (2/T) Im(O/E). */
#include "internal.h"

/* The coarse search looks at a tenth of a second at about this rate. */
static const double SEARCH_RATE_HZ = 1600;
static const double SEARCH_LENGTH_S = 0.1;

/* Half a main lobe apart, and one step beyond the range on either side. */
static const double SEARCH_FIRST_HZ = 30, SEARCH_STEP_HZ = 4;
enum { SEARCH_STEPS = 17 };

/* A jump of the phase by 30 degrees in mid window looks like this much. */
static const double NEAR_HZ = 3;

/* A tone anywhere in the band holds this share of the power, or there is only noise. */
static const double TONE_SHARE_MIN = 0.5;

/* Each step shrinks the error at least a thousandfold: below this, the next one would be noise. */
static const double STEP_GOOD_ENOUGH_HZ = 1e-3;
enum { STEPS_MAX = 10 };

/* Decimated samples, weighted and folded about their middle into even and odd halves. */
typedef struct {
    const double *even, *odd;
    int32_t count; /* of each half */
    double rate_hz;
    double weight_sum;
    double variance; /* before weighting */
} folded_half;

static int32_t decimate(const dcpi_window *window, int channel, int32_t factor,
                        dcpi_workspace *workspace) {
    int32_t length = (int32_t)(SEARCH_LENGTH_S * window->sample_rate_hz) + 1;
    if (length > window->samples)
        length = window->samples;
    int32_t points = length / factor;
    int32_t start = (window->samples - points * factor) / 2;
    int32_t groups = DCPI_BLOCK_CELLS / factor;
    for (int32_t point = 0; point < points; point += groups) {
        int32_t left = points - point;
        int32_t take = left < groups ? left : groups;
        dcpi_read_block(window, channel, start + point * factor, take * factor,
                        workspace->channels);
        for (int32_t group = 0; group < take; group++) {
            double sum = 0;
            for (int32_t k = 0; k < factor; k++)
                sum += workspace->channels[group * factor + k];
            workspace->search[point + group] = sum / factor;
        }
    }
    return points;
}

/* Squared Hann window about the middle of `points`. */
static double search_weight(double distance, int32_t points) {
    return square(0.5 + 0.5 * cos(TWO_PI * distance / points));
}

/* With an odd number of points the last one is left out. */
static folded_half fold_about_middle(int32_t points, double rate_hz, dcpi_workspace *workspace) {
    double *even = workspace->lanes, *odd = workspace->lanes + DCPI_BLOCK_CELLS / 2;
    int32_t middle = points / 2;
    const double *right = workspace->search + middle, *left = right - 1;
    folded_half half = {even, odd, middle, rate_hz, 0, 0};
    double weighted = 0, sum = 0, squares = 0;
    for (int32_t k = 0; k < middle; k++) {
        double weight = search_weight(k + 0.5, 2 * middle);
        even[k] = weight;
        half.weight_sum += 2 * weight;
        weighted += weight * (left[-k] + right[k]);
        sum += left[-k] + right[k];
        squares += square(left[-k]) + square(right[k]);
    }
    double mean = weighted / half.weight_sum;
    half.variance = squares / (2 * middle) - square(sum / (2 * middle));
    for (int32_t k = 0; k < middle; k++) {
        double weight = even[k];
        even[k] = weight * (left[-k] + right[k] - 2 * mean);
        odd[k] = weight * (right[k] - left[-k]);
    }
    return half;
}

/* Power of a tone at `frequency_hz`: amplitude^2 / 2. */
static double tone_power(const folded_half *half, double frequency_hz) {
    double step = TWO_PI * frequency_hz / half->rate_hz;
    double c = cos(0.5 * step), s = sin(0.5 * step);
    double c_before = c, s_before = -s, twice = 2 * cos(step);
    double re = 0, im = 0;
    for (int32_t k = 0; k < half->count; k++) {
        re += half->even[k] * c;
        im += half->odd[k] * s;
        double c_next = twice * c - c_before, s_next = twice * s - s_before;
        c_before = c;
        s_before = s;
        c = c_next;
        s = s_next;
    }
    return 2 * (re * re + im * im) / square(half->weight_sum);
}

/* The parabola through the logarithms of three neighbours has its top here, in steps. */
static double parabola_top(double before, double middle, double after) {
    double a = log(before), b = log(middle), c = log(after);
    double curvature = a - 2 * b + c;
    return curvature < 0 ? 0.5 * (a - c) / curvature : 0;
}

static double strongest_near_line(const folded_half *half, double *power) {
    double powers[SEARCH_STEPS];
    int best = 1;
    for (int k = 0; k < SEARCH_STEPS; k++)
        powers[k] = tone_power(half, SEARCH_FIRST_HZ + k * SEARCH_STEP_HZ) + 1e-300;
    for (int k = 1; k < SEARCH_STEPS - 1; k++)
        if (powers[k] > powers[best])
            best = k;
    double top = parabola_top(powers[best - 1], powers[best], powers[best + 1]);
    double frequency_hz = SEARCH_FIRST_HZ + (best + fmax(-1, fmin(1, top))) * SEARCH_STEP_HZ;
    *power = tone_power(half, frequency_hz);
    return frequency_hz;
}

static line_verdict noise_or_tone(const folded_half *half) {
    double step_hz = 0.25 * half->rate_hz / half->count;
    double strongest = 0;
    for (double frequency_hz = 2 * step_hz; frequency_hz < 0.5 * half->rate_hz;
         frequency_hz += step_hz)
        strongest = fmax(strongest, tone_power(half, frequency_hz));
    return strongest > TONE_SHARE_MIN * half->variance ? LINE_ELSEWHERE : LINE_ABSENT;
}

typedef struct {
    double even_re, even_im, odd_re, odd_im;
} slope_sums;

WIDER_CLONES static void add_slope(const double *x, const double *c, const double *s,
                                   const double *hann_c, const double *hann_s, int32_t count,
                                   slope_sums *sums) {
    double even_re = 0, even_im = 0, odd_re = 0, odd_im = 0;
    for (int32_t k = 0; k < count; k++) {
        double raised = 1 + hann_c[k];
        double even = x[k] * raised * raised;
        double odd = x[k] * raised * hann_s[k];
        even_re += even * c[k];
        even_im -= even * s[k];
        odd_re += odd * c[k];
        odd_im -= odd * s[k];
    }
    sums->even_re += even_re;
    sums->even_im += even_im;
    sums->odd_re += odd_re;
    sums->odd_im += odd_im;
}

static double newton_step(const dcpi_window *window, int channel, double frequency_hz,
                          dcpi_workspace *workspace) {
    hann_span span = dcpi_span(window, frequency_hz);
    rotor_table line, hann;
    dcpi_rotor_init(&line, frequency_hz / window->sample_rate_hz);
    dcpi_rotor_init(&hann, 1 / span.length);
    double *hann_cosine = workspace->taps, *hann_sine = workspace->taps + DCPI_BLOCK;
    slope_sums sums = {0, 0, 0, 0};
    for (int32_t start = span.first; start <= span.last; start += DCPI_BLOCK) {
        int32_t left = span.last + 1 - start;
        int32_t count = left < DCPI_BLOCK ? left : DCPI_BLOCK;
        dcpi_read_block(window, channel, start, count, workspace->channels);
        dcpi_rotor_block(&line, start - span.centre, count, workspace->cosine, workspace->sine);
        dcpi_rotor_block(&hann, start - span.centre, count, hann_cosine, hann_sine);
        add_slope(workspace->channels, workspace->cosine, workspace->sine, hann_cosine, hann_sine,
                  count, &sums);
    }
    phasor even = {sums.even_re, sums.even_im}, odd = {sums.odd_re, sums.odd_im};
    double norm = square(even.re) + square(even.im);
    if (!(norm > 0))
        return 0;
    return 2 * window->sample_rate_hz / span.length * times_conjugate(odd, even).im / norm;
}

static int is_near_range(double frequency_hz) {
    return frequency_hz > FREQUENCY_MIN_HZ - NEAR_HZ && frequency_hz < FREQUENCY_MAX_HZ + NEAR_HZ;
}

line_verdict dcpi_find_frequency(const dcpi_window *window, int channel, double variance,
                                 dcpi_workspace *workspace, double *frequency_hz) {
    int32_t factor = (int32_t)fmax(1, floor(window->sample_rate_hz / SEARCH_RATE_HZ));
    if (factor > DCPI_BLOCK_CELLS)
        factor = DCPI_BLOCK_CELLS;
    int32_t points = decimate(window, channel, factor, workspace);
    folded_half half = fold_about_middle(points, window->sample_rate_hz / factor, workspace);
    double power;
    double estimate_hz = strongest_near_line(&half, &power);
    if (power < FUNDAMENTAL_SHARE_MIN * variance)
        return noise_or_tone(&half);
    for (int step = 0; step < STEPS_MAX; step++) {
        double change_hz = newton_step(window, channel, estimate_hz, workspace);
        estimate_hz += change_hz;
        if (!is_near_range(estimate_hz))
            return LINE_ELSEWHERE;
        if (fabs(change_hz) < STEP_GOOD_ENOUGH_HZ)
            break;
    }
    *frequency_hz = estimate_hz;
    return LINE_FOUND;
}
