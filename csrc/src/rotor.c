/* Rotating unit vectors, and the span of whole periods that the Hann window covers. */
#include "internal.h"

void dcpi_rotor_init(rotor_table *rotor, double turns_per_sample) {
    rotor->turns_per_sample = turns_per_sample;
    rotor->step_cosine[0] = 1;
    rotor->step_sine[0] = 0;
    for (int32_t known = 1; known < DCPI_BLOCK; known *= 2) {
        double c = cos(TWO_PI * turns_per_sample * known);
        double s = sin(TWO_PI * turns_per_sample * known);
        for (int32_t k = 0; k < known; k++) {
            double step_cosine = rotor->step_cosine[k], step_sine = rotor->step_sine[k];
            rotor->step_cosine[known + k] = step_cosine * c - step_sine * s;
            rotor->step_sine[known + k] = step_sine * c + step_cosine * s;
        }
    }
}

/* Cosine and sine at `start` samples and the next ones; `start` may be a fraction. */
void dcpi_rotor_block(const rotor_table *rotor, double start, int32_t count, double *cosine,
                      double *sine) {
    double turns = rotor->turns_per_sample * start;
    double angle = TWO_PI * (turns - floor(turns));
    double c = cos(angle), s = sin(angle);
    for (int32_t k = 0; k < count; k++) {
        cosine[k] = rotor->step_cosine[k] * c - rotor->step_sine[k] * s;
        sine[k] = rotor->step_sine[k] * c + rotor->step_cosine[k] * s;
    }
}

/* A period that lacks less than this of itself counts: at 49.9 Hz five still fit in 100 ms. The
 * Hann window is below 1e-5 where it is cut off. */
static const double PERIOD_TOLERANCE = 0.01;

/* As many whole periods as fit, in the middle of the window: then every harmonic stands on a zero
 * of the Hann window's transform. */
hann_span dcpi_span(const dcpi_window *window, double frequency_hz) {
    double period = window->sample_rate_hz / frequency_hz;
    double periods = floor(window->samples / period + PERIOD_TOLERANCE);
    hann_span span;
    span.centre = 0.5 * (window->samples - 1);
    span.length = period * periods;
    span.first = (int32_t)ceil(span.centre - 0.5 * span.length);
    span.last = (int32_t)floor(span.centre + 0.5 * span.length);
    if (span.first < 0)
        span.first = 0;
    if (span.last > window->samples - 1)
        span.last = window->samples - 1;
    return span;
}
