/*
 * Power quality over actual cycles: a stream of samples becomes
 *   - the rms of one cycle, refreshed every half-cycle (IEC 61000-4-30:2015 5.4.1, Urms(1/2)),
 *   - values over 10 cycles at 50 Hz or 12 at 60 Hz (IEC 61000-4-30:2015 4.4) with the harmonic and
 *     interharmonic groups and subgroups of IEC 61000-4-7:2002+A1:2008,
 *   - the frequency of each 10 s of UTC (IEC 61000-4-30:2015 5.1.1),
 *   - aggregates over 150 or 180 cycles and over 10 min of UTC (4.5), flagged (4.7).
 *
 * No heap, no global state, no I/O: the caller owns state and memory, one of each per stream, and a
 * workspace per thread.
 *
 *     dcpi_cycle_workspace_init(&workspace);
 *     dcpi_cycles_init(&cycles, &config, memory, cells);
 *     for (every block)
 *         while (block has samples left) {
 *             dcpi_cycles_take(&cycles, &block, &taken);      // then advance the block by `taken`
 *             while ((kind = dcpi_cycles_next(&cycles, &workspace)) != DCPI_CYCLE_NOTHING)
 *                 use(&cycles, kind);
 *         }
 */
#ifndef DCPI_CYCLES_H
#define DCPI_CYCLES_H

#include "dcpi_sampling.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limits and sizes. */
enum {
    DCPI_CYCLE_RATE_MIN_HZ = 1000,   /* 17 samples a cycle of 60 Hz */
    DCPI_CYCLE_RATE_MAX_HZ = 256000, /* memory grows with it */
    DCPI_CYCLE_INTERVALS = 15,       /* 10/12-cycle values in a 150/180-cycle one, 4.5.2 */
    DCPI_CYCLE_WORKSPACE_CELLS = 24848,
    DCPI_CYCLE_NODES = 32,  /* private: one a cycle */
    DCPI_CYCLE_HALVES = 128 /* private: three phases, two a cycle */
};

/* What is wrong with a value: it is flagged, but kept (4.7), or NaN where it is meaningless. */
typedef enum {
    DCPI_CYCLE_DIP = 1,                     /* Urms(1/2) of a phase below 90 % */
    DCPI_CYCLE_SWELL = 2,                   /* above 110 % */
    DCPI_CYCLE_INTERRUPTION = 4,            /* of all phases below 5 % */
    DCPI_CYCLE_NO_REFERENCE = 8,            /* no line voltage: cycles of the last known length */
    DCPI_CYCLE_FREQUENCY_OUT_OF_RANGE = 16, /* beyond 15 % of the nominal one */
    DCPI_CYCLE_NOT_FINITE = 32,             /* NaN, infinite or beyond 1e15: that phase is void */
    DCPI_CYCLE_OVERLAP = 64,                /* goes on beyond a 10 min tick (4.5) */
    DCPI_CYCLE_LIMITED_ORDER = 128,         /* the rate does not reach order 50 */
    DCPI_CYCLE_INCOMPLETE = 256             /* of 10 min: parts are missing */
} dcpi_cycle_flag;

/* The concept of 4.7: an event that makes the other parameters unreliable. */
enum { DCPI_CYCLE_FLAGGED = 1 | 2 | 4 };

typedef enum {
    DCPI_CYCLE_NOTHING = 0,    /* wants more samples */
    DCPI_CYCLE_HALF = 1,       /* `half` */
    DCPI_CYCLE_FREQUENCY = 2,  /* `frequency` */
    DCPI_CYCLE_TEN_TWELVE = 3, /* `ten_twelve`: 10 or 12 cycles */
    DCPI_CYCLE_SHORT = 4,      /* `short_mean`: 150 or 180 cycles */
    DCPI_CYCLE_LONG = 5        /* `long_mean`: 10 min */
} dcpi_cycle_kind;

typedef struct {
    int32_t phases;                 /* 1 to DCPI_PHASES_MAX */
    int32_t wants_halves;           /* whether DCPI_CYCLE_HALF comes */
    double sample_rate_hz;          /* DCPI_CYCLE_RATE_MIN_HZ to DCPI_CYCLE_RATE_MAX_HZ */
    double nominal_hz;              /* 50 or 60 */
    double declared_v;              /* declared input voltage, V; 0: the sliding reference, 5.4.4 */
    int64_t epoch_ns;               /* UTC time of sample 0, to 2096 */
    double skew_s[DCPI_PHASES_MAX]; /* how late the current's samples are taken */
} dcpi_cycle_config;

/* Consecutive samples; rows [phase][sample], `stride` samples from one row to the next. */
typedef struct {
    const void *voltage, *current; /* V; A, positive into the load */
    int32_t is_float32;            /* else float64 */
    int32_t samples;
    int64_t stride;
    int64_t first_index; /* to 2e9 s; not the next one: what was begun is dropped */
} dcpi_cycle_block;

/* One phase in one half-cycle. */
typedef struct {
    double start, end;        /* of the whole cycle, in samples since sample 0 */
    int64_t start_ns, end_ns; /* the same in UTC */
    double v_rms, i_rms;      /* V, A; Urms(1/2) and Irms(1/2) */
    int32_t phase;            /* 0 to phases - 1 */
    uint32_t flags;
} dcpi_half_cycle;

/* The frequency of 10 s of UTC. */
typedef struct {
    int64_t start_ns;    /* the 10 s tick */
    double frequency_hz; /* whole cycles over their duration; NaN: unknown */
    int64_t cycles;      /* whole ones within the 10 s */
    double duration_s;   /* of these */
} dcpi_cycle_frequency;

/* One channel; magnitudes are rms, arrays are indexed by order, NaN above h_max. */
typedef struct {
    double rms;
    double fundamental_rms;             /* the component at order 1 */
    double thd_percent;                 /* components, IEC 61000-4-7 3.3.1 */
    double thdg_percent;                /* groups, 3.3.2 */
    double thds_percent;                /* subgroups, 3.3.3 */
    double harmonics[DCPI_ORDERS];      /* components at order h; 0: magnitude of the mean */
    double groups[DCPI_ORDERS];         /* 5.5.1, formula 8: G */
    double subgroups[DCPI_ORDERS];      /* 5.5.1, formula 9: SG */
    double interharmonics[DCPI_ORDERS]; /* A.3: centred subgroup between h and h + 1 */
} dcpi_cycle_channel;

typedef struct {
    double p_w;    /* plain mean of v*i over the interval */
    double q1_var; /* Im(V1 * conj(I1)), inductive positive */
    dcpi_cycle_channel voltage, current;
} dcpi_cycle_phase;

typedef struct {
    int64_t start_ns, end_ns; /* UTC; of DCPI_CYCLE_LONG the 10 min ticks */
    double duration_s;        /* from the first to the last crossing */
    int32_t cycles;           /* 10, 12, 150, 180; of DCPI_CYCLE_LONG as many as there were */
    int32_t h_max;            /* highest order whose group the rate reaches */
    int32_t count;            /* 10/12-cycle values in it */
    int32_t flagged;          /* of these, marked by DCPI_CYCLE_FLAGGED */
    uint32_t flags;           /* of all of them */
    int32_t phases;
    double frequency_hz;           /* cycles / duration_s */
    double p_w, q1_var;            /* sums; NaN when a phase is void */
    double u2_percent, u0_percent; /* 5.7.1: negative, zero over positive sequence voltage */
    dcpi_cycle_phase phase[DCPI_PHASES_MAX];
} dcpi_cycle_values;

/* What transforms an interval, its tables and its scratch memory: one per thread serves all streams
 * of that thread. */
typedef struct {
    double cells[DCPI_CYCLE_WORKSPACE_CELLS]; /* private */
} dcpi_cycle_workspace;

/* Private from here on, but for `dropped` and what dcpi_cycles_next announces. */
typedef struct {
    double position; /* of its centre, in samples since sample 0 */
    double cycles;   /* rising zero crossings of the reference so far, and the share since */
    double lane_cycles[DCPI_PHASES_MAX];
    int32_t referenced;
    int32_t present; /* bit per phase */
} dcpi_cycle_node;

typedef struct {
    double at; /* last half-cycle's start and end */
    double sum_v, sum_i;
    double length;
    int32_t known;
    uint32_t state; /* dip, swell or interruption that goes on */
} dcpi_half_track;

typedef struct {
    double start; /* samples since sample 0 */
    double at_cycle;
    int32_t active;
    uint32_t flags;
} dcpi_open_interval;

typedef struct {
    dcpi_cycle_values values; /* sums */
    double seconds;
    int32_t active;
} dcpi_cycle_sum;

typedef struct {
    /* What dcpi_cycles_next announces; valid until it is called again. */
    dcpi_half_cycle half;
    dcpi_cycle_frequency frequency;
    dcpi_cycle_values ten_twelve, short_mean, long_mean;
    int64_t dropped; /* 10/12-cycle intervals that were begun and lost by a gap */

    dcpi_cycle_config config;
    dcpi_correction corrections[2 * DCPI_PHASES_MAX];
    int64_t time_index, time_ns; /* one sample's time, and the rate from there */
    double time_rate_hz;
    int32_t cycles_per_interval, cycle_samples, edge_samples;
    int32_t capacity, held;
    int64_t base; /* index of the first sample held */
    int64_t next_index;
    float *samples, *window, *line;
    dcpi_cycle_workspace *workspace; /* while dcpi_cycles_next runs */

    dcpi_cycle_node nodes[DCPI_CYCLE_NODES];
    int64_t node_count;
    double angle[DCPI_PHASES_MAX];
    double last_increment, level;
    int32_t reference;

    dcpi_half_track track[DCPI_PHASES_MAX];
    dcpi_half_cycle halves[DCPI_CYCLE_HALVES];
    int64_t halves_written, halves_read;
    double sliding_v;
    int64_t segment; /* next one whose crossings are taken */
    double next_cycle;

    dcpi_open_interval current, overlapping;
    dcpi_cycle_sum short_sum, short_overlapping, long_sum;
    int64_t next_ten_minutes_ns;
    int64_t next_ten_seconds_ns;
    double first_cycle, first_at, last_cycle, last_at;
    int32_t ten_seconds_whole, ten_seconds_good;
    uint32_t ready; /* bit per dcpi_cycle_kind */
} dcpi_cycles;

/* Fill in the tables. */
dcpi_status dcpi_cycle_workspace_init(dcpi_cycle_workspace *workspace);

/* How many doubles of memory a stream needs; 0 when the configuration breaks a limit. */
size_t dcpi_cycles_cells(const dcpi_cycle_config *config);

/* Begin a stream. `memory` holds `cells` doubles that stay the stream's until it is done. */
dcpi_status dcpi_cycles_init(dcpi_cycles *cycles, const dcpi_cycle_config *config, double *memory,
                             size_t cells);

/* From now on sample `index` counts as taken at `utc_ns`, and those beside it at this rate, which
 * is within 1 % of the configured one: of a source whose clock is measured while it runs. */
dcpi_status dcpi_cycles_set_time(dcpi_cycles *cycles, int64_t index, int64_t utc_ns,
                                 double sample_rate_hz);

/* What is known of the sensors, of the voltages, then of the currents: gain and offset count for
 * the samples from now on, phase error and delay for the intervals that end from now on. */
dcpi_status dcpi_cycles_set_corrections(dcpi_cycles *cycles, const dcpi_correction *corrections);

/* Take samples in; `taken` says how many: not all, perhaps none, until dcpi_cycles_next has been
 * called until it gives DCPI_CYCLE_NOTHING. */
dcpi_status dcpi_cycles_take(dcpi_cycles *cycles, const dcpi_cycle_block *block, int32_t *taken);

/* The next value that the samples so far complete, in the order of their ends. */
dcpi_cycle_kind dcpi_cycles_next(dcpi_cycles *cycles, dcpi_cycle_workspace *workspace);

/* Both in one, where each call has its price: `kind` is what dcpi_cycles_next gives after it. */
dcpi_status dcpi_cycles_take_next(dcpi_cycles *cycles, dcpi_cycle_workspace *workspace,
                                  const dcpi_cycle_block *block, int32_t *taken,
                                  dcpi_cycle_kind *kind);

#ifdef __cplusplus
}
#endif

#endif
