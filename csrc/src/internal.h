/* What the parts of the library share; not installed. */
#ifndef DCPI_INTERNAL_H
#define DCPI_INTERNAL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "dcpi_sampling.h"

/* The vectors of 32-bit Arm take denormals for zeros, so that without leave GCC uses none of them.
 * No number that counts is one; NaN and infinity keep their meaning. */
#if defined(__ARM_NEON) && !defined(__aarch64__) && !defined(__clang__)
#pragma GCC optimize("unsafe-math-optimizations")
#endif

/* IEC 61000-4-30:2015 5.1: 50 Hz - 15 % to 60 Hz + 15 %. */
#define FREQUENCY_MIN_HZ 42.5
#define FREQUENCY_MAX_HZ 69.0
/* So that noise does not push a frequency on the limit over it. */
#define FREQUENCY_MARGIN_HZ 0.005
/* Harmonics are reported up to this share of the rate: above, the anti-aliasing filter rules. */
#define REACHABLE_SHARE 0.49
/* Above it squares still fit, but nothing is a voltage or a current any more. */
#define VALUE_LIMIT 1e15
/* Below it nothing is one either, and the scale of single precision would not reach. */
#define VALUE_LEAST 1e-30
/* The fundamental holds at least this share of the AC power, or there is no line frequency. */
#define FUNDAMENTAL_SHARE_MIN 0.15
#define TWO_PI 6.283185307179586476925

/* Eight lanes of single precision: the voltages and their sum, the currents and theirs. The sums
 * are the residual voltage and the neutral current. */
typedef float eight __attribute__((vector_size(32), may_alias));
typedef uint32_t eight_bits __attribute__((vector_size(32), may_alias));
typedef float four __attribute__((vector_size(16), may_alias));
/* EACH_KIND: the lanes of the voltages, or of the currents. */
enum { LANES = 8, EACH_KIND = LANES / 2, LANE_SUM = 3, LANE_CURRENT = EACH_KIND };

/* Per half-period: the phasor, and squared second differences. */
enum { TRACK_RE, TRACK_IM, TRACK_BENDS, TRACK_KINDS };

enum {
    CHANNELS_MAX = 2 * DCPI_PHASES_MAX,
    ORDERS_PADDED = (DCPI_ORDERS + LANES - 1) / LANES * LANES, /* whole vectors of any width */
    BLOCK = 64, /* samples that are worked on at once */
    GRID_BINS = 256 + 8,
    TRACK_SEGMENTS_MAX = 28,
    SEARCH_POINTS_MAX = 6404, /* 2 s at less than 3200 a second */
    SORTED_MAX = 512
};

/* The workspace as the library sees it, on a cache line of its own. */
typedef struct {
    eight grid[2][GRID_BINS];         /* of even and of odd samples: neighbours hit the same bins */
    eight lanes[BLOCK + 2];           /* of each sample, after the last two of the block before */
    _Alignas(32) float source[BLOCK]; /* of the lane that gives the frequency */
    _Alignas(32) float taps[8][BLOCK];
    float cosine[BLOCK], sine[BLOCK];  /* of the line */
    float weight[BLOCK], slope[BLOCK]; /* Hann window, and its odd companion for the frequency */
    uint32_t places[BLOCK];            /* of the first tap, in bytes from the first grid on */
    eight track[TRACK_SEGMENTS_MAX + 2][TRACK_KINDS];
    double samples[2][4 * BLOCK];
    union {
        float points[SEARCH_POINTS_MAX];
        double sorted[SORTED_MAX];
    } search;
} scratch;

_Static_assert(sizeof(scratch) + 64 <= sizeof(dcpi_workspace), "the scratch memory fits");

typedef struct {
    double re, im;
} phasor;

/* Where a channel stands before its frequency is known; all over the whole window. */
typedef struct {
    double mean; /* all in V or A, corrected */
    double mean_square;
    double variance; /* mean square without the mean */
    double peak;     /* largest magnitude */
    double raw_mean; /* of the samples as they came */
    double raw_peak; /* their largest distance from that mean */
    double gain;     /* V or A for a sample of 1 */
    int32_t clipped; /* samples that stand at the end of a range */
    int32_t coarse;  /* only a few of the converter's steps */
    int32_t finite;
} channel_level;

typedef struct {
    channel_level voltage, current;
    double mean_power; /* plain mean of v*i */
} phase_level;

/* Single precision works on (sample - raw_offset) * scale; the value is unit * that + offset. */
typedef struct {
    double raw_offset[LANES];
    double scale[LANES];  /* powers of two that bring the peak below 1, negative as the gain is */
    double unit[LANES];   /* V or A, positive */
    double offset[LANES]; /* V or A */
} lane_scaling;

/* Where the channels are read, voltages first, and what their samples become; scale, shift and
 * share are of the three channels of each kind, once in each of its lanes. */
typedef struct {
    const float *single[CHANNELS_MAX];
    const double *precise[CHANNELS_MAX];
    double offset[CHANNELS_MAX];
    eight scale[LANE_SUM];
    eight shift[LANE_SUM]; /* taken off once scaled: the offset, where it is not taken off before */
    eight share[LANE_SUM]; /* of the scaled row in the sum */
} lane_rows;

/* How the samples of all channels are read side by side. */
typedef struct {
    const dcpi_window *window;
    const phase_level *levels;
    lane_rows rows;
    int is_plain; /* three phases of one precision, none of them void */
    int source_lane;
} lane_reader;

/* A rotating unit vector, tabulated for one block of samples and carried from block to block. */
typedef struct {
    float step_cosine[BLOCK], step_sine[BLOCK];
    double cosine, sine;             /* at the next block */
    double block_cosine, block_sine; /* over one block */
} rotor;

/* The Hann window over whole periods, |n - centre| < half. */
typedef struct {
    double centre; /* in samples */
    double length; /* in samples */
    int32_t first, last;
} hann_span;

/* Half-periods of the window, for its stationarity: one half of them from its first sample on, the
 * other up to its last, and between them a shorter piece, unless less than two samples are left. */
typedef struct {
    double start;  /* in samples, of the first one */
    double length; /* in samples, of each */
    double gap;    /* in samples, of the piece behind the first `head` */
    int32_t head;  /* `count` without such a piece */
    int32_t count; /* with it */
} segment_grid;

typedef struct {
    uint32_t flags; /* DCPI_NON_STATIONARY, DCPI_INTERHARMONIC, */
    int uneven;     /* the window's edges differ from its middle: present or not, it moves */
    int jumps;      /* the phase makes a step, so that its slope is no frequency */
    int smears;     /* the fundamental leaks into the harmonics, or they have no one phase */
    double slope;   /* of the phase beside a step of the magnitude, rad a box; else 0 */
} steady_verdict;

/* Hann-weighted means over whole periods; V and A, lane by lane. */
typedef struct {
    double first[LANES];
    double square[LANES];
    double power[EACH_KIND];
} weighted_means;

typedef struct {
    double frequency_hz;
    double folded_hz; /* the estimate that the samples were folded with */
    int32_t h_max;
    hann_span span;
    segment_grid segments;
    weighted_means means;
    double unit[LANES];        /* V or A of 1 in the spectrum */
    double bend_square[LANES]; /* Hann-weighted mean square of second differences; V or A */
    _Alignas(32) float re[DCPI_ORDERS * LANES]; /* rms phasors [order][lane]; order 0 is the mean */
    _Alignas(32) float im[DCPI_ORDERS * LANES];
    double added_power[DCPI_PHASES_MAX]; /* what turning the phasors added to the means' power */
    steady_verdict verdict[CHANNELS_MAX];
} fold_result;

/* How far the fundamental strays from a constant phasor, relative to it, and what is too brief for
 * its boxes; lane by lane. */
typedef struct {
    float largest[LANES]; /* magnitude */
    float jump[LANES];    /* its phase in rad, less the parabola that a ramp of f is */
    float along[LANES];   /* variance along the magnitude, */
    float across[LANES];  /* along the phase, */
    float mixed[LANES];   /* and their covariance */
    float
        burst_square[LANES]; /* a transient's, as if it were one sample of this size; of the lane */
    int32_t boxes;
    float place[TRACK_SEGMENTS_MAX];   /* of each box's middle, in boxes */
    eight rows[2][TRACK_SEGMENTS_MAX]; /* of each box: along the magnitude, along the phase */
    double box_turns, centre_turns;    /* of the line in a box, and up to where places count from */
    const float *re, *im;              /* of the fundamental, referred to the first sample */
} stray_shapes;

/* Over all samples of one channel. */
typedef struct {
    double low, high;    /* extremes of the raw samples: a converter is judged by what it gave */
    double sum, squares; /* of the samples less `offset` */
    double offset;
} sample_extent;

enum { EXTENT_BLOCKS_MAX = 64 };

typedef struct {
    sample_extent voltage, current;
    double products; /* sum of v*i */
    int32_t block;   /* samples in each block but the last, whose own extremes follow */
    double block_low[2][EXTENT_BLOCKS_MAX], block_high[2][EXTENT_BLOCKS_MAX];
} phase_extent;

/* correction.c */
dcpi_correction dcpi_correction_of(const dcpi_window *window, int channel);
void dcpi_correct_angles(const dcpi_window *window, fold_result *folded);

/* extent.c */
void dcpi_phase_extent(const dcpi_window *window, int phase, scratch *work, phase_extent *both);
/* How many samples stand at either extreme, and whether three do after one another. */
double dcpi_at_extremes(const dcpi_window *window, int channel, const phase_extent *both,
                        int *has_run);

/* levels.c */
void dcpi_read_block(const dcpi_window *window, int channel, int32_t start, int32_t count,
                     double *out);
void dcpi_phase_level(const dcpi_window *window, int phase, scratch *work, phase_level *level);

/* rotor.c */
void dcpi_rotor_init(rotor *turning, double turns_per_sample, double start);
void dcpi_rotor_advance(rotor *turning); /* by one block */
hann_span dcpi_span(int32_t samples, double rate_hz, double frequency_hz);

/* frequency.c */
typedef enum { LINE_FOUND, LINE_ABSENT, LINE_ELSEWHERE } line_verdict;
line_verdict dcpi_find_frequency(const dcpi_window *window, int channel, const channel_level *level,
                                 scratch *work, double *frequency_hz);

/* lanes.c */
lane_scaling dcpi_scaling(const dcpi_window *window, const phase_level *levels);
lane_reader dcpi_lane_reader(const dcpi_window *window, const phase_level *levels,
                             const lane_scaling *scaling, int source_lane);
void dcpi_read_lanes(const lane_reader *reader, int32_t start, int32_t count, scratch *work);

/* track.c */
segment_grid dcpi_segments(const dcpi_window *window, double frequency_hz);
void dcpi_strays(const dcpi_window *window, const fold_result *folded, const scratch *work,
                 stray_shapes *strays);

/* jump.c */
/* Whether a step explains what the phase of a lane does, beside a ramp of its frequency, or its
 * magnitude. `least` is a root sum of squares over the boxes, relative to the fundamental, and
 * `noise` what noise hardly ever exceeds. `place` becomes where it stands best, in boxes. */
int dcpi_phase_steps(const stray_shapes *strays, int lane, double least, double noise,
                     double *place);
int dcpi_magnitude_steps(const stray_shapes *strays, int lane, double least, double noise,
                         double *place);
/* Of the phase, in rad a box, by the boxes that a step at that place leaves alone; NaN where they
 * are too few or off one line by more than the tolerance, in rad. */
double dcpi_slope_beside(const stray_shapes *strays, int lane, double place, double tolerance);

/* fold.c */
/* A frequency that is not exact is improved by the source. */
void dcpi_fold(const dcpi_window *window, const phase_level *levels, int source,
               double frequency_hz, int is_exact, scratch *work, fold_result *result);

/* transform.c */
void dcpi_transform(scratch *work, double weight_sum, fold_result *result);

/* leaks.c */
/* Takes what the orders from the second on leave in the track's segments off. */
void dcpi_take_leaks_off(const dcpi_window *window, const fold_result *folded, scratch *work);

/* near_half.c */
/* Whether a tone of at least this mean square, in V^2 or A^2, stands beyond the reachable share of
 * the rate and is no order of the line. */
int dcpi_has_tone_near_half(const dcpi_window *window, int channel, const channel_level *level,
                            double frequency_hz, double least_square);

/* steadiness.c */
void dcpi_steadiness(const dcpi_window *window, const phase_level *levels, scratch *work,
                     fold_result *folded);

/* power.c */
void dcpi_phase_unknown(dcpi_phase *phase);
void dcpi_phase_plain(const phase_level *level, dcpi_phase *phase);
void dcpi_phases_power(const dcpi_window *window, const phase_level *levels,
                       const fold_result *folded, dcpi_phase *phases);

/* total.c */
void dcpi_total_unknown(dcpi_total *total);
void dcpi_total_power(const dcpi_window *window, const fold_result *folded,
                      const dcpi_phase *phases, dcpi_total *total, uint32_t *flags);

static inline double border_of(const segment_grid *segments, int32_t number) {
    double back = number > segments->head ? segments->length - segments->gap : 0;
    return segments->start + number * segments->length - back;
}

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

static inline int is_void(const phase_level *level) {
    return !level->voltage.finite || !level->current.finite;
}

static inline int channel_lane(const dcpi_window *window, int channel) {
    return channel < window->phases ? channel : LANE_CURRENT + channel - window->phases;
}

static inline int is_single(const dcpi_window *window, int channel) {
    return channel >= window->phases ? window->current_is_float32 : window->voltage_is_float32;
}

/* From sample `start` on. */
static inline const void *row_of(const dcpi_window *window, int channel, int32_t start) {
    int is_current = channel >= window->phases;
    size_t row = (size_t)(is_current ? channel - window->phases : channel);
    size_t cell = row * (size_t)window->samples + (size_t)start;
    const void *base = is_current ? window->current : window->voltage;
    if (is_single(window, channel))
        return (const float *)base + cell;
    return (const double *)base + cell;
}

static inline phasor order_of(const fold_result *folded, int lane, int order) {
    double unit = folded->unit[lane];
    return (phasor){unit * (double)folded->re[order * LANES + lane],
                    unit * (double)folded->im[order * LANES + lane]};
}

/* What a clone calls must become part of it. */
#define INLINE static inline __attribute__((always_inline))

/* Lane by lane the smaller one first. By the sign of the difference: where registers have 16 bytes,
 * GCC compares 32 bytes lane by lane. */
INLINE void put_in_order(eight *low, eight *high) {
    eight_bits a = (eight_bits)*low, b = (eight_bits)*high;
    eight_bits change = (a ^ b) & -((eight_bits)(*high - *low) >> 31);
    *low = (eight)(a ^ change);
    *high = (eight)(b ^ change);
}

/* Rows become columns: four samples of each of four lanes, say. */
INLINE void transpose(const four rows[4], four *columns) {
    four ac_low = __builtin_shufflevector(rows[0], rows[2], 0, 4, 1, 5);
    four ac_high = __builtin_shufflevector(rows[0], rows[2], 2, 6, 3, 7);
    four bd_low = __builtin_shufflevector(rows[1], rows[3], 0, 4, 1, 5);
    four bd_high = __builtin_shufflevector(rows[1], rows[3], 2, 6, 3, 7);
    columns[0] = __builtin_shufflevector(ac_low, bd_low, 0, 4, 1, 5);
    columns[1] = __builtin_shufflevector(ac_low, bd_low, 2, 6, 3, 7);
    columns[2] = __builtin_shufflevector(ac_high, bd_high, 0, 4, 1, 5);
    columns[3] = __builtin_shufflevector(ac_high, bd_high, 2, 6, 3, 7);
}

/* Clones for AVX2 with FMA, chosen by the loader where it can; clones of AVX-512 were no faster.
 * WIDE functions may only be called where there are registers of 32 bytes. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && __GNUC__ >= 12 &&            \
    !defined(__clang__) && !defined(DCPI_NO_CLONES)
#define WIDER_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#define WIDE __attribute__((target("arch=x86-64-v3")))
#define HAS_WIDE (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define WIDER_CLONES
#define WIDE
#ifdef __AVX__
#define HAS_WIDE 1
#else
#define HAS_WIDE 0
#endif
#endif

#endif
