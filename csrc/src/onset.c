/* Where a change of power began: the best of a family of ramps, as a sliding mean shows them.
 *
 * The mean over half a cycle is free of the ripple at twice the line frequency, and what it makes
 * of a step or a ramp is known exactly: so the knee is looked for in the mean, by least squares,
 * and not in the momentary power. */
#include "events_internal.h"
#include "ramp_fit.h"

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
static const double BETTER_SHARE = 0.7, NOISE_SHARE = 0.0005;

/* The same for a step whose phases do not share it alike. */
static const double RIPPLE_SHARE = 0.3;

/* A voltage's square beyond this share of what it was is a dip, not a tap changer. The power of a
 * load goes with the voltage's exponent 0 to 2: half of that here, and as much doubt. */
static const double SWAY_MAX = 0.1, FOLLOW_MAX = 0.75;

/* Places that are tried: coarsely, more of them for a ramp of which much was seen, then finely. */
enum { COARSE = 25, COARSE_LONG = 49, FINE = 9 };
static const double LONG_MS = 30, FINEST_MS = 0.1;
/* Ripple is over when the mean has the step whole; it is looked for in so many half cycles. */
static const double RIPPLE_HALF_CYCLES = 2;

/* Where ticks are left out, those so near to the knee are looked at once it is about known. */
enum { KNEE_TICKS = 20 };

/* Ticks before the departure that give the power before: long enough to average flicker, or fewer
 * where they fit better, because a tap changer has moved meanwhile: one period of 8.8 Hz. */
enum { BASE_MIN = 40, BASE_MAX = 600, BASE_SHORT = 114 };

/* How long after the departure the fit looks, in ticks: all of it first. */
static const int REACHES[] = {INT32_MAX, 240, 60, 15};
/* Durations of the ramp as shares of what was seen of it; the last is not over yet. */
static const double DURATIONS[] = {0, 0.25, 0.5, 2};

/* The power at a tick, the other way round for a fall. */
static double upward(const dcpi_change *change, int64_t tick) {
    double power = change->direction * dcpi_power_at(change->watch, tick);
    double square = dcpi_square_at(change->watch, tick);
    if (change->follow == 0 || !(square > 0))
        return power;
    return power * (1 - change->follow * (1 - change->square_v2 / square));
}

/* The best onset for one duration between two ticks: a coarse search, and finer ones about it. */
static dcpi_fit search(const dcpi_fit_window *seen, double from, double to, double duration,
                       int is_rippled) {
    dcpi_fit best = {from, NAN, 0, 0, 0, INFINITY};
    int count = to - from > LONG_MS ? COARSE_LONG : COARSE;
    double stride = (to - from) / (count - 1);
    for (;;) {
        for (int k = 0; k < count; k++) {
            double onset = from + k * stride;
            dcpi_fit one = is_rippled ? dcpi_fit_rippled_step(seen, onset)
                                      : dcpi_fit_ramp(seen, onset, duration * fmax(-onset, 0));
            one.share = duration;
            if (one.error < best.error)
                best = one;
        }
        if (stride < FINEST_MS)
            return best;
        from = best.onset_ms - stride;
        count = FINE;
        stride *= 2.0 / (FINE - 1);
    }
}

/* Points from `first` to `last`: each tick about the knee, of the others what there is room for. */
static void look(const dcpi_change *change, int64_t first, int64_t last, double knee_ms,
                 dcpi_fit_window *seen) {
    int64_t stride = (last - first) / (DCPI_FIT_POINTS - 1) + 1;
    if (stride > 1 && !isnan(knee_ms))
        stride = (last - first) / (DCPI_FIT_POINTS - 2 * KNEE_TICKS - 2) + 1;
    seen->count = 0;
    for (int64_t k = last; k >= first && seen->count < DCPI_FIT_POINTS; k--) {
        double power = upward(change, k), at_ms = (double)(k - last);
        if (isnan(power) || ((last - k) % stride && !(fabs(at_ms - knee_ms) <= KNEE_TICKS)))
            continue;
        seen->at_ms[seen->count] = at_ms;
        seen->swayed_w[seen->count] = dcpi_square_at(change->watch, k); /* for now */
        seen->power_w[seen->count++] = power;
    }
}

/* What the voltage does to each of the points, as against before the departure. */
static void sway(const dcpi_change *change, double departed_ms, dcpi_fit_window *seen) {
    double sum = 0, largest = 0;
    int count = 0;
    for (int k = 0; k < seen->count; k++)
        if (seen->at_ms[k] <= departed_ms) {
            sum += seen->swayed_w[k];
            count++;
        }
    double before = sum / fmax(count, 1), beyond = 0;
    for (int k = 0; k < seen->count; k++) {
        double share = 1 - before / seen->swayed_w[k];
        beyond += fabs(share) <= SWAY_MAX ? 0 : 1;
        seen->swayed_w[k] = seen->power_w[k] * share;
        largest = fmax(largest, fabs(seen->swayed_w[k]));
    }
    seen->is_swayed =
        before > 0 && !(beyond > 0) && largest > 4 * NOISE_SHARE * change->watch->threshold_w;
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
        double after = top - upward(change, tick), ahead = (double)(change->now - tick);
        double rate = after / ahead;
        double drift = (upward(change, tick) - upward(change, tick - span)) / (double)span;
        /* Of a step the mean has only a part yet: it goes on as it rises until it has all. */
        double coming = rate * fmax(0, change->watch->half_cycle_ms - ahead);
        if (after + coming >= MAIN_SHARE * (rise + coming) && drift < DRIFT_SHARE * rate &&
            rate - drift > sharpest) {
            sharpest = rate - drift;
            knee = tick;
        }
    }
    return knee;
}

/* The best of all durations between two ticks after the last one of the window. */
static dcpi_fit best_ramp(const dcpi_fit_window *seen, double from, double to, double noise_w) {
    double floor_w2 = noise_w * noise_w * seen->count;
    dcpi_fit best = {0, NAN, 0, 0, 0, INFINITY};
    for (size_t k = 0; k < sizeof DURATIONS / sizeof *DURATIONS; k++) {
        dcpi_fit one = search(seen, from, to, DURATIONS[k], 0);
        if (one.error + floor_w2 < BETTER_SHARE * (best.error + floor_w2))
            best = one;
    }
    if (-to > RIPPLE_HALF_CYCLES * seen->half_cycle_ms)
        return best;
    dcpi_fit one = search(seen, from, to, 0, 1);
    if (one.error + floor_w2 < RIPPLE_SHARE * (best.error + floor_w2))
        best = one;
    return best;
}

/* A window from `first` to `last`, ready to be fitted. */
static void open_window(const dcpi_change *change, int64_t first, int64_t last, double knee_ms,
                        int64_t departed, dcpi_fit_window *seen) {
    look(change, first, last, knee_ms, seen);
    sway(change, (double)(departed - last), seen);
    dcpi_fit_prepare(seen);
}

static dcpi_fit fit_from(const dcpi_change *change, int64_t base, int64_t departed, int64_t last) {
    const dcpi_power_watch *watch = change->watch;
    double seen_ms = (double)(last - departed);
    int64_t first = departed - base, oldest = dcpi_oldest_tick(watch);
    oldest = oldest > watch->window_first ? oldest : watch->window_first;
    first = first > oldest ? first : oldest;
    dcpi_fit_window seen = {.half_cycle_ms = watch->half_cycle_ms};
    open_window(change, first, last, NAN, departed, &seen);
    /* A ramp leaves the level later than it begins, noise may leave it sooner. */
    double from = -seen_ms - fmax(watch->half_cycle_ms + 2, 0.6 * seen_ms);
    double to = fmin(-0.5, -0.75 * seen_ms + 2), noise_w = NOISE_SHARE * watch->threshold_w;
    dcpi_fit best = best_ramp(&seen, from, to, noise_w);
    int is_swayed = fabs(best.follow - 0.5) <= FOLLOW_MAX;
    if (seen.is_swayed && !is_swayed) {
        seen.is_swayed = 0;
        dcpi_fit_prepare(&seen);
        best = best_ramp(&seen, from, to, noise_w);
    }
    if (last - first >= DCPI_FIT_POINTS && isfinite(best.error)) {
        open_window(change, first, last, best.onset_ms, departed, &seen);
        seen.is_swayed &= is_swayed;
        dcpi_fit_prepare(&seen);
        best = search(&seen, best.onset_ms - KNEE_TICKS, best.onset_ms + KNEE_TICKS, best.share, 0);
    }
    best.onset_ms += (double)last;
    best.error = seen.count ? sqrt(best.error / seen.count) : INFINITY;
    /* A line without a level before it fits any knee that is earlier still. */
    if (best.onset_ms < (double)first)
        best.error = INFINITY;
    return best;
}

static dcpi_fit fit_until(const dcpi_change *change, int64_t departed, int64_t last) {
    int64_t base = last - departed;
    base = base < BASE_MIN ? BASE_MIN : base > BASE_MAX ? BASE_MAX : base;
    dcpi_fit best = fit_from(change, base, departed, last);
    /* Of a slow ramp the knee lies long before the departure. */
    int64_t knee = isfinite(best.error) ? (int64_t)best.onset_ms : departed;
    int64_t shorter = departed - knee + BASE_SHORT;
    if (base > shorter) {
        dcpi_fit other = fit_from(change, shorter, departed, last);
        double noise = NOISE_SHARE * change->watch->threshold_w;
        if (other.error + noise < BETTER_SHARE * (best.error + noise))
            best = other;
    }
    return best;
}

/* The onset, and how the load follows the voltage */
static dcpi_onset find(const dcpi_change *change, dcpi_fit *best) {
    int64_t departed = departure(change);
    double low_w = upward(change, departed);
    if (isnan(low_w))
        low_w = upward(change, change->low_tick);
    dcpi_onset found = {(double)departed, change->direction * low_w};
    for (size_t k = 0; k < sizeof REACHES / sizeof *REACHES; k++) {
        int64_t last = change->now;
        if (last - departed > REACHES[k])
            last = departed + REACHES[k];
        *best = fit_until(change, departed, last);
        if (!isfinite(best->error))
            continue;
        found.onset_ms = best->onset_ms;
        found.before_w = change->direction * best->before_w;
        double rise_w = fabs(upward(change, last) - low_w);
        if (best->error <= FIT_SHARE * rise_w)
            break;
    }
    return found;
}

dcpi_onset dcpi_find_onset(const dcpi_change *change) {
    dcpi_fit best;
    dcpi_onset found = find(change, &best);
    if (!isfinite(best.error) || best.follow == 0 ||
        best.rise_w >= DEPARTURE_SHARE * change->watch->threshold_w)
        return found;
    /* It was the voltage that moved the power first: look again without. */
    dcpi_change steady = *change;
    steady.follow = best.follow;
    steady.square_v2 = dcpi_square_at(change->watch, (int64_t)best.onset_ms);
    return find(&steady, &best);
}
