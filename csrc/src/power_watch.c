/* Changes of power within one second, from its sliding mean at every tick. One report an event. */
#include "events_internal.h"

/* An event is over when the power has moved, in its direction, less than 80 % of the threshold a
 * second over the last 100 ms: the slowest ramp that counts moves by the threshold. */
enum { SETTLE_TICKS = 100 };
static const double SETTLED_SHARE = 0.8 * SETTLE_TICKS / DCPI_CHANGE_TICKS;

/* Steps almost a second apart: by the time the mean has the last one whole, the first is more than
 * a second ago. So a change over a second and the mean's length counts too, if the mean was at rest
 * before it and is again, to a share of the threshold: otherwise part of it came earlier or later.
 */
enum { REST_TICKS = 3 };
static const double REST_SHARE = 0.015;

static const double LEVEL_SHARE = 0.02; /* of the threshold: the same level, but for noise */
enum { LEVEL_TICKS = 50 };              /* the power reached is a mean over so many */
static const double MADE_SHARE = 0.95;  /* a change is made when so much of it is */

/* When an event is over its onset is looked for again in this share of it, and corrected when it
 * proves to be later by so much: a step at the end of a drift that nearly counted by itself. So it
 * is when that share was made in so many half cycles: a step that the mean had not got whole. */
static const double KNOWN_SHARE = 0.9, LATER_MS = 30, QUICK_HALF_CYCLES = 2;

static int64_t front(const dcpi_extremes *extremes) {
    return extremes->tick[extremes->first];
}

static int64_t back(const dcpi_extremes *extremes) {
    return extremes->tick[(extremes->first + extremes->count - 1) % DCPI_EXTREMES];
}

/* Keep the ticks whose power is beyond all later ones: the front is the extreme. */
static void push(const dcpi_power_watch *watch, dcpi_extremes *extremes, int64_t tick, int sign) {
    double value = sign * dcpi_power_at(watch, tick);
    while (extremes->count > 0 && sign * dcpi_power_at(watch, back(extremes)) <= value)
        extremes->count--;
    extremes->tick[(extremes->first + extremes->count++) % DCPI_EXTREMES] = tick;
}

static void expire(dcpi_extremes *extremes, int64_t oldest) {
    while (extremes->count > 0 && front(extremes) < oldest) {
        extremes->first = (extremes->first + 1) % DCPI_EXTREMES;
        extremes->count--;
    }
}

static void take_in(dcpi_power_watch *watch, int64_t tick) {
    expire(&watch->lows, tick - DCPI_CHANGE_TICKS);
    expire(&watch->highs, tick - DCPI_CHANGE_TICKS);
    if (isnan(dcpi_power_at(watch, tick)))
        return;
    push(watch, &watch->lows, tick, -1);
    push(watch, &watch->highs, tick, 1);
}

/* Where the level began that the change has reached: what is before belongs to the change. */
static int64_t level_start(const dcpi_power_watch *watch) {
    double peak = dcpi_power_at(watch, watch->peak_tick);
    double slack = LEVEL_SHARE * watch->threshold_w;
    int64_t tick = watch->peak_tick, oldest = dcpi_oldest_tick(watch);
    oldest = oldest > watch->from_tick ? oldest : watch->from_tick;
    while (tick > oldest && fabs(peak - dcpi_power_at(watch, tick - 1)) < slack)
        tick--;
    return tick;
}

/* Only the level that was reached, and what comes after it, counts for the next event. */
static void rearm(dcpi_power_watch *watch) {
    watch->direction = 0;
    watch->window_first = level_start(watch);
    watch->lows.count = watch->highs.count = 0;
    for (int64_t k = watch->window_first; k < watch->next_tick; k++)
        take_in(watch, k);
}

static void begin(dcpi_power_watch *watch, int direction, int64_t from, int64_t tick) {
    dcpi_change change = {.watch = watch, .direction = direction, .low_tick = from, .now = tick};
    dcpi_onset onset = dcpi_find_onset(&change);
    watch->direction = direction;
    watch->from_tick = from;
    watch->peak_tick = tick;
    watch->event = dcpi_event_begin(&watch->queue, DCPI_EVENT_POWER);
    watch->event.onset_ms = onset.onset_ms;
    watch->event.detected_ms = (double)tick;
    watch->event.before_w = onset.before_w;
    watch->event.after_w = dcpi_power_at(watch, tick);
    dcpi_event_emit(&watch->queue, &watch->event);
}

/* The first tick, from the onset on, at which a share of the change was made. */
static int64_t made_tick(const dcpi_power_watch *watch, double share) {
    double before = watch->event.before_w, size = watch->event.after_w - before;
    int64_t tick = (int64_t)ceil(watch->event.onset_ms), oldest = dcpi_oldest_tick(watch);
    tick = tick < oldest ? oldest : tick;
    while (tick < watch->peak_tick && !((dcpi_power_at(watch, tick) - before) / size >= share))
        tick++;
    return tick;
}

/* Once the whole change is known its main part may begin later than it seemed. */
static void correct_onset(dcpi_power_watch *watch) {
    dcpi_change change = {.watch = watch,
                          .direction = watch->direction,
                          .low_tick = watch->from_tick,
                          .now = made_tick(watch, KNOWN_SHARE)};
    if (watch->from_tick < dcpi_oldest_tick(watch) || change.now <= watch->from_tick)
        return;
    double quick_ms = QUICK_HALF_CYCLES * watch->half_cycle_ms;
    int is_quick = (double)change.now - watch->event.onset_ms < quick_ms;
    dcpi_onset onset = dcpi_find_onset(&change);
    if ((is_quick || onset.onset_ms > watch->event.onset_ms + LATER_MS) &&
        onset.onset_ms <= watch->event.detected_ms) {
        watch->event.onset_ms = onset.onset_ms;
        watch->event.before_w = onset.before_w;
    }
}

static double level(const dcpi_power_watch *watch, int64_t tick) {
    double sum = 0;
    int count = 0;
    for (int64_t k = tick - LEVEL_TICKS + 1; k <= tick; k++) {
        double power = k < dcpi_oldest_tick(watch) ? NAN : dcpi_power_at(watch, k);
        if (!isnan(power)) {
            sum += power;
            count++;
        }
    }
    return count ? sum / count : NAN;
}

static void end(dcpi_power_watch *watch, double after_w) {
    watch->event.is_end = 1;
    watch->event.after_w = after_w;
    correct_onset(watch);
    /* The mean lags by half its length. */
    double made_ms = (double)made_tick(watch, MADE_SHARE) - 0.5 * watch->half_cycle_ms;
    watch->event.end_ms = fmax(watch->event.onset_ms, made_ms);
    watch->direction = 0;
    dcpi_event_emit(&watch->queue, &watch->event);
}

/* Whether the mean stood still up to this tick. */
static int is_at_rest(const dcpi_power_watch *watch, int64_t tick) {
    double moved = dcpi_power_at(watch, tick) - dcpi_power_at(watch, tick - REST_TICKS);
    return fabs(moved) < REST_SHARE * watch->threshold_w;
}

static void look_for_late_change(dcpi_power_watch *watch, int64_t tick) {
    int64_t end = tick - REST_TICKS;
    int64_t first = end - DCPI_CHANGE_TICKS - (int64_t)watch->half_cycle_ms;
    int64_t oldest = dcpi_oldest_tick(watch);
    oldest = oldest > watch->window_first ? oldest : watch->window_first;
    if (first - REST_TICKS < oldest)
        return;
    double change = dcpi_power_at(watch, end) - dcpi_power_at(watch, first);
    if (fabs(change) >= watch->threshold_w && is_at_rest(watch, first) && is_at_rest(watch, tick))
        begin(watch, change > 0 ? 1 : -1, first, tick);
}

static void look_for_change(dcpi_power_watch *watch, int64_t tick) {
    double power = dcpi_power_at(watch, tick);
    if (isnan(power))
        return;
    int64_t low = front(&watch->lows), high = front(&watch->highs);
    if (power - dcpi_power_at(watch, low) >= watch->threshold_w)
        begin(watch, 1, low, tick);
    else if (dcpi_power_at(watch, high) - power >= watch->threshold_w)
        begin(watch, -1, high, tick);
    else
        look_for_late_change(watch, tick);
}

static void follow(dcpi_power_watch *watch, int64_t tick) {
    double power = dcpi_power_at(watch, tick), peak = dcpi_power_at(watch, watch->peak_tick);
    if (tick - watch->peak_tick > DCPI_CHANGE_TICKS)
        dcpi_power_watch_restart(watch); /* nothing was known for so long */
    if (isnan(power) || !watch->direction)
        return;
    double beyond = watch->direction * (power - peak);
    if (beyond >= 0) {
        watch->peak_tick = tick;
    } else if (-beyond >= watch->threshold_w) {
        /* It turned round by as much: that is the next event. */
        int direction = -watch->direction;
        int64_t from = watch->peak_tick;
        end(watch, peak);
        rearm(watch);
        begin(watch, direction, from, tick);
        return;
    }
    int64_t earlier = tick - SETTLE_TICKS;
    if (earlier < watch->from_tick || isnan(dcpi_power_at(watch, earlier)))
        return;
    double moved = watch->direction * (power - dcpi_power_at(watch, earlier));
    if (moved < SETTLED_SHARE * watch->threshold_w) {
        end(watch, level(watch, tick));
        rearm(watch);
    }
}

void dcpi_power_watch_restart(dcpi_power_watch *watch) {
    if (watch->direction) {
        watch->event.is_end = watch->event.is_cut = 1;
        dcpi_event_emit(&watch->queue, &watch->event);
    }
    watch->direction = 0;
    watch->lows.count = watch->highs.count = 0;
    watch->first_tick = watch->window_first = watch->next_tick;
}

void dcpi_power_watch_take_at(dcpi_power_watch *watch, int64_t tick, double power_w,
                              double square_v2) {
    if (tick != watch->next_tick) {
        dcpi_power_watch_restart(watch);
        watch->next_tick = watch->first_tick = watch->window_first = tick;
    }
    watch->next_tick++;
    watch->power_w[tick & (DCPI_TICKS_KEPT - 1)] = isfinite(power_w) ? power_w : NAN;
    watch->square_v2[tick & (DCPI_TICKS_KEPT - 1)] = square_v2;
    if (watch->direction) {
        follow(watch, tick);
    } else {
        take_in(watch, tick);
        look_for_change(watch, tick);
    }
}

dcpi_status dcpi_power_watch_init(dcpi_power_watch *watch, double threshold_w, double half_cycle_ms,
                                  dcpi_event_callback callback, void *user) {
    if (!watch)
        return DCPI_BAD_POINTER;
    if (!(threshold_w > 0 && isfinite(threshold_w)))
        return DCPI_BAD_THRESHOLD;
    if (!(half_cycle_ms > 0 && half_cycle_ms <= SETTLE_TICKS))
        return DCPI_BAD_NOMINAL;
    memset(watch, 0, sizeof *watch);
    dcpi_event_queue_init(&watch->queue, callback, user);
    watch->threshold_w = threshold_w;
    watch->half_cycle_ms = half_cycle_ms;
    return DCPI_OK;
}

dcpi_status dcpi_power_watch_feed(dcpi_power_watch *watch, int64_t first_tick,
                                  const double *power_w, int32_t count) {
    if (!watch || !power_w)
        return DCPI_BAD_POINTER;
    if (count < 0 || first_tick < watch->next_tick || first_tick > (int64_t)1 << 52)
        return DCPI_BAD_BLOCK;
    for (int32_t k = 0; k < count; k++)
        dcpi_power_watch_take_at(watch, first_tick + k, power_w[k], NAN);
    return DCPI_OK;
}

int32_t dcpi_power_watch_take(dcpi_power_watch *watch, dcpi_event *out, int32_t capacity) {
    return dcpi_event_queue_take(&watch->queue, out, capacity);
}

void dcpi_power_watch_read(const dcpi_power_watch *watch, int64_t first_tick, double *out,
                           int32_t count) {
    for (int32_t k = 0; k < count; k++) {
        int64_t tick = first_tick + k;
        int is_kept = tick >= dcpi_oldest_tick(watch) && tick < watch->next_tick;
        out[k] = is_kept ? dcpi_power_at(watch, tick) : NAN;
    }
}
