/* Whether a channel's fundamental stood still over the window, and if not, how it moved. */
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
/* Leaks of the orders add up at random to less than so many times their root sum of squares. */
static const double LEAKS_PEAK = 3;
/* A transient that adds this much to the distortion, and one that moves the frequency by 5 mHz. */
static const double BURST_DISTORTION = 0.001;
static const double BURST_JUMP = 0.006;
/* Hann-weighted and plain mean square differ by a sixth at most where nothing moves. */
static const double UNEVEN_SHARE = 0.5;
/* Quartile of an exponential distribution over its mean: ln(4/3). */
static const double QUARTILE = 0.2877;

/* Variance of the noise by the weakest quarter of the upper orders: they are hardly harmonics, and
 * a step of the fundamental hardly reaches them. */
static double quiet_variance(const order_phasors *spectrum, int32_t h_max, double length) {
    double squares[DCPI_ORDERS] = {0};
    int32_t count = 0;
    for (int32_t order = h_max / 2 + 1; order <= h_max; order++) {
        double value = square(magnitude(spectrum->order[order]));
        int32_t place = count++;
        for (; place > 0 && squares[place - 1] > value; place--)
            squares[place] = squares[place - 1];
        squares[place] = value;
    }
    return count ? squares[count / 4] / QUARTILE * length / 3 : INFINITY;
}

static double noise_variance(const dcpi_window *window, const order_phasors *spectrum,
                             double mean_square, const fold_result *folded) {
    double left = mean_square;
    for (int32_t order = 0; order <= folded->h_max; order++)
        left -= square(magnitude(spectrum->order[order]));
    return fmin(fmax(left, 0), quiet_variance(spectrum, folded->h_max,
                                              dcpi_span(window, folded->frequency_hz).length));
}

/* What a box with fractional ends passes of a tone that makes whole turns in it: the image around
 * one turn a sample, sin(pi turns) / (pi (1 - turns))^2 / box, with a parabola for the sine. */
static double leak(double turns_per_sample, double box) {
    return 4 * turns_per_sample / (square(M_PI) * (1 - turns_per_sample) * box);
}

/* Of all harmonics, relative to the fundamental: each makes a lower and an upper tone when the
 * fundamental is turned to rest. */
static double box_error(const dcpi_window *window, const fold_result *folded,
                        const order_phasors *spectrum, double box) {
    double turns = folded->frequency_hz / window->sample_rate_hz, squares = 0;
    for (int32_t order = 2; order <= folded->h_max; order++)
        squares +=
            (square(leak(turns * (order - 1), box)) + square(leak(turns * (order + 1), box))) *
            square(magnitude(spectrum->order[order]));
    return BOX_ERROR / square(box) + LEAKS_PEAK * sqrt(squares) / magnitude(spectrum->order[1]);
}

/* One sample off by x in mid window adds 2 sqrt(2) x / length to each of 49 orders. */
static double burst_distortion(double burst_square, double length, double fundamental) {
    return 20 * sqrt(burst_square) / (length * fundamental);
}

static int is_uneven(const channel_level *level, double mean_square, double dc) {
    double difference = fabs(mean_square - square(dc) - level->variance);
    return level->variance > 0 && difference > UNEVEN_SHARE * level->variance;
}

static void judge(const stray_shape *stray, double noise, double burst, steady_verdict *verdict) {
    int is_line = stray->roundness < LINE_ROUNDNESS;
    int is_burst = burst > BURST_DISTORTION;
    int strays = stray->largest > UNSTEADY_STRAY + noise;
    int turns = strays && is_line && stray->turns && stray->jump > TURN_STRAY + noise;
    if (is_burst || (strays && (is_line || stray->largest > LARGE_STRAY)))
        verdict->flags |= DCPI_NON_STATIONARY;
    if (stray->largest > TONE_STRAY + noise && !is_line)
        verdict->flags |= DCPI_INTERHARMONIC;
    if (!(verdict->flags & DCPI_NON_STATIONARY))
        return;
    int leaps = stray->jump > JUMP_STRAY + JUMP_NOISE_SHARE * noise;
    verdict->jumps = turns || leaps || burst > BURST_JUMP;
    verdict->smears = leaps || is_burst || stray->largest > LARGE_STRAY;
}

steady_verdict dcpi_steadiness(const dcpi_window *window, const phase_level *levels,
                               const fold_result *folded, const dcpi_workspace *workspace,
                               int channel) {
    int index = channel % window->phases, is_current = channel >= window->phases;
    const order_phasors *spectrum = is_current ? &folded->current[index] : &folded->voltage[index];
    double mean_square =
        is_current ? folded->means.current_square[index] : folded->means.voltage_square[index];
    double fundamental = magnitude(spectrum->order[1]);
    steady_verdict verdict = {0};
    verdict.uneven =
        is_uneven(channel_of(window, levels, channel), mean_square, spectrum->order[0].re);
    if (!(fundamental > 0))
        return verdict;
    segment_grid segments = dcpi_segments(window, folded->frequency_hz);
    double box = 2 * segments.length, length = dcpi_span(window, folded->frequency_hz).length;
    double variance = noise_variance(window, spectrum, mean_square, folded);
    double noise = NOISE_STRAY * sqrt(2 * variance / box) / fundamental +
                   box_error(window, folded, spectrum, box);
    stray_shape stray =
        dcpi_stray(&segments, workspace, channel_lane(window, channel), spectrum->order[1]);
    judge(&stray, noise, burst_distortion(stray.burst_square, length, fundamental), &verdict);
    return verdict;
}
