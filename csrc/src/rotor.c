/* Rotating unit vectors, and the span of whole periods that the Hann window covers. */
#include "internal.h"

static void turn(double *cosine, double *sine, double by_cosine, double by_sine) {
    double c = *cosine * by_cosine - *sine * by_sine;
    *sine = *sine * by_cosine + *cosine * by_sine;
    *cosine = c;
}

/* Stands at `start` samples, which may be a fraction, and goes on block by block. */
void dcpi_rotor_init(rotor *turning, double turns_per_sample, double start) {
    double turns = turns_per_sample * start;
    double angle = TWO_PI * (turns - floor(turns));
    double c = cos(TWO_PI * turns_per_sample), s = sin(TWO_PI * turns_per_sample);
    turning->cosine = cos(angle);
    turning->sine = sin(angle);
    /* The first eight one by one, then eight at once. */
    double step_c = 1, step_s = 0;
    for (int32_t k = 0; k < LANES; k++) {
        turning->step_cosine[k] = (float)step_c;
        turning->step_sine[k] = (float)step_s;
        turn(&step_c, &step_s, c, s);
    }
    double next_c = step_c, next_s = step_s;
    for (int32_t known = LANES; known < BLOCK; known += LANES) {
        float by_c = (float)next_c, by_s = (float)next_s;
        for (int32_t k = 0; k < LANES; k++) {
            float first_c = turning->step_cosine[k], first_s = turning->step_sine[k];
            turning->step_cosine[known + k] = first_c * by_c - first_s * by_s;
            turning->step_sine[known + k] = first_s * by_c + first_c * by_s;
        }
        turn(&next_c, &next_s, step_c, step_s);
    }
    turning->block_cosine = next_c;
    turning->block_sine = next_s;
}

void dcpi_rotor_advance(rotor *turning) {
    turn(&turning->cosine, &turning->sine, turning->block_cosine, turning->block_sine);
}

/* A period that lacks less than this of itself counts: at 49.9 Hz five still fit in 100 ms. The
 * Hann window is below 1e-5 where it is cut off. */
static const double PERIOD_TOLERANCE = 0.01;

/* As many whole periods as fit, in the middle of the window: then every harmonic stands on a zero
 * of the Hann window's transform. */
hann_span dcpi_span(int32_t samples, double rate_hz, double frequency_hz) {
    double period = rate_hz / frequency_hz;
    double periods = floor(samples / period + PERIOD_TOLERANCE);
    hann_span span;
    span.centre = 0.5 * (samples - 1);
    span.length = period * periods;
    span.first = (int32_t)ceil(span.centre - 0.5 * span.length);
    span.last = (int32_t)floor(span.centre + 0.5 * span.length);
    if (span.first < 0)
        span.first = 0;
    if (span.last > samples - 1)
        span.last = samples - 1;
    return span;
}
