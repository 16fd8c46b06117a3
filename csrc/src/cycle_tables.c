/* What is tabulated: for the transform the kernel, its own transform and the turns, for a stream
 * the tracker's window. */
#include "cycles_internal.h"

/* beta = pi W (1 - K/M) for W taps, M cells and bins up to K (Jackson et al., 1991): the kernel's
 * images stay below exp(-pi W sqrt(1 - 2K/M)) = 1.1e-7. */
#define KERNEL_BETA (0.5 * TWO_PI * SPECTRUM_TAPS * (1 - SPECTRUM_BINS / (double)SPECTRUM_CELLS))

/* Modified Bessel function of order 0 over that of beta, by its series. */
static double bessel(double x) {
    double term = 1, sum = 1;
    for (int k = 1; term > 1e-17 * sum; k++) {
        term *= square(0.5 * x / k);
        sum += term;
    }
    return sum;
}

static double kernel(double cells) {
    double inside = 1 - square(2 * cells / SPECTRUM_TAPS);
    return inside < 0 ? 0 : bessel(KERNEL_BETA * sqrt(inside)) / bessel(KERNEL_BETA);
}

static void tabulate_taps(eight *taps) {
    for (int row = 0; row <= SPECTRUM_ROWS; row++)
        for (int tap = 0; tap < SPECTRUM_TAPS; tap++)
            taps[row][tap] =
                (float)kernel(tap - (SPECTRUM_TAPS / 2 - 1) - row / (double)SPECTRUM_ROWS);
}

/* One over the kernel's transform, by the trapezoidal rule: its steps of 1/16 cell are far finer
 * than anything in the kernel. */
static void tabulate_gain(double *gain) {
    enum { STEPS = 16 };
    for (int bin = 0; bin < SPECTRUM_BINS; bin++)
        gain[bin] = 0;
    for (int step = -SPECTRUM_TAPS / 2 * STEPS; step <= SPECTRUM_TAPS / 2 * STEPS; step++) {
        double x = step / (double)STEPS, weight = kernel(x) / STEPS;
        double turn = 2 * cos(TWO_PI * x / SPECTRUM_CELLS), now = 1, before = 0.5 * turn;
        if (step == -SPECTRUM_TAPS / 2 * STEPS || step == SPECTRUM_TAPS / 2 * STEPS)
            weight *= 0.5;
        for (int bin = 0; bin < SPECTRUM_BINS; bin++) {
            double after = turn * now - before; /* cos((k+1)x) of cos(kx) and cos((k-1)x) */
            gain[bin] += weight * now;
            before = now;
            now = after;
        }
    }
    for (int bin = 0; bin < SPECTRUM_BINS; bin++)
        gain[bin] = 1 / gain[bin];
}

/* Blackman-Harris, 4 terms, sidelobes at -92 dB (F. J. Harris, Proc. IEEE 66(1), 1978); its first
 * point is left out for symmetry about the middle. */
static void tabulate_window(float *window, int32_t length) {
    for (int32_t n = 0; n < length; n++) {
        double angle = TWO_PI * n / length;
        double weight =
            0.35875 - 0.48829 * cos(angle) + 0.14128 * cos(2 * angle) - 0.01168 * cos(3 * angle);
        /* Its mean is its first term; so a phasor's magnitude is an rms. */
        window[n] = n == 0 ? 0 : (float)(M_SQRT2 / (0.35875 * length) * weight);
    }
}

dcpi_status dcpi_cycle_workspace_init(dcpi_cycle_workspace *workspace) {
    if (!workspace)
        return DCPI_BAD_POINTER;
    cycle_scratch *work = cycle_scratch_of(workspace);
    tabulate_taps(work->taps);
    tabulate_gain(work->gain);
    for (int turn = 0; turn < SPECTRUM_CELLS; turn++) {
        work->cosine[turn] = (float)cos(TWO_PI * turn / SPECTRUM_CELLS);
        work->sine[turn] = (float)sin(TWO_PI * turn / SPECTRUM_CELLS);
    }
    return DCPI_OK;
}

void dcpi_cycle_tables(dcpi_cycles *cycles) {
    tabulate_window(cycles->window, TRACK_CYCLES * cycles->cycle_samples);
    for (int32_t n = 0; n < cycles->cycle_samples; n++) {
        cycles->line[2 * n] = (float)cos(TWO_PI * n / cycles->cycle_samples);
        cycles->line[2 * n + 1] = (float)sin(TWO_PI * n / cycles->cycle_samples);
    }
}
