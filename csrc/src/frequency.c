/* A frequency good to some millihertz from one channel, on samples averaged in groups.
 *
 * First a coarse search, then Newton steps: demodulated with the frequency f, the signal is
 * weighted with the even window e = (1 + cos a)^2 and the odd one o = sin a (1 + cos a), a = 2 pi
 * t / T, over the whole periods T that fit. Both windows' transforms vanish at multiples of 1/T
 * from the third on, so DC, the mirror image and all harmonics drop out as f becomes right, and
 * what remains is the phase's slope: df = (2/T) Im(O/E). The fold takes the last such step on all
 * samples. */
#include "internal.h"

/* Groups come at this rate or up to twice as fast: an order that meets its mirror image at the
 * line's frequency is then averaged to a thirtieth, and the fold puts right what is left. */
static const double AVERAGED_RATE_HZ = 1600;
/* The coarse search looks at a tenth of a second, or so many groups on either side of the middle.
 */
static const double SEARCH_LENGTH_S = 0.1;
enum { SIDE_MAX = 162 };

/* A quarter of a main lobe apart, where a parabola is good to 0.03 Hz. */
static const double SEARCH_FIRST_HZ = 27, SEARCH_STEP_HZ = 8;
enum { SEARCH_STEPS = LANES };

/* A jump of the phase by 30 degrees in mid window looks like this much. */
static const double NEAR_HZ = 3;

/* A tone anywhere in the band holds this share of the power, or there is only noise. */
static const double TONE_SHARE_MIN = 0.5;

/* Each step shrinks the error at least a thousandfold: below this, the next one is the fold's. */
static const double STEP_GOOD_ENOUGH_HZ = 0.5;
enum { STEPS_MAX = 10 };

typedef struct {
    const float *points;
    int32_t count;
    double rate_hz;
} averaged;

/* Weighted and folded about the middle into even and odd halves. */
typedef struct {
    float even[SIDE_MAX], odd[SIDE_MAX], weights[SIDE_MAX + BLOCK];
    int32_t count; /* of each half */
    double rate_hz;
    double weight_sum;
    double variance; /* before weighting */
} folded_half;

INLINE void add_constant_groups(const float *single, const double *precise, int32_t factor,
                                int32_t groups, double offset, double scale, float *points) {
    for (int32_t group = 0; group < groups; group++) {
        double sum = 0;
        for (int32_t k = 0; k < factor; k++)
            sum += single ? (double)single[group * factor + k] : precise[group * factor + k];
        points[group] = (float)((sum - factor * offset) * scale);
    }
}

/* With loops of their own for 4.8, 12.8 and 51.2 kS/s. One of the rows is there. */
INLINE void add_groups(const float *single, const double *precise, int32_t factor, int32_t groups,
                       double offset, double scale, float *points) {
    if (factor == 3)
        add_constant_groups(single, precise, 3, groups, offset, scale, points);
    else if (factor == 8)
        add_constant_groups(single, precise, 8, groups, offset, scale, points);
    else if (factor == 32)
        add_constant_groups(single, precise, 32, groups, offset, scale, points);
    else
        add_constant_groups(single, precise, factor, groups, offset, scale, points);
}

WIDER_CLONES static void add_row(const void *row, int is_single, int32_t factor, int32_t groups,
                                 double offset, double scale, float *points) {
    if (is_single)
        add_groups(row, NULL, factor, groups, offset, scale, points);
    else
        add_groups(NULL, row, factor, groups, offset, scale, points);
}

/* Means of `factor` samples, less the channel's mean and relative to the peak about it. */
static averaged average(const dcpi_window *window, int channel, const channel_level *level,
                        int32_t factor, scratch *work) {
    double scale = 1 / (level->raw_peak * factor);
    int32_t count = window->samples / factor, first = (window->samples - count * factor) / 2;
    add_row(row_of(window, channel, first), is_single(window, channel), factor, count,
            level->raw_mean, scale, work->search.points);
    return (averaged){work->search.points, count, window->sample_rate_hz / factor};
}

/* Squared Hann window about the middle. */
static void search_weights(int32_t count, float *weights) {
    rotor hann;
    dcpi_rotor_init(&hann, 0.5 / count, 0.5);
    for (int32_t start = 0; start < count; start += BLOCK) {
        float c = (float)hann.cosine, s = (float)hann.sine;
        for (int32_t k = 0; k < BLOCK; k++) {
            float raised = 0.5f + 0.5f * (hann.step_cosine[k] * c - hann.step_sine[k] * s);
            weights[start + k] = raised * raised;
        }
        dcpi_rotor_advance(&hann);
    }
}

WIDER_CLONES static void fold_halves(const float *left, const float *right, folded_half *half) {
    float weights = 0, weighted = 0, sum = 0, squares = 0;
    for (int32_t k = 0; k < half->count; k++) {
        float behind = left[-k], ahead = right[k], weight = half->weights[k];
        half->even[k] = behind + ahead;
        half->odd[k] = weight * (ahead - behind);
        weights += weight;
        weighted += weight * (behind + ahead);
        sum += behind + ahead;
        squares += behind * behind + ahead * ahead;
    }
    float mean = weighted / weights;
    for (int32_t k = 0; k < half->count; k++)
        half->even[k] = half->weights[k] * (half->even[k] - mean);
    double points = 2 * half->count;
    half->weight_sum = 2 * (double)weights;
    half->variance = (double)squares / points - square((double)sum / points);
}

static void fold_about_middle(const averaged *from, folded_half *half) {
    int32_t side = (int32_t)(0.5 * SEARCH_LENGTH_S * from->rate_hz) + 1;
    int32_t middle = from->count / 2;
    const float *right = from->points + middle;
    half->rate_hz = from->rate_hz;
    half->count = side < middle ? side : middle;
    search_weights(half->count, half->weights);
    fold_halves(right - 1, right, half);
}

/* Power, amplitude^2 / 2, of tones at SEARCH_STEPS frequencies. */
WIDER_CLONES static void tone_powers(const folded_half *half, double first_hz, double step_hz,
                                     double *powers) {
    eight c = {0}, s = {0}, c_before, s_before, twice = {0}, re = {0}, im = {0};
    double first = M_PI * first_hz / half->rate_hz, step = M_PI * step_hz / half->rate_hz;
    double cosine = cos(first), sine = sin(first), by_cosine = cos(step), by_sine = sin(step);
    for (int k = 0; k < SEARCH_STEPS; k++) {
        c[k] = (float)cosine;
        s[k] = (float)sine;
        twice[k] = (float)(4 * cosine * cosine - 2);
        double next = cosine * by_cosine - sine * by_sine;
        sine = sine * by_cosine + cosine * by_sine;
        cosine = next;
    }
    c_before = c;
    s_before = -s;
    for (int32_t n = 0; n < half->count; n++) {
        eight c_next = twice * c - c_before, s_next = twice * s - s_before;
        re += half->even[n] * c;
        im += half->odd[n] * s;
        c_before = c;
        s_before = s;
        c = c_next;
        s = s_next;
    }
    for (int k = 0; k < SEARCH_STEPS; k++)
        powers[k] = 2 * (square((double)re[k]) + square((double)im[k])) / square(half->weight_sum);
}

/* The parabola through the logarithms of the largest power and its neighbours. */
static double strongest_near_line(const folded_half *half, double *power) {
    double powers[SEARCH_STEPS];
    int best = 1;
    tone_powers(half, SEARCH_FIRST_HZ, SEARCH_STEP_HZ, powers);
    for (int k = 1; k < SEARCH_STEPS - 1; k++)
        if (powers[k] > powers[best])
            best = k;
    double middle = powers[best] + 1e-30;
    double before = log((powers[best - 1] + 1e-30) / middle);
    double after = log((powers[best + 1] + 1e-30) / middle);
    double curvature = before + after;
    double top = curvature < 0 ? 0.5 * (before - after) / curvature : 0;
    top = fmax(-1, fmin(1, top));
    *power = middle * exp(0.25 * (after - before) * top);
    return SEARCH_FIRST_HZ + (best + top) * SEARCH_STEP_HZ;
}

static line_verdict noise_or_tone(const folded_half *half) {
    double step_hz = 0.25 * half->rate_hz / half->count, powers[SEARCH_STEPS];
    double strongest = 0;
    for (double first_hz = 2 * step_hz; first_hz < 0.5 * half->rate_hz;
         first_hz += SEARCH_STEPS * step_hz) {
        tone_powers(half, first_hz, step_hz, powers);
        for (int k = 0; k < SEARCH_STEPS; k++)
            if (first_hz + k * step_hz < 0.5 * half->rate_hz)
                strongest = fmax(strongest, powers[k]);
    }
    return strongest > TONE_SHARE_MIN * half->variance ? LINE_ELSEWHERE : LINE_ABSENT;
}

typedef struct {
    double even_re, even_im, odd_re, odd_im;
} slope_sums;

WIDER_CLONES static void add_slope(const float *x, int32_t count, const rotor *line,
                                   const rotor *hann, slope_sums *sums) {
    float line_c = (float)line->cosine, line_s = (float)line->sine;
    float hann_c = (float)hann->cosine, hann_s = (float)hann->sine;
    float even_re = 0, even_im = 0, odd_re = 0, odd_im = 0;
    for (int32_t k = 0; k < count; k++) {
        float c = line->step_cosine[k] * line_c - line->step_sine[k] * line_s;
        float s = line->step_sine[k] * line_c + line->step_cosine[k] * line_s;
        float raised = 1 + hann->step_cosine[k] * hann_c - hann->step_sine[k] * hann_s;
        float slope = hann->step_sine[k] * hann_c + hann->step_cosine[k] * hann_s;
        float weighted = x[k] * raised;
        even_re += weighted * raised * c;
        even_im -= weighted * raised * s;
        odd_re += weighted * slope * c;
        odd_im -= weighted * slope * s;
    }
    sums->even_re += (double)even_re;
    sums->even_im += (double)even_im;
    sums->odd_re += (double)odd_re;
    sums->odd_im += (double)odd_im;
}

static double newton_step(const averaged *from, double frequency_hz) {
    hann_span span = dcpi_span(from->count, from->rate_hz, frequency_hz);
    rotor line, hann;
    dcpi_rotor_init(&line, frequency_hz / from->rate_hz, span.first - span.centre);
    dcpi_rotor_init(&hann, 1 / span.length, span.first - span.centre);
    slope_sums sums = {0, 0, 0, 0};
    for (int32_t start = span.first; start <= span.last; start += BLOCK) {
        int32_t left = span.last + 1 - start;
        add_slope(from->points + start, left < BLOCK ? left : BLOCK, &line, &hann, &sums);
        dcpi_rotor_advance(&line);
        dcpi_rotor_advance(&hann);
    }
    phasor even = {sums.even_re, sums.even_im}, odd = {sums.odd_re, sums.odd_im};
    double norm = square(even.re) + square(even.im);
    if (!(norm > 0))
        return 0;
    return 2 * from->rate_hz / span.length * times_conjugate(odd, even).im / norm;
}

static int is_near_range(double frequency_hz) {
    return frequency_hz > FREQUENCY_MIN_HZ - NEAR_HZ && frequency_hz < FREQUENCY_MAX_HZ + NEAR_HZ;
}

line_verdict dcpi_find_frequency(const dcpi_window *window, int channel, const channel_level *level,
                                 scratch *work, double *frequency_hz) {
    int32_t factor = (int32_t)(window->sample_rate_hz / AVERAGED_RATE_HZ);
    if (factor < 1)
        factor = 1;
    averaged from = average(window, channel, level, factor, work);
    folded_half half;
    fold_about_middle(&from, &half);
    double power;
    double estimate_hz = strongest_near_line(&half, &power);
    if (power < FUNDAMENTAL_SHARE_MIN * level->variance / square(level->gain * level->raw_peak))
        return noise_or_tone(&half);
    for (int step = 0; step < STEPS_MAX; step++) {
        double change_hz = newton_step(&from, estimate_hz);
        estimate_hz += change_hz;
        if (!is_near_range(estimate_hz))
            return LINE_ELSEWHERE;
        if (fabs(change_hz) < STEP_GOOD_ENOUGH_HZ)
            break;
    }
    *frequency_hz = estimate_hz;
    return LINE_FOUND;
}
