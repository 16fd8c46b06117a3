/* What the parts of the event detector share; not installed. */
#ifndef DCPI_EVENTS_INTERNAL_H
#define DCPI_EVENTS_INTERNAL_H

#include <math.h>
#include <string.h>

#include "dcpi_events.h"
#include "half_cycle.h"

/* How a power event looks while it is measured; the power is that of the ticks. */
typedef struct {
    const dcpi_power_watch *watch;
    int direction;    /* 1 up, -1 down */
    int64_t low_tick; /* the extreme that the change is counted from */
    int64_t now;
    double follow;    /* what is taken out of the power: this share of what the voltage does to a */
    double square_v2; /* load that follows its square, as against this */
} dcpi_change;

typedef struct {
    double onset_ms;
    double before_w;
} dcpi_onset;

/* A tick: W, and the sum of the voltages' mean squares in V^2, NaN where unknown. One that does not
 * follow the last is after a gap, with which the search begins anew. */
void dcpi_power_watch_take_at(dcpi_power_watch *watch, int64_t tick, double power_w,
                              double square_v2);

/* Where the change began, and the power before. */
dcpi_onset dcpi_find_onset(const dcpi_change *change);

void dcpi_event_queue_init(dcpi_event_queue *queue, dcpi_event_callback callback, void *user);
void dcpi_event_emit(dcpi_event_queue *queue, const dcpi_event *event);
int32_t dcpi_event_queue_take(dcpi_event_queue *queue, dcpi_event *out, int32_t capacity);

/* A new event with its number; all values NaN. */
dcpi_event dcpi_event_begin(dcpi_event_queue *queue, dcpi_event_kind kind);

void dcpi_voltage_watch_init(dcpi_voltage_watch *watch, const dcpi_events_config *config);

/* A new Urms(1/2) of one voltage, its cycle and the last sample needed in ms since tick 0. */
typedef struct {
    int32_t channel, channels;
    double rms_v, start_ms, end_ms, known_ms;
} dcpi_voltage_news;

void dcpi_voltage_watch_take(dcpi_voltage_watch *watch, dcpi_event_queue *queue,
                             const dcpi_voltage_news *news);

/* Samples are missing: what goes on is cut. */
void dcpi_voltage_watch_restart(dcpi_voltage_watch *watch, dcpi_event_queue *queue);

/* The new whole cells, from `first` to `end`: the ripple that DC makes is taken out of their power.
 */
void dcpi_offsets_take(dcpi_events *events, int32_t first, int32_t end, double half_cells);

static inline double dcpi_power_at(const dcpi_power_watch *watch, int64_t tick) {
    return watch->power_w[tick & (DCPI_TICKS_KEPT - 1)];
}

static inline double dcpi_square_at(const dcpi_power_watch *watch, int64_t tick) {
    return watch->square_v2[tick & (DCPI_TICKS_KEPT - 1)];
}

/* The oldest tick whose power is known. */
static inline int64_t dcpi_oldest_tick(const dcpi_power_watch *watch) {
    int64_t kept = watch->next_tick - DCPI_TICKS_KEPT;
    return kept > watch->first_tick ? kept : watch->first_tick;
}

#endif
