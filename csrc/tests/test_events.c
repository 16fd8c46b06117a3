/* Changes of power and voltage events in closed-form samples, however they are cut into blocks. */
#include <string.h>

#include "check.h"
#include "dcpi_events.h"

#define TURN 6.283185307179586476925

enum { SEEN_MAX = 256 };

typedef struct {
    dcpi_event event[SEEN_MAX];
    int count;
} record;

/* A feed in closed form: power and voltage step once, each phase drawing its share. */
typedef struct {
    double rate_hz, frequency_hz;
    int32_t phases, samples;
    double before_w, after_w, step_s;
    double before_v, after_v, back_s; /* the voltage steps at step_s and back again */
    double first_share;               /* of phase 0; the others share the rest */
} recipe;

static const recipe PLAIN = {12800, 50, 3, 25600, 100e6, 160e6, 1, 19e3, 19e3, 9, 1.0 / 3};

static dcpi_events detector;

static double volts(const recipe *wave, int32_t phase, double t) {
    double rms = t >= wave->step_s && t < wave->back_s ? wave->after_v : wave->before_v;
    return sqrt(2) * rms * cos(TURN * (wave->frequency_hz * t - phase / 3.0) + 0.7);
}

/* A resistor-like load: the power is as the recipe says whatever the voltage is. */
static double amperes(const recipe *wave, int32_t phase, double t) {
    double power = t >= wave->step_s ? wave->after_w : wave->before_w;
    double rest = wave->phases > 1 ? (1 - wave->first_share) / (wave->phases - 1) : 0;
    double share = phase == 0 ? wave->first_share : rest;
    double angle = TURN * (wave->frequency_hz * t - phase / 3.0) + 0.7;
    return sqrt(2) * power * share / wave->before_v * cos(angle);
}

static double *rows_of(const recipe *wave, int is_current) {
    double *rows = malloc((size_t)(wave->phases * wave->samples) * sizeof *rows);
    for (int32_t k = 0; k < wave->phases; k++)
        for (int32_t n = 0; n < wave->samples; n++) {
            double t = n / wave->rate_hz;
            rows[k * wave->samples + n] = is_current ? amperes(wave, k, t) : volts(wave, k, t);
        }
    return rows;
}

static void remember(const dcpi_event *event, void *user) {
    record *seen = user;
    if (seen->count < SEEN_MAX)
        seen->event[seen->count++] = *event;
}

static dcpi_events_config config_of(const recipe *wave, record *seen) {
    dcpi_events_config config = {.phases = wave->phases,
                                 .sample_rate_hz = wave->rate_hz,
                                 .frequency_hz = wave->frequency_hz,
                                 .threshold_w = 50e6,
                                 .callback = remember,
                                 .user = seen};
    return config;
}

/* Sub-blocks of the whole array, without a copy, skipping `gap` samples once at `gap_at`. */
static void feed(const recipe *wave, const double *voltage, const double *current, int32_t size,
                 int32_t gap_at, int32_t gap) {
    for (int32_t from = 0; from < wave->samples;) {
        int32_t left = wave->samples - from;
        dcpi_event_block block = {.voltage = voltage + from,
                                  .current = current + from,
                                  .stride = wave->samples,
                                  .first_index = from,
                                  .samples = left < size ? left : size};
        CHECK(dcpi_events_feed(&detector, &block) == DCPI_OK);
        from += block.samples;
        if (gap && from >= gap_at) {
            from += gap;
            gap = 0;
        }
    }
}

static record events_of(const recipe *wave, double declared_v, int32_t size) {
    static record seen;
    double *voltage = rows_of(wave, 0), *current = rows_of(wave, 1);
    dcpi_events_config config = config_of(wave, &seen);
    config.declared_v = declared_v;
    seen.count = 0;
    CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
    feed(wave, voltage, current, size, 0, 0);
    free(voltage);
    free(current);
    return seen;
}

static void a_step_is_one_event_with_its_onset(void) {
    record seen = events_of(&PLAIN, 0, 64);
    CHECK(seen.count == 2);
    CHECK(!seen.event[0].is_end && seen.event[1].is_end && !seen.event[1].is_cut);
    CHECK(seen.event[0].number == 1 && seen.event[1].number == 1);
    CHECK(seen.event[0].kind == DCPI_EVENT_POWER);
    CHECK_NEAR(seen.event[0].onset_ms, 1000, 0.3);
    CHECK(seen.event[0].detected_ms > 1000 && seen.event[0].detected_ms < 1010);
    CHECK_NEAR(seen.event[1].before_w, 100e6, 1e5);
    CHECK_NEAR(seen.event[1].after_w, 160e6, 1e4);
    CHECK_NEAR(seen.event[1].end_ms, 1000, 6);
    dcpi_event out[4];
    CHECK(dcpi_events_take(&detector, out, 1) == 1 && !out[0].is_end);
    CHECK(dcpi_events_take(&detector, out, 4) == 1 && out[0].is_end);
    CHECK(dcpi_events_take(&detector, out, 4) == 0);
}

static void a_fall_is_one_event_too(void) {
    recipe fall = PLAIN;
    fall.after_w = 20e6;
    record seen = events_of(&fall, 0, 64);
    CHECK(seen.count == 2);
    CHECK_NEAR(seen.event[0].onset_ms, 1000, 0.3);
    CHECK_NEAR(seen.event[1].after_w - seen.event[1].before_w, -80e6, 1e5);
}

static void less_than_the_threshold_is_none(void) {
    recipe small = PLAIN;
    small.after_w = 149e6;
    CHECK(events_of(&small, 0, 64).count == 0);
}

static void blocks_may_have_any_size(void) {
    static const int32_t sizes[] = {1, 7, 63, 257, 1280, 25600};
    record whole = events_of(&PLAIN, 19e3, 64);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        record seen = events_of(&PLAIN, 19e3, sizes[k]);
        CHECK(seen.count == whole.count);
        CHECK_NEAR(seen.event[0].onset_ms, whole.event[0].onset_ms, 1e-6);
        CHECK_NEAR(seen.event[1].after_w, whole.event[1].after_w, 1);
    }
}

static void every_rate_gives_the_same_onset(void) {
    static const double rates[] = {400, 1000, 4096, 4800, 7200.5, 25600, 51200, 1000000};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        recipe wave = PLAIN;
        wave.rate_hz = rates[k];
        wave.step_s = 0.4;
        wave.samples = (int32_t)(0.7 * rates[k]);
        record seen = events_of(&wave, 0, 64);
        CHECK(seen.count == 2);
        CHECK_NEAR(seen.event[0].onset_ms, 400, 0.3 + 1000 / rates[k]);
    }
}

/* One phase alone ripples fully; off nominal, only a half cycle of the true length removes it. */
static void the_half_cycle_follows_the_frequency(void) {
    recipe single = PLAIN;
    single.phases = 1;
    single.first_share = 1;
    single.frequency_hz = 55.3;
    single.before_w = single.after_w = 700e6;
    CHECK(events_of(&single, 0, 64).count == 0);
    double *voltage = rows_of(&single, 0), *current = rows_of(&single, 1);
    static record seen;
    dcpi_events_config config = config_of(&single, &seen);
    config.frequency_hz = 50;
    CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
    feed(&single, voltage, current, 64, 0, 0);
    CHECK(seen.count > 0);
    seen.count = 0;
    CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
    CHECK(dcpi_events_set_frequency(&detector, 55.3) == DCPI_OK);
    feed(&single, voltage, current, 64, 0, 0);
    CHECK(seen.count == 0);
    CHECK(dcpi_events_set_frequency(&detector, NAN) == DCPI_BAD_NOMINAL);
    free(voltage);
    free(current);
}

/* A single phase of ten times the threshold and more, until its first window has been read. */
static void an_unknown_frequency_makes_no_event(void) {
    static const double lines[] = {47.6, 49, 51.3, 52.4};
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        recipe single = PLAIN;
        single.phases = 1;
        single.first_share = 1;
        single.frequency_hz = lines[k];
        single.before_w = single.after_w = 700e6;
        double *voltage = rows_of(&single, 0), *current = rows_of(&single, 1);
        static record seen;
        dcpi_events_config config = config_of(&single, &seen);
        seen.count = 0;
        config.frequency_hz = 50;
        CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
        dcpi_event_block block = {voltage, current, 0, 0, single.samples, 0, 1536}; /* 120 ms */
        CHECK(dcpi_events_feed(&detector, &block) == DCPI_OK);
        CHECK(dcpi_events_set_frequency(&detector, lines[k]) == DCPI_OK);
        block.voltage = voltage + block.samples;
        block.current = current + block.samples;
        block.first_index = block.samples;
        block.samples = single.samples - block.samples;
        CHECK(dcpi_events_feed(&detector, &block) == DCPI_OK);
        CHECK(seen.count == 0);
        free(voltage);
        free(current);
    }
}

static void a_short_gap_hides_no_step(void) {
    static const int32_t gaps[] = {1, 128, 640, 6400}; /* up to 0.5 s */
    for (size_t k = 0; k < sizeof gaps / sizeof *gaps; k++)
        for (int after = 0; after < 2; after++) {
            static record seen;
            double *voltage = rows_of(&PLAIN, 0), *current = rows_of(&PLAIN, 1);
            dcpi_events_config config = config_of(&PLAIN, &seen);
            seen.count = 0;
            CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
            /* The step is missing, or what comes when it has just been seen. */
            feed(&PLAIN, voltage, current, 64, after ? 13056 : 12736, gaps[k]);
            CHECK(detector.gaps == 1 && seen.count == 2);
            CHECK(seen.event[1].is_end && !seen.event[1].is_cut);
            CHECK_NEAR(seen.event[1].after_w - seen.event[1].before_w, 60e6, 1e5);
            free(voltage);
            free(current);
        }
}

static void a_long_gap_is_no_step(void) {
    static record seen;
    recipe wave = PLAIN;
    wave.samples = 38400;
    double *voltage = rows_of(&wave, 0), *current = rows_of(&wave, 1);
    dcpi_events_config config = config_of(&wave, &seen);
    seen.count = 0;
    CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
    feed(&wave, voltage, current, 64, 12736, 12928);
    CHECK(seen.count == 0 && detector.gaps == 1);
    /* Samples that are lost while an event goes on cut it. */
    CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
    feed(&wave, voltage, current, 64, 12800 + 256, 12928);
    CHECK(seen.count == 2 && seen.event[1].is_end && seen.event[1].is_cut);
    CHECK(isnan(seen.event[1].end_ms));
    seen.count = 0;
    config.declared_v = 25e3; /* a dip that goes on is cut by a short one, too */
    CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
    feed(&wave, voltage, current, 64, 6400, 640);
    CHECK(seen.event[0].kind == DCPI_EVENT_DIP && seen.event[1].is_cut && !seen.event[2].is_end);
    free(voltage);
    free(current);
}

static void a_sample_that_is_no_number_hides_no_step(void) {
    static const double values[] = {NAN, INFINITY, -INFINITY, 1e300, 1e200, 1e16};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        static record seen;
        double *voltage = rows_of(&PLAIN, 0), *current = rows_of(&PLAIN, 1);
        (k % 2 ? voltage : current)[12805] = values[k];
        dcpi_events_config config = config_of(&PLAIN, &seen);
        config.declared_v = 19e3;
        seen.count = 0;
        CHECK(dcpi_events_init(&detector, &config) == DCPI_OK);
        feed(&PLAIN, voltage, current, 64, 0, 0);
        CHECK(seen.count == 2);
        CHECK_NEAR(seen.event[1].after_w - seen.event[1].before_w, 60e6, 1e5);
        free(voltage);
        free(current);
    }
}

static void a_dip_has_its_residual_voltage_and_duration(void) {
    recipe dip = PLAIN;
    dip.after_w = dip.before_w;
    dip.after_v = 0.6 * dip.before_v;
    dip.back_s = 1.2;
    record seen = events_of(&dip, 19e3, 64);
    CHECK(seen.count == 2 && seen.event[0].kind == DCPI_EVENT_DIP);
    CHECK(seen.event[1].is_end && seen.event[1].channels == 7);
    CHECK_NEAR(seen.event[1].extreme_v, 0.6 * 19e3, 20);
    /* Within a cycle at either end: the value is one over a cycle. */
    CHECK_NEAR(seen.event[1].onset_ms, 1000, 20);
    CHECK_NEAR(seen.event[1].end_ms, 1200, 25);
    CHECK(events_of(&dip, 0, 64).count == 0);
}

static void a_swell_and_an_interruption_are_told_apart(void) {
    recipe wave = PLAIN;
    wave.after_w = wave.before_w;
    wave.back_s = 1.3;
    wave.after_v = 1.2 * wave.before_v;
    record seen = events_of(&wave, 19e3, 64);
    CHECK(seen.count == 2 && seen.event[1].kind == DCPI_EVENT_SWELL);
    CHECK_NEAR(seen.event[1].extreme_v, 1.2 * 19e3, 20);
    wave.after_v = 0;
    seen = events_of(&wave, 19e3, 64);
    int kinds[5] = {0};
    for (int k = 0; k < seen.count; k++)
        kinds[seen.event[k].kind] += seen.event[k].is_end;
    /* The power is gone and comes again, and each interruption begins as a dip. */
    CHECK(kinds[DCPI_EVENT_POWER] == 2 && kinds[DCPI_EVENT_DIP] == 1);
    CHECK(kinds[DCPI_EVENT_INTERRUPTION] == 1 && kinds[DCPI_EVENT_SWELL] == 0);
}

static void a_level_between_the_thresholds_ends_no_dip(void) {
    recipe wave = PLAIN;
    wave.after_w = wave.before_w;
    wave.before_v = 0.91 * 19e3; /* above the dip's threshold, within the hysteresis */
    wave.after_v = 0.85 * 19e3;
    wave.back_s = 1.2;
    record seen = events_of(&wave, 19e3, 64);
    CHECK(seen.count == 1 && !seen.event[0].is_end);
}

/* A mean over half a cycle of a power that rises by `steps` W at these ms on top of a drift. */
static record watched(const double *at_ms, const double *steps, int count, double drift_w_per_ms) {
    static dcpi_power_watch watch;
    static record seen;
    seen.count = 0;
    CHECK(dcpi_power_watch_init(&watch, 50e6, 10, remember, &seen) == DCPI_OK);
    for (int64_t tick = 0; tick < 5000; tick++) {
        double power = 60e6 + drift_w_per_ms * (double)tick;
        for (int k = 0; k < count; k++)
            power += steps[k] * fmax(0, fmin(1, ((double)tick - at_ms[k]) / 10));
        CHECK(dcpi_power_watch_feed(&watch, tick, &power, 1) == DCPI_OK);
    }
    return seen;
}

static void a_drift_is_not_where_a_step_begins(void) {
    record seen = watched((double[]){3000}, (double[]){60e6}, 1, 10e3);
    CHECK(seen.count == 2);
    CHECK_NEAR(seen.event[0].onset_ms, 3000, 1);
    CHECK_NEAR(seen.event[1].after_w - seen.event[1].before_w, 60e6, 1.5e6);
    /* Half of the change has not come when this one is seen: it is corrected when it is over. */
    seen = watched((double[]){3000, 3020}, (double[]){36e6, 39e6}, 2, 20e3);
    CHECK(seen.count == 2 && seen.event[0].onset_ms < 2900);
    CHECK_NEAR(seen.event[1].onset_ms, 3000, 1);
}

static void a_drift_alone_is_no_event(void) {
    CHECK(watched(NULL, NULL, 0, 45e3).count == 0);
}

static void an_onset_is_not_before_what_was_seen(void) {
    static dcpi_power_watch watch;
    static record seen;
    for (double rate = 52e3; rate < 400e3; rate *= 1.5) {
        seen.count = 0;
        CHECK(dcpi_power_watch_init(&watch, 50e6, 10, remember, &seen) == DCPI_OK);
        for (int64_t tick = 700; tick < 2000; tick++) {
            double power = 60e6 + rate * (double)tick + 2e4 * sin(1.7 * (double)tick);
            CHECK(dcpi_power_watch_feed(&watch, tick, &power, 1) == DCPI_OK);
        }
        CHECK(seen.count == 1 && seen.event[0].onset_ms >= 700);
    }
}

static void small_steps_add_up_from_the_first_one_on(void) {
    const double at_ms[] = {3000, 3300, 3600}, steps[] = {20e6, 20e6, 20e6};
    record seen = watched(at_ms, steps, 3, 0);
    CHECK(seen.count == 2);
    CHECK_NEAR(seen.event[0].onset_ms, 3000, 1);
    CHECK_NEAR(seen.event[1].after_w - seen.event[1].before_w, 60e6, 1e5);
}

static void a_second_is_a_second(void) {
    const double steps[] = {30e6, 30e6};
    for (double apart_ms = 985; apart_ms < 1000; apart_ms += 0.7) {
        const double at_ms[] = {3000, 3000 + apart_ms};
        CHECK(watched(at_ms, steps, 2, 0).count == 2 || apart_ms > 998.5);
    }
    for (double apart_ms = 1002; apart_ms < 1020; apart_ms += 0.7) {
        const double at_ms[] = {3000, 3000 + apart_ms};
        CHECK(watched(at_ms, steps, 2, 0).count == 0);
    }
}

static void a_power_that_turns_round_is_two_events(void) {
    const double at_ms[] = {3000, 3030}, steps[] = {60e6, -60e6};
    record seen = watched(at_ms, steps, 2, 0);
    CHECK(seen.count == 4 && seen.event[0].number == 1 && seen.event[3].number == 2);
    CHECK_NEAR(seen.event[2].onset_ms, 3030, 1);
    CHECK_NEAR(seen.event[3].after_w - seen.event[3].before_w, -60e6, 1e5);
}

/* Small ones count from the level that the event before them reached, as soon as it is over. */
static void an_event_right_after_another_is_one_of_its_own(void) {
    record seen = watched((double[]){3000, 3200}, (double[]){60e6, 60e6}, 2, 0);
    CHECK(seen.count == 4 && seen.event[2].number == 2 && seen.event[2].detected_ms < 3210);
    CHECK_NEAR(seen.event[2].onset_ms, 3200, 1);
    CHECK_NEAR(seen.event[2].before_w, 120e6, 1e5);
    const double at_ms[] = {3000, 3200, 3300, 3400}, steps[] = {60e6, 19e6, 19e6, 19e6};
    seen = watched(at_ms, steps, 4, 0);
    CHECK(seen.count == 4 && seen.event[2].detected_ms < 3410);
    CHECK_NEAR(seen.event[2].onset_ms, 3200, 1);
    /* What was reported is not reported again. */
    CHECK(watched(at_ms, steps, 3, 0).count == 2);
}

static void a_full_queue_counts_what_is_lost(void) {
    static dcpi_power_watch watch;
    static dcpi_event out[DCPI_EVENT_QUEUE];
    double power[100];
    CHECK(dcpi_power_watch_init(&watch, 50e6, 10, NULL, NULL) == DCPI_OK);
    for (int64_t k = 0; k < 50; k++) {
        for (int n = 0; n < 100; n++)
            power[n] = k % 2 ? 80e6 : 0;
        CHECK(dcpi_power_watch_feed(&watch, 100 * k, power, 100) == DCPI_OK);
    }
    CHECK(watch.queue.count == DCPI_EVENT_QUEUE && watch.queue.lost > 0);
    CHECK(dcpi_power_watch_take(&watch, out, DCPI_EVENT_QUEUE) == DCPI_EVENT_QUEUE);
    CHECK(out[0].number == 1 && watch.queue.numbered == 49);
    CHECK(watch.queue.lost + DCPI_EVENT_QUEUE == 2 * 49 - 1);
}

static void bad_arguments_are_told_apart(void) {
    recipe wave = PLAIN;
    const dcpi_events_config good = config_of(&wave, NULL);
    dcpi_events_config bad = good;
    bad.phases = 4;
    CHECK(dcpi_events_init(&detector, &bad) == DCPI_BAD_PHASES);
    bad = good;
    bad.sample_rate_hz = NAN;
    CHECK(dcpi_events_init(&detector, &bad) == DCPI_BAD_RATE);
    bad = good;
    bad.frequency_hz = 70;
    CHECK(dcpi_events_init(&detector, &bad) == DCPI_BAD_NOMINAL);
    bad = good;
    bad.threshold_w = -1;
    CHECK(dcpi_events_init(&detector, &bad) == DCPI_BAD_THRESHOLD);
    bad = good;
    bad.declared_v = 230;
    bad.dip = 1.2;
    CHECK(dcpi_events_init(&detector, &bad) == DCPI_BAD_THRESHOLD);
    bad = good;
    bad.first_tick_samples = 13;
    CHECK(dcpi_events_init(&detector, &bad) == DCPI_BAD_TICK);
    CHECK(dcpi_events_init(NULL, &good) == DCPI_BAD_POINTER);
    CHECK(dcpi_events_init(&detector, &good) == DCPI_OK);
    double rows[12] = {0};
    dcpi_event_block block = {.voltage = rows, .current = rows, .stride = 4, .samples = 4};
    CHECK(dcpi_events_feed(&detector, &block) == DCPI_OK);
    CHECK(dcpi_events_feed(&detector, &block) == DCPI_BAD_BLOCK);
    block.first_index = 4;
    block.stride = 3;
    CHECK(dcpi_events_feed(&detector, &block) == DCPI_BAD_BLOCK);
    block.stride = 4;
    block.current = (const char *)rows + 1;
    CHECK(dcpi_events_feed(&detector, &block) == DCPI_BAD_POINTER);
    CHECK(strlen(dcpi_status_text(DCPI_BAD_BLOCK)) > 0);
}

int main(void) {
    RUN(a_step_is_one_event_with_its_onset);
    RUN(a_fall_is_one_event_too);
    RUN(less_than_the_threshold_is_none);
    RUN(blocks_may_have_any_size);
    RUN(every_rate_gives_the_same_onset);
    RUN(the_half_cycle_follows_the_frequency);
    RUN(an_unknown_frequency_makes_no_event);
    RUN(a_short_gap_hides_no_step);
    RUN(a_long_gap_is_no_step);
    RUN(a_sample_that_is_no_number_hides_no_step);
    RUN(a_dip_has_its_residual_voltage_and_duration);
    RUN(a_swell_and_an_interruption_are_told_apart);
    RUN(a_level_between_the_thresholds_ends_no_dip);
    RUN(a_drift_is_not_where_a_step_begins);
    RUN(a_drift_alone_is_no_event);
    RUN(an_onset_is_not_before_what_was_seen);
    RUN(small_steps_add_up_from_the_first_one_on);
    RUN(a_second_is_a_second);
    RUN(a_power_that_turns_round_is_two_events);
    RUN(an_event_right_after_another_is_one_of_its_own);
    RUN(a_full_queue_counts_what_is_lost);
    RUN(bad_arguments_are_told_apart);
    return 0;
}
