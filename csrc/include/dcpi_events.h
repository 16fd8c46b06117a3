/*
 * Events of a polyphase feed, found in its samples as they come: changes of power that disturb the
 * grid, and voltage dips, swells and interruptions.
 *
 * No heap, no global state, no I/O, no lock: the caller owns all memory, and one thread at a time
 * feeds a detector. Times are milliseconds since tick 0; ticks are one millisecond apart, and the
 * caller says where the first one lies, so that detectors of several feeds share one grid.
 */
#ifndef DCPI_EVENTS_H
#define DCPI_EVENTS_H

#include "dcpi_sampling.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limits; powers of two where they are. */
enum {
    DCPI_TICK_HZ = 1000,       /* how often the sliding mean of power is taken */
    DCPI_CHANGE_TICKS = 1000,  /* within 1 s: DCPI 3, grid-destabilizing power event */
    DCPI_TICKS_KEPT = 2048,    /* of the sliding mean */
    DCPI_EXTREMES = 1024,      /* above DCPI_CHANGE_TICKS */
    DCPI_EVENT_QUEUE = 64,     /* events that wait to be taken */
    DCPI_CELL_RATE_MAX = 6400, /* faster samples are averaged down to at most this, in Hz */
    DCPI_OFFSETS = 15,         /* one a cycle: 0.3 s, of which a step spoils two */
    DCPI_CELLS = 512,          /* of that rate: more than 1.5 periods of 42.5 Hz and a chunk */
};

typedef enum {
    DCPI_EVENT_POWER = 1,       /* a step or a ramp of power: a change within 1 s */
    DCPI_EVENT_DIP = 2,         /* of voltage: IEC 61000-4-30:2015 5.4 */
    DCPI_EVENT_SWELL = 3,       /* 5.4 */
    DCPI_EVENT_INTERRUPTION = 4 /* 5.5 */
} dcpi_event_kind;

/* Each event comes twice: when it is detected, and when it is over. Unknown is NaN. */
typedef struct {
    int64_t number;     /* counts the detector's events from 1; the same at both times */
    int32_t kind;       /* dcpi_event_kind */
    int32_t is_end;     /* 0: just detected; 1: over */
    int32_t is_cut;     /* over because samples are missing: how it went on is unknown */
    uint32_t channels;  /* bit k: the voltage of phase k is concerned */
    double onset_ms;    /* where the change began, corrected at the end where its main part proved
                           to be later, or it was too quick to be seen whole; of a voltage event the
                           start of the first Urms(1/2) beyond the threshold */
    double detected_ms; /* the last sample that was needed to see it */
    double end_ms;      /* of a power event where 95 % of the change is made; of a voltage event the
                           end of the Urms(1/2) that ended it */
    double before_w;    /* power before the change; NaN for a voltage event */
    double after_w;     /* power reached; when just detected, the last sliding mean */
    double extreme_v;   /* lowest Urms(1/2) of a dip or an interruption (the residual voltage),
                           highest of a swell; NaN for a power event */
} dcpi_event;

/* Called in the thread that feeds, before the feeding call returns; must neither wait nor feed. */
typedef void (*dcpi_event_callback)(const dcpi_event *event, void *user);

/* Where events wait; when it is full, new ones are counted as lost. */
typedef struct {
    dcpi_event waiting[DCPI_EVENT_QUEUE];
    int32_t first, count;
    int64_t lost;
    int64_t numbered;
    dcpi_event_callback callback; /* null: none */
    void *user;
} dcpi_event_queue;

/* Indices of falling or rising values: the front is the extreme of the last second. */
typedef struct {
    int64_t tick[DCPI_EXTREMES];
    int32_t first, count;
} dcpi_extremes;

/* Watches one power, given at every tick: of a feed, or the sum of several. Private inside. */
typedef struct {
    dcpi_event_queue queue;
    double threshold_w;
    double half_cycle_ms; /* over which the given power is a sliding mean */
    double power_w[DCPI_TICKS_KEPT];
    double square_v2[DCPI_TICKS_KEPT]; /* of all voltages, in the same half cycle; NaN: unknown */
    int64_t next_tick;
    int64_t first_tick;   /* since the last restart */
    int64_t window_first; /* what lies before belongs to an event that was reported */
    dcpi_extremes lows, highs;
    int32_t direction; /* of the event that goes on: 1 up, -1 down, 0 none */
    int64_t from_tick; /* the extreme that it is counted from */
    int64_t peak_tick; /* where it has come furthest */
    dcpi_event event;
} dcpi_power_watch;

/* Urms(1/2) of one voltage. */
typedef struct {
    double sum;        /* of the cells in the last half cycle; crosses zero with the fundamental */
    int32_t sum_cells; /* 0: not begun */
    double crossing;   /* cells since the restart; below 0: none yet */
    int32_t is_positive;
} dcpi_crossing_search;

/* One kind of voltage event over all voltages. */
typedef struct {
    int32_t is_active;
    dcpi_event event;
} dcpi_voltage_event;

typedef struct {
    double declared_v; /* 0: no voltage events */
    double dip_v, dip_end_v, swell_v, swell_end_v, interruption_v, interruption_end_v;
    double rms_v[DCPI_PHASES_MAX]; /* the last Urms(1/2); NaN: unknown */
    dcpi_crossing_search half_cycle[DCPI_PHASES_MAX];
    dcpi_voltage_event dip, swell, interruption;
} dcpi_voltage_watch;

/* DC of each voltage in V, then of each current in A. */
typedef struct {
    double recent[2 * DCPI_PHASES_MAX][DCPI_OFFSETS];
    double dc[2 * DCPI_PHASES_MAX]; /* 0 until so many are known */
    int64_t looked;
    int64_t next; /* cells since the restart */
} dcpi_offset_search;

typedef struct {
    int32_t phases;
    double sample_rate_hz;
    double frequency_hz; /* of the line, 42.5 to 69: nominal until dcpi_events_set_frequency */
    double first_tick_samples; /* where tick 0 lies after sample 0; 0 to one tick */
    double threshold_w;        /* a change of so much within 1 s is an event */
    double declared_v;         /* rms of one voltage channel, Udin; 0: no voltage events */
    double dip, swell, interruption, hysteresis; /* shares of it; 0: 0.9, 1.1, 0.05, 0.02 */
    dcpi_event_callback callback;                /* null: none */
    void *user;
} dcpi_events_config;

/* A detector over one feed, about 100 KB. Private inside; made by dcpi_events_init. */
typedef struct {
    dcpi_events_config config;
    dcpi_power_watch power;
    dcpi_voltage_watch voltage;
    dcpi_offset_search offsets;
    int64_t next_index; /* of the source's samples */
    int64_t gaps;       /* how often samples were missing */
    int64_t base_index; /* first sample since the restart */
    int64_t next_tick;
    int64_t sure_tick; /* before it the frequency may not be the nominal one */
    int32_t samples_per_cell;
    int32_t filled;     /* samples in the cell that is begun */
    int64_t cells_gone; /* cells since the restart that are kept no more */
    int32_t cells;      /* kept */
    double power_cell[DCPI_CELLS], square_sum_cell[DCPI_CELLS]; /* without the ripple of DC */
    double volt_cell[DCPI_PHASES_MAX][DCPI_CELLS];
    double ampere_cell[DCPI_PHASES_MAX][DCPI_CELLS];
    double square_cell[DCPI_PHASES_MAX][DCPI_CELLS];
} dcpi_events;

/* Consecutive samples: each array is [phase][sample], its rows `stride` samples apart. */
typedef struct {
    const void *voltage; /* V */
    const void *current; /* A, positive into the load */
    int32_t voltage_is_float32;
    int32_t current_is_float32;
    int64_t stride;      /* samples from one row to the next, at least `samples` */
    int64_t first_index; /* since the source's sample 0; a jump ahead is a gap */
    int32_t samples;     /* per channel; any number, a call takes O(samples) */
} dcpi_event_block;

/* Prepare a detector. Nothing is written unless DCPI_OK comes back. */
dcpi_status dcpi_events_init(dcpi_events *events, const dcpi_events_config *config);

/* The line frequency as measured last; DCPI_BAD_NOMINAL outside 42.5 to 69 Hz. */
dcpi_status dcpi_events_set_frequency(dcpi_events *events, double frequency_hz);

/* Take the next samples. Where some are missing, voltage events are cut and the power is unknown;
 * after a gap of more than a second its search begins anew, too. DCPI_BAD_BLOCK when they overlap
 * with what was taken. */
dcpi_status dcpi_events_feed(dcpi_events *events, const dcpi_event_block *block);

/* Forget what was seen, for instance where a recording begins again; events that go on are cut. */
dcpi_status dcpi_events_restart(dcpi_events *events);

/* Move up to `capacity` events out of the queue, oldest first; how many. */
int32_t dcpi_events_take(dcpi_events *events, dcpi_event *out, int32_t capacity);

/* The same for one power that comes as a mean over half a cycle, sliding by a tick: W, NaN where
 * unknown. A jump of `first_tick` is a gap. */
dcpi_status dcpi_power_watch_init(dcpi_power_watch *watch, double threshold_w, double half_cycle_ms,
                                  dcpi_event_callback callback, void *user);
dcpi_status dcpi_power_watch_feed(dcpi_power_watch *watch, int64_t first_tick,
                                  const double *power_w, int32_t count);
void dcpi_power_watch_restart(dcpi_power_watch *watch);
int32_t dcpi_power_watch_take(dcpi_power_watch *watch, dcpi_event *out, int32_t capacity);

/* The sliding mean at `count` ticks from `first_tick` on; NaN where it is unknown or kept no more.
 */
void dcpi_power_watch_read(const dcpi_power_watch *watch, int64_t first_tick, double *out,
                           int32_t count);

#ifdef __cplusplus
}
#endif

#endif
