/* Where a change of power began: the best of a family of ramps, as a sliding mean shows them.
 *
 * The mean over half a cycle is free of the ripple at twice the line frequency, and what it makes
 * of a step or a ramp is known exactly: so the knee is looked for in the mean, by least squares,
 * and not in the momentary power. */
#include "events_internal.h"

/* The power has left its lowest level (highest, for a fall) when it is beyond this share of the
 * threshold: more than flicker, noise and a tap of 1.25 % under 250 MW, which come before a change
 * without being its beginning; less than a step that counts. */
static const double DEPARTURE_SHARE = 0.15;

/* A change has a main part when so much of it comes at four times the rate of what lies before,
 * over a time as long, or of at least so many ticks. */
static const double MAIN_SHARE = 0.75, DRIFT_SHARE = 0.25;
enum { DRIFT_MIN = 20 };

/* How well a ramp must fit, rms, as a share of the rise; otherwise only the beginning is fitted. */
static const double FIT_SHARE = 0.03;
/* Another duration must fit clearly better than a shorter one, beyond noise of this share. */
static const double BETTER_SHARE = 0.7, NOISE_SHARE = 0.002;

enum { POINTS = 72, COARSE = 25, FINE = 13 };
/* Ticks before the departure that give the power before: long enough to average flicker, or fewer
 * where they fit better, because a tap changer has moved meanwhile: one period of 8.8 Hz. */
enum { BASE_MIN = 40, BASE_MAX = 600, BASE_SHORT = 114 };

/* How long after the departure the fit looks, in ticks: all of it first. */
static const int REACHES[] = {INT32_MAX, 240, 60, 15};
/* Durations of the ramp as shares of what was seen of it; the last is not over yet. */
static const double DURATIONS[] = {0, 0.25, 0.5, 2};

typedef struct {
    double at[POINTS]; /* ticks after `origin` */
    double power_w[POINTS];
    int count;
    double half_cycle; /* ticks */
} window;

typedef struct {
    double onset; /* ticks after the window's origin */
    double before_w, rise_w;
    double error; /* sum of squares */
} fit;

/* The power at a tick, the other way round for a fall. */
static double upward(const dcpi_change *change, int64_t tick) {
    return change->direction * dcpi_power_at(change->watch, tick);
}

/* The integral of a ramp from 0 to 1 that begins at 0. */
static double ramp_integral(double t, double duration) {
    if (t <= 0)
        return 0;
    return t >= duration ? t - 0.5 * duration : 0.5 * t * t / duration;
}

/* Least squares of a level and a ramp of known place and duration. */
static fit fit_ramp(const window *seen, double onset, double duration) {
    double shape[POINTS], s = 0, ss = 0, p = 0, sp = 0, n = seen->count;
    for (int k = 0; k < seen->count; k++) {
        double t = seen->at[k] - onset;
        shape[k] = (ramp_integral(t, duration) - ramp_integral(t - seen->half_cycle, duration)) /
                   seen->half_cycle;
        s += shape[k];
        ss += shape[k] * shape[k];
        p += seen->power_w[k];
        sp += shape[k] * seen->power_w[k];
    }
    double spread = ss - s * s / n;
    fit result = {onset, p / n, 0, INFINITY};
    if (!(spread > 0))
        return result;
    result.rise_w = (sp - s * p / n) / spread;
    result.before_w = (p - result.rise_w * s) / n;
    if (!(result.rise_w > 0))
        return result;
    result.error = 0;
    for (int k = 0; k < seen->count; k++) {
        double off = seen->power_w[k] - result.before_w - result.rise_w * shape[k];
        result.error += off * off;
    }
    return result;
}

/* The best onset for one duration between two ticks: a coarse search and a fine one. */
static fit search(const window *seen, double from, double to, double now, double duration) {
    fit best = {from, NAN, 0, INFINITY};
    double step = (to - from) / (COARSE - 1);
    for (int round = 0; round < 2; round++) {
        int count = round ? FINE : COARSE;
        double start = round ? best.onset - step : from;
        double stride = round ? 2 * step / (FINE - 1) : step;
        for (int k = 0; k < count; k++) {
            double onset = start + k * stride;
            fit one = fit_ramp(seen, onset, duration * fmax(now - onset, 0));
            if (one.error < best.error)
                best = one;
        }
    }
    return best;
}

/* Points from `first` to `last`, thinned out to what fits. */
static void look(const dcpi_change *change, int64_t first, int64_t last, window *seen) {
    int64_t stride = (last - first) / (POINTS - 1) + 1;
    seen->count = 0;
    for (int64_t k = last; k >= first && seen->count < POINTS; k -= stride) {
        double power = upward(change, k);
        if (isnan(power))
            continue;
        seen->at[seen->count] = (double)(k - last);
        seen->power_w[seen->count++] = power;
    }
}

/* The last tick at which the power had not left its extreme. */
static int64_t first_departure(const dcpi_change *change) {
    double level = upward(change, change->low_tick) + DEPARTURE_SHARE * change->watch->threshold_w;
    int64_t tick = change->now;
    while (tick > change->low_tick && !(upward(change, tick) <= level))
        tick--;
    return tick;
}

/* The same, but where most of the change is quicker than what went before, the knee between them: a
 * drift or a tap is not the beginning of the step after it. */
static int64_t departure(const dcpi_change *change) {
    int64_t first = first_departure(change), oldest = dcpi_oldest_tick(change->watch), knee = first;
    double top = upward(change, change->now), rise = top - upward(change, change->low_tick);
    double sharpest = 0;
    for (int64_t tick = change->now - 1; tick > first; tick--) {
        int64_t span = change->now - tick;
        span = span < DRIFT_MIN ? DRIFT_MIN : span;
        span = tick - span < oldest ? tick - oldest : span;
        double after = top - upward(change, tick);
        double rate = after / (double)(change->now - tick);
        double drift = (upward(change, tick) - upward(change, tick - span)) / (double)span;
        if (after >= MAIN_SHARE * rise && drift < DRIFT_SHARE * rate && rate - drift > sharpest) {
            sharpest = rate - drift;
            knee = tick;
        }
    }
    return knee;
}

static fit fit_from(const dcpi_change *change, int64_t base, int64_t departed, int64_t last) {
    const dcpi_power_watch *watch = change->watch;
    double seen_ms = (double)(last - departed);
    int64_t first = departed - base, oldest = dcpi_oldest_tick(watch);
    oldest = oldest > watch->window_first ? oldest : watch->window_first;
    window seen = {.half_cycle = watch->half_cycle_ms};
    look(change, first > oldest ? first : oldest, last, &seen);
    /* A ramp leaves the level later than it begins, noise may leave it sooner. */
    double from = -seen_ms - fmax(watch->half_cycle_ms + 2, 0.35 * seen_ms);
    double to = fmin(-0.5, -0.75 * seen_ms + 2);
    double noise = NOISE_SHARE * watch->threshold_w;
    double floor_w2 = noise * noise * seen.count;
    fit best = {0, NAN, 0, INFINITY};
    for (size_t k = 0; k < sizeof DURATIONS / sizeof *DURATIONS; k++) {
        fit one = search(&seen, from, to, 0, DURATIONS[k]);
        if (one.error + floor_w2 < BETTER_SHARE * (best.error + floor_w2))
            best = one;
    }
    best.onset += (double)last;
    best.error = seen.count ? sqrt(best.error / seen.count) : INFINITY;
    return best;
}

static fit fit_until(const dcpi_change *change, int64_t departed, int64_t last) {
    int64_t base = last - departed;
    base = base < BASE_MIN ? BASE_MIN : base > BASE_MAX ? BASE_MAX : base;
    fit best = fit_from(change, base, departed, last);
    if (base > BASE_SHORT) {
        fit other = fit_from(change, BASE_SHORT, departed, last);
        double noise = NOISE_SHARE * change->watch->threshold_w;
        if (other.error + noise < BETTER_SHARE * (best.error + noise))
            best = other;
    }
    return best;
}

dcpi_onset dcpi_find_onset(const dcpi_change *change) {
    int64_t departed = departure(change);
    double low_w = upward(change, departed);
    if (isnan(low_w))
        low_w = upward(change, change->low_tick);
    dcpi_onset found = {(double)departed, change->direction * low_w};
    for (size_t k = 0; k < sizeof REACHES / sizeof *REACHES; k++) {
        int64_t last = change->now;
        if (last - departed > REACHES[k])
            last = departed + REACHES[k];
        fit best = fit_until(change, departed, last);
        if (!isfinite(best.error))
            continue;
        found.onset_ms = best.onset;
        found.before_w = change->direction * best.before_w;
        double rise_w = fabs(upward(change, last) - low_w);
        if (best.error <= FIT_SHARE * rise_w)
            break;
    }
    return found;
}
