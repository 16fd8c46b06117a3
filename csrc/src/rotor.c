/* Rotating unit vectors, and the span of whole periods that the Hann window covers. */
#include "internal.h"

static void turn(double *cosine, double *sine, double by_cosine, double by_sine) {
    double c = *cosine * by_cosine - *sine * by_sine;
    *sine = *sine * by_cosine + *cosine * by_sine;
    *cosine = c;
}

/* Its powers 0 to `highest`, each from two of half its height: none waits for all before it. */
INLINE void raise(phasor z, int32_t highest, phasor *powers) {
    powers[0] = (phasor){1, 0};
    powers[1] = z;
    for (int32_t k = 2; k <= highest; k++) {
        powers[k] = powers[k / 2];
        turn(&powers[k].re, &powers[k].im, powers[k - k / 2].re, powers[k - k / 2].im);
    }
}

/* The first eight, then eight at once. */
WIDER_CLONES static void fill_steps(const phasor *ones, const phasor *eights, rotor *turning) {
    float first_c[LANES], first_s[LANES];
    for (int32_t k = 0; k < LANES; k++) {
        first_c[k] = (float)ones[k].re;
        first_s[k] = (float)ones[k].im;
    }
    for (int32_t group = 0; group < BLOCK / LANES; group++) {
        float by_c = (float)eights[group].re, by_s = (float)eights[group].im;
        float *cosine = turning->step_cosine + group * LANES;
        float *sine = turning->step_sine + group * LANES;
        for (int32_t k = 0; k < LANES; k++) {
            cosine[k] = first_c[k] * by_c - first_s[k] * by_s;
            sine[k] = first_s[k] * by_c + first_c[k] * by_s;
        }
    }
}

/* Stands at `start` samples, which may be a fraction, and goes on block by block. */
void dcpi_rotor_init(rotor *turning, double turns_per_sample, double start) {
    double turns = turns_per_sample * start;
    double angle = TWO_PI * (turns - floor(turns));
    double c = cos(TWO_PI * turns_per_sample), s = sin(TWO_PI * turns_per_sample);
    turning->cosine = cos(angle);
    turning->sine = sin(angle);
    phasor ones[LANES + 1], eights[BLOCK / LANES + 1];
    raise((phasor){c, s}, LANES, ones);
    raise(ones[LANES], BLOCK / LANES, eights);
    fill_steps(ones, eights, turning);
    turning->block_cosine = eights[BLOCK / LANES].re;
    turning->block_sine = eights[BLOCK / LANES].im;
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
