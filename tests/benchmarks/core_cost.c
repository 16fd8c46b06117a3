/* Cost of one three-phase window against six bare FFTW real FFTs, interleaved in one run.
 *
 * Prints a line per length and precision: samples, bytes per sample, ns per window, ns per six
 * FFTs (0 where FFTW is absent). FFTW is loaded at run time, so it is needed for neither build. */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dcpi_sampling.h"

enum { PHASES = 3, CHANNELS = 6, ROUNDS = 201, FFTW_MEASURE_FLAG = 0, WINDOWS = 8 };

typedef void *(*make_plan)(int, void *, void *, unsigned);
typedef void (*run_plan)(void *);

typedef struct {
    void *plans[CHANNELS];
    run_plan execute;
} six_ffts;

static dcpi_workspace workspace;
static dcpi_analysis analysis;

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static double noise(void) {
    static uint64_t state = 88172645463325252u;
    double sum = 0;
    for (int k = 0; k < 12; k++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += (double)(state >> 11) * 0x1p-53;
    }
    return sum - 6;
}

/* 50.2 Hz and up, all odd orders to the 25th, DC, 80 dB of noise and 16 bits. */
static double sample(int kind, int phase, int number, int n, double rate_hz) {
    double turns = (50.2 + 0.03 * number) * n / rate_hz - phase / 3.0 - 0.08 * kind, value = 0.01;
    for (int order = 1; order <= 25 && order * 50.4 < 0.49 * rate_hz; order += 2)
        value += cos(6.283185307179586 * order * turns) * (order == 1 ? 1 : 0.05 / order);
    return rint((value + 7e-5 * noise()) * 20000) / 20000;
}

static void *make_rows(int kind, int is_single, int samples, double rate_hz) {
    size_t cells = (size_t)WINDOWS * PHASES * (size_t)samples;
    void *rows = aligned_alloc(64, (cells * (is_single ? 4 : 8) + 63) / 64 * 64);
    for (size_t k = 0; k < cells; k++) {
        int n = (int)(k % (size_t)samples), row = (int)(k / (size_t)samples);
        double value = (kind ? 16 : 325) * sample(kind, row % PHASES, row / PHASES, n, rate_hz);
        if (is_single)
            ((float *)rows)[k] = (float)value;
        else
            ((double *)rows)[k] = value;
    }
    return rows;
}

static six_ffts make_ffts(int is_single, int samples) {
    six_ffts six = {{0}, NULL};
    void *library = dlopen(is_single ? "libfftw3f.so.3" : "libfftw3.so.3", RTLD_NOW);
    if (!library)
        return six;
    make_plan make;
    *(void **)&make = dlsym(library, is_single ? "fftwf_plan_dft_r2c_1d" : "fftw_plan_dft_r2c_1d");
    *(void **)&six.execute = dlsym(library, is_single ? "fftwf_execute" : "fftw_execute");
    size_t size = is_single ? 4 : 8;
    for (int k = 0; k < CHANNELS; k++) {
        void *in = aligned_alloc(64, (size * (size_t)samples + 63) / 64 * 64);
        void *out = aligned_alloc(64, (size * (size_t)(samples + 2) + 63) / 64 * 64);
        six.plans[k] = make(samples, in, out, FFTW_MEASURE_FLAG);
        for (int n = 0; n < samples; n++) {
            if (is_single)
                ((float *)in)[n] = (float)noise();
            else
                ((double *)in)[n] = noise();
        }
    }
    return six;
}

static void analyze_all(const char *voltage, const char *current, int is_single, int samples) {
    size_t stride = (size_t)PHASES * (size_t)samples * (is_single ? 4 : 8);
    for (size_t k = 0; k < WINDOWS; k++) {
        dcpi_window window = {.voltage = voltage + k * stride,
                              .current = current + k * stride,
                              .voltage_is_float32 = is_single,
                              .current_is_float32 = is_single,
                              .phases = PHASES,
                              .samples = samples,
                              .sample_rate_hz = 10.0 * samples};
        if (dcpi_analyze(&window, &workspace, &analysis) != DCPI_OK || !(analysis.total.p_w > 0))
            exit(1);
    }
}

static void run_ffts(const six_ffts *six) {
    for (int round = 0; six->execute && round < WINDOWS; round++)
        for (int k = 0; k < CHANNELS; k++)
            six->execute(six->plans[k]);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2] / WINDOWS;
}

static void compare(int is_single, int samples) {
    static double ours[ROUNDS], theirs[ROUNDS];
    void *voltage = make_rows(0, is_single, samples, 10.0 * samples);
    void *current = make_rows(1, is_single, samples, 10.0 * samples);
    six_ffts six = make_ffts(is_single, samples);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        analyze_all(voltage, current, is_single, samples);
        double middle = now_ns();
        run_ffts(&six);
        ours[round] = middle - start;
        theirs[round] = now_ns() - middle;
    }
    printf("%d %d %.0f %.0f\n", samples, is_single ? 4 : 8, median(ours),
           six.execute ? median(theirs) : 0);
    free(voltage);
    free(current);
}

int main(void) {
    static const int lengths[] = {480, 1280, 5120};
    for (int is_single = 1; is_single >= 0; is_single--)
        for (int k = 0; k < 3; k++)
            compare(is_single, lengths[k]);
    return 0;
}
