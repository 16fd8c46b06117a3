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
/* A jump of one degree leaves so much in rad beside any ramp of the frequency. */
static const double JUMP_STRAY = 0.0025;
/* What is no parabola is noise already known to be there: less of it is needed to tell. */
static const double JUMP_NOISE_SHARE = 0.3;
/* Noise strays that many standard deviations once in e^49. */
static const double NOISE_STRAY = 7;
/* The box's error with n samples a period is below this over n^2. */
static const double BOX_ERROR = 0.5;
/* Quartile of an exponential distribution over its mean: ln(4/3). */
static const double QUARTILE = 0.2877;

/* Variance of the noise by the weakest quarter of the upper orders: they are hardly harmonics, and
 * a step of the fundamental hardly reaches them. */
static double quiet_variance(const order_phasors *spectrum, int32_t h_max, double length) {
    double squares[DCPI_ORDERS];
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

steady_verdict dcpi_steadiness(const dcpi_window *window, const fold_result *folded,
                               const dcpi_workspace *workspace, int channel) {
    int index = channel % window->phases, is_current = channel >= window->phases;
    const order_phasors *spectrum = is_current ? &folded->current[index] : &folded->voltage[index];
    double mean_square =
        is_current ? folded->means.current_square[index] : folded->means.voltage_square[index];
    double fundamental = magnitude(spectrum->order[1]);
    steady_verdict steadiness = {0, 0, 0};
    if (!(fundamental > 0))
        return steadiness;
    segment_grid segments = dcpi_segments(window, folded->frequency_hz);
    double box = 2 * segments.length;
    double variance = noise_variance(window, spectrum, mean_square, folded);
    double noise = NOISE_STRAY * sqrt(2 * variance / box) / fundamental + BOX_ERROR / square(box);
    stray_shape stray =
        dcpi_stray(&segments, workspace, channel_lane(window, channel), spectrum->order[1]);
    int is_line = stray.roundness < LINE_ROUNDNESS;
    if (stray.largest > UNSTEADY_STRAY + noise && (is_line || stray.largest > LARGE_STRAY))
        steadiness.flags |= DCPI_NON_STATIONARY;
    if (stray.largest > TONE_STRAY + noise && !is_line)
        steadiness.flags |= DCPI_INTERHARMONIC;
    if (steadiness.flags & DCPI_NON_STATIONARY) {
        steadiness.jumps = stray.jump > JUMP_STRAY + JUMP_NOISE_SHARE * noise;
        steadiness.smears = steadiness.jumps || stray.largest > LARGE_STRAY;
    }
    return steadiness;
}
