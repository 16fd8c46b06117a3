/* What the parts of the library share; not installed. */
#ifndef DCPI_INTERNAL_H
#define DCPI_INTERNAL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "dcpi_sampling.h"

/* IEC 61000-4-30:2015 5.1: 50 Hz - 15 % to 60 Hz + 15 %. */
#define FREQUENCY_MIN_HZ 42.5
#define FREQUENCY_MAX_HZ 69.0
/* So that noise does not push a frequency on the limit over it. */
#define FREQUENCY_MARGIN_HZ 0.005
/* Harmonics are reported up to this share of the rate: above, the anti-aliasing filter rules. */
#define REACHABLE_SHARE 0.49
/* Above it squares still fit, but nothing is a voltage or a current any more. */
#define VALUE_LIMIT 1e15
/* The fundamental holds at least this share of the AC power, or there is no line frequency. */
#define FUNDAMENTAL_SHARE_MIN 0.15
#define TWO_PI 6.283185307179586476925

/* Lane of the voltage of phase k is k, of its current LANE_CURRENT + k. */
enum { LANE_CURRENT = 4, LANE_COSINE = 3, LANE_SINE = 7 };

enum { CHANNELS_MAX = 2 * DCPI_PHASES_MAX, TRACK_SEGMENTS_MAX = 28 };

typedef struct {
    double re, im;
} phasor;

/* Where a channel stands before its frequency is known; all over the whole window. */
typedef struct {
    double mean;
    double mean_square;
    double variance; /* mean square without the mean */
    double peak;     /* largest magnitude */
    int32_t clipped; /* samples that stand at the end of a range */
    int32_t coarse;  /* only a few of the converter's steps */
    int32_t finite;
} channel_level;

typedef struct {
    channel_level voltage, current;
    double mean_power; /* plain mean of v*i */
} phase_level;

/* A rotating unit vector, tabulated for one block of samples. */
typedef struct {
    double step_cosine[DCPI_BLOCK], step_sine[DCPI_BLOCK];
    double turns_per_sample;
} rotor_table;

/* The Hann window over whole periods, |n - centre| < half. */
typedef struct {
    double centre; /* in samples */
    double length; /* in samples */
    int32_t first, last;
} hann_span;

/* Half-periods of the window, for its stationarity. */
typedef struct {
    double start;  /* in samples, of the first one */
    double length; /* in samples, of each */
    int32_t count;
} segment_grid;

/* Hann-weighted means over whole periods. */
typedef struct {
    double voltage_square[DCPI_PHASES_MAX];
    double current_square[DCPI_PHASES_MAX];
    double power[DCPI_PHASES_MAX];
    double voltage_cross[DCPI_PHASES_MAX]; /* of phases k and k+1 */
    double current_cross[DCPI_PHASES_MAX];
} weighted_means;

/* rms phasors of one channel; order 0 is the mean. */
typedef struct {
    phasor order[DCPI_ORDERS];
} order_phasors;

typedef struct {
    double frequency_hz;
    int32_t h_max;
    weighted_means means;
    order_phasors voltage[DCPI_PHASES_MAX], current[DCPI_PHASES_MAX];
    double added_power[DCPI_PHASES_MAX]; /* what turning the phasors added to the means' power */
} fold_result;

/* How far the fundamental strays from a constant phasor, relative to it, and what is too brief for
 * its boxes. */
typedef struct {
    double largest;      /* magnitude */
    double jump;         /* its phase in rad, less the parabola that a ramp of the frequency is */
    double roundness;    /* 0: along a line, as steps and modulations; 1: a circle, as a tone */
    int turns;           /* along the phase rather than the magnitude */
    double burst_square; /* a transient's, as if it were one sample of this size; not relative */
} stray_shape;

/* correction.c */
double dcpi_corrected(const dcpi_window *window, int channel, double sample);
void dcpi_correct_block(const dcpi_window *window, int channel, int32_t count, double *samples);
void dcpi_correct_angles(const dcpi_window *window, fold_result *folded);

/* levels.c */
void dcpi_read_block(const dcpi_window *window, int channel, int32_t start, int32_t count,
                     double *out);
void dcpi_phase_level(const dcpi_window *window, int phase, dcpi_workspace *workspace,
                      phase_level *level);

/* rotor.c */
void dcpi_rotor_init(rotor_table *rotor, double turns_per_sample);
void dcpi_rotor_block(const rotor_table *rotor, double start, int32_t count, double *cosine,
                      double *sine);
hann_span dcpi_span(const dcpi_window *window, double frequency_hz);

/* frequency.c */
typedef enum { LINE_FOUND, LINE_ABSENT, LINE_ELSEWHERE } line_verdict;
line_verdict dcpi_find_frequency(const dcpi_window *window, int channel, double variance,
                                 dcpi_workspace *workspace, double *frequency_hz);

/* fold.c */
void dcpi_fold(const dcpi_window *window, const phase_level *levels, double frequency_hz,
               dcpi_workspace *workspace, fold_result *result);

/* track.c */
segment_grid dcpi_segments(const dcpi_window *window, double frequency_hz);
void dcpi_track_block(const segment_grid *segments, int32_t start, int32_t count,
                      dcpi_workspace *workspace);
stray_shape dcpi_stray(const segment_grid *segments, const dcpi_workspace *workspace, int lane,
                       phasor fundamental);

/* steadiness.c */

typedef struct {
    uint32_t flags; /* DCPI_NON_STATIONARY, DCPI_INTERHARMONIC */
    int uneven;     /* the window's edges differ from its middle: present or not, it moves */
    int jumps;      /* the phase makes a step, so that its slope is no frequency */
    int smears;     /* the fundamental leaks into the harmonics, or they have no one phase */
} steady_verdict;

steady_verdict dcpi_steadiness(const dcpi_window *window, const phase_level *levels,
                               const fold_result *folded, const dcpi_workspace *workspace,
                               int channel);

/* power.c */
void dcpi_phase_unknown(dcpi_phase *phase);
void dcpi_phase_plain(const phase_level *level, dcpi_phase *phase);
void dcpi_phase_power(const dcpi_window *window, const phase_level *level,
                      const fold_result *folded, int index, const steady_verdict *of_voltage,
                      const steady_verdict *of_current, dcpi_phase *phase);

/* total.c */
void dcpi_total_unknown(dcpi_total *total);
void dcpi_total_power(const dcpi_window *window, const fold_result *folded,
                      const dcpi_phase *phases, dcpi_total *total, uint32_t *flags);

static inline double square(double x) {
    return x * x;
}

static inline double magnitude(phasor z) {
    return sqrt(z.re * z.re + z.im * z.im);
}

/* z * conj(w) */
static inline phasor times_conjugate(phasor z, phasor w) {
    phasor product = {z.re * w.re + z.im * w.im, z.im * w.re - z.re * w.im};
    return product;
}

static inline const channel_level *channel_of(const dcpi_window *window, const phase_level *levels,
                                              int channel) {
    const phase_level *level = levels + channel % window->phases;
    return channel < window->phases ? &level->voltage : &level->current;
}

static inline int channel_lane(const dcpi_window *window, int channel) {
    return channel < window->phases ? channel : LANE_CURRENT + channel - window->phases;
}

/* Clones for AVX2 with FMA and for AVX-512, chosen by the loader where it can. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && __GNUC__ >= 12 &&            \
    !defined(__clang__) && !defined(DCPI_NO_CLONES)
#define WIDER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDER_CLONES
#endif

#endif
