/* What the parts of the cycle analysis share; not installed. */
#ifndef DCPI_CYCLES_INTERNAL_H
#define DCPI_CYCLES_INTERNAL_H

#include "dcpi_cycles.h"
#include "internal.h"

enum {
    CYCLE_LANES = 8, /* voltage of phase k in lane k, its current in lane HALF_LANES + k */
    HALF_LANES = 4,
    TRACK_CYCLES = 6,      /* a 4-term Blackman-Harris window's main lobe is then 4/6 f wide */
    SPECTRUM_CELLS = 2048, /* of one interval; 3.4 times the highest bin */
    SPECTRUM_BINS = 612,   /* to 50 * 12 + 10, the end of the interharmonics of order 50 */
    SPECTRUM_TAPS = 8,     /* error 1e-7, see cycle_tables.c */
    SPECTRUM_ROWS = 512,   /* of taps, between which they are interpolated */
    EDGE_MAX = 24,         /* half the width of an interval's blurred edges, at most */
    SPLINE_SAMPLES = 2,    /* half the width of a half-cycle's */
    TOTAL_CHANNELS = 2 * DCPI_PHASES_MAX
};

/* An interval longer than this many times the nominal one is dropped: 38 Hz of 50. */
#define INTERVAL_STRETCH 1.3
/* Far beyond any, and together still an int64_t. */
#define DCPI_CYCLE_EPOCH_MAX_NS 4000000000000000000
#define DCPI_CYCLE_STREAM_MAX_S 2e9
/* No converter's clock is this far off. */
#define DCPI_CYCLE_RATE_TOLERANCE 0.01
/* IEC 61000-4-30:2015 table 1: 42.5 to 57.5 Hz and 51 to 69 Hz. */
#define NOMINAL_TOLERANCE 0.15

/* What one interval's transform tells; squares of rms, index is the bin. */
typedef struct {
    double mean_square[CYCLE_LANES], power[DCPI_PHASES_MAX];
    double *bins; /* [channel][SPECTRUM_BINS]: voltages, then currents */
    phasor fundamental[TOTAL_CHANNELS];
    double turned_power[DCPI_PHASES_MAX]; /* what delays and phase errors took from the power */
    int32_t bin_count;
} cycle_spectrum;

/* The workspace as the library sees it, from a cache line's start on. */
typedef struct {
    eight grid[2][SPECTRUM_CELLS + SPECTRUM_TAPS];
    eight taps[SPECTRUM_ROWS + 1]; /* SPECTRUM_TAPS each */
    float cosine[SPECTRUM_CELLS], sine[SPECTRUM_CELLS];
    double gain[SPECTRUM_BINS];
    double bins[TOTAL_CHANNELS * SPECTRUM_BINS];
} cycle_scratch;

_Static_assert(sizeof(cycle_scratch) + 64 <= sizeof(dcpi_cycle_workspace), "the scratch fits");

/* cycle_tables.c */
void dcpi_cycle_tables(dcpi_cycles *cycles);

/* cycle_track.c */
int dcpi_cycle_add_node(dcpi_cycles *cycles);
int dcpi_cycle_crossing(const dcpi_cycles *cycles, int64_t segment, int phase, double target,
                        double *position);

/* cycle_halves.c */
void dcpi_cycle_halves(dcpi_cycles *cycles, int64_t segment);
uint32_t dcpi_cycle_events(const dcpi_cycles *cycles, double start, double end);

/* cycle_spectrum.c */
void dcpi_cycle_spectrum(dcpi_cycles *cycles, double start, double end, cycle_spectrum *spectrum);

/* cycle_values.c */
void dcpi_cycle_evaluate(dcpi_cycles *cycles, const dcpi_open_interval *interval, double end);

/* cycle_means.c */
void dcpi_cycle_sum_begin(dcpi_cycle_sum *sum);
void dcpi_cycle_sum_add(dcpi_cycle_sum *sum, const dcpi_cycle_values *values);
void dcpi_cycle_sum_mean(const dcpi_cycle_sum *sum, dcpi_cycle_values *mean);

/* cycle_intervals.c */
void dcpi_cycle_boundary(dcpi_cycles *cycles, double cycle, double position, int referenced);
void dcpi_cycle_break(dcpi_cycles *cycles);

static inline const dcpi_cycle_node *node_at(const dcpi_cycles *cycles, int64_t node) {
    return cycles->nodes + node % DCPI_CYCLE_NODES;
}

static inline const float *row_at(const dcpi_cycles *cycles, int64_t index) {
    return cycles->samples + (index - cycles->base) * CYCLE_LANES;
}

static inline cycle_scratch *cycle_scratch_of(dcpi_cycle_workspace *workspace) {
    return (cycle_scratch *)(void *)((char *)workspace + (-(uintptr_t)workspace & 63));
}

/* Memory of floats, eight of them side by side, from a multiple of their size on. */
#define cells_at(floats) ((eight *)(void *)(floats))

/* UTC of a position in samples. */
static inline int64_t nanoseconds(const dcpi_cycles *cycles, double position) {
    double seconds = (position - (double)cycles->time_index) / cycles->time_rate_hz;
    double whole = floor(seconds);
    return cycles->time_ns + (int64_t)whole * 1000000000 + (int64_t)rint((seconds - whole) * 1e9);
}

#endif
