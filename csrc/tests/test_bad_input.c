/* Bad arguments give a status and touch nothing; bad samples give flags, never a crash. */
#include <float.h>
#include <string.h>

#include "check.h"
#include "waves.h"

static dcpi_workspace workspace;

static dcpi_status status_of(const dcpi_window *window) {
    dcpi_analysis analysis, before;
    memset(&analysis, 0xa5, sizeof analysis);
    before = analysis;
    dcpi_status status = dcpi_analyze(window, &workspace, &analysis);
    if (status != DCPI_OK)
        CHECK(memcmp(&analysis, &before, sizeof analysis) == 0);
    CHECK(dcpi_status_text(status)[0] != '\0');
    return status;
}

static void bad_arguments_are_told_apart_and_write_nothing(void) {
    double *voltage = voltage_of(&PLAIN), *current = current_of(&PLAIN);
    const dcpi_window good = window_of(&PLAIN, voltage, current);
    dcpi_window bad = good;
    CHECK(status_of(&good) == DCPI_OK);
    bad.voltage = NULL;
    CHECK(status_of(&bad) == DCPI_BAD_POINTER);
    bad = good;
    bad.current = (const char *)current + 1;
    CHECK(status_of(&bad) == DCPI_BAD_POINTER);
    bad = good;
    for (int32_t phases = -1; phases <= 4; phases += phases == 0 ? 4 : 1) {
        bad.phases = phases;
        CHECK(status_of(&bad) == DCPI_BAD_PHASES);
    }
    static const double rates[] = {0, -1, 399, 2e6, INFINITY, NAN};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        bad = good;
        bad.sample_rate_hz = rates[k];
        CHECK(status_of(&bad) == DCPI_BAD_RATE);
    }
    static const int32_t lengths[] = {0, -5, INT32_MAX, DCPI_SAMPLES_MAX + 1, 25601};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        bad = good;
        bad.samples = lengths[k];
        CHECK(status_of(&bad) == DCPI_BAD_LENGTH);
    }
    bad = good;
    bad.nominal_hz = 400;
    CHECK(status_of(&bad) == DCPI_BAD_NOMINAL);
    bad = good;
    bad.skew_s[1] = 0.02;
    CHECK(status_of(&bad) == DCPI_BAD_SKEW);
    bad = good;
    bad.demand_current_a = NAN;
    CHECK(status_of(&bad) == DCPI_BAD_DEMAND);
    CHECK(dcpi_analyze(NULL, &workspace, NULL) == DCPI_BAD_POINTER);
    free(voltage);
    free(current);
}

static dcpi_analysis with_sample(double value, int32_t at, int is_current) {
    double *voltage = voltage_of(&PLAIN), *current = current_of(&PLAIN);
    (is_current ? current : voltage)[at] = value;
    dcpi_window window = window_of(&PLAIN, voltage, current);
    dcpi_analysis analysis;
    CHECK(dcpi_analyze(&window, &workspace, &analysis) == DCPI_OK);
    free(voltage);
    free(current);
    return analysis;
}

static void a_bad_sample_voids_its_phase_only(void) {
    static const double values[] = {NAN, INFINITY, -INFINITY, 1e300, -1e16};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        for (int32_t at = 0; at < 1280; at += 1279) {
            for (int is_current = 0; is_current < 2; is_current++) {
                dcpi_analysis analysis = with_sample(values[k], 1280 + at, is_current);
                CHECK(analysis.flags == DCPI_NOT_FINITE);
                CHECK(isnan(analysis.phase[1].p_mean_w) && isnan(analysis.phase[1].v_rms));
                CHECK_NEAR(analysis.phase[0].p_w, 2300 * sqrt(0.75), 1e-3);
                CHECK_NEAR(analysis.phase[2].v_rms, 230, 1e-4);
                CHECK_NEAR(analysis.frequency_hz, 50, 1e-6);
                CHECK(isnan(analysis.total.p_w));
            }
        }
    }
}

static void tiny_values_are_no_signal_and_no_crash(void) {
    wave_recipe tiny = PLAIN;
    tiny.v_rms = 1e-310;
    tiny.i_rms = DBL_TRUE_MIN;
    double *voltage = voltage_of(&tiny), *current = current_of(&tiny);
    dcpi_window window = window_of(&tiny, voltage, current);
    dcpi_analysis analysis;
    CHECK(dcpi_analyze(&window, &workspace, &analysis) == DCPI_OK);
    CHECK(analysis.flags == (DCPI_NO_SIGNAL | DCPI_NO_CURRENT));
    CHECK(analysis.total.p_w == 0);
    free(voltage);
    free(current);
}

static void every_short_window_ends_well(void) {
    for (int32_t samples = 1; samples <= 300; samples++) {
        wave_recipe brief = PLAIN;
        brief.rate_hz = 2000;
        brief.samples = samples;
        double *voltage = voltage_of(&brief), *current = current_of(&brief);
        dcpi_window window = window_of(&brief, voltage, current);
        dcpi_analysis analysis;
        CHECK(dcpi_analyze(&window, &workspace, &analysis) == DCPI_OK);
        int is_short = samples < 3 / 42.5 * 2000;
        CHECK(!!(analysis.flags & DCPI_TOO_SHORT) == is_short);
        CHECK(isnan(analysis.phase[0].v_rms) == is_short);
        CHECK(!isnan(analysis.phase[0].p_mean_w));
        free(voltage);
        free(current);
    }
}

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Any bit pattern is a float: NaN, infinities, denormals and huge values among them. */
static void any_bit_pattern_ends_well(void) {
    uint32_t state = 2463534242u;
    for (int round = 0; round < 300; round++) {
        int32_t samples = 1 + (int32_t)(next_random(&state) % 700);
        int32_t phases = 1 + (int32_t)(next_random(&state) % 3);
        size_t cells = (size_t)(samples * phases);
        float *voltage = malloc(cells * sizeof *voltage),
              *current = malloc(cells * sizeof *current);
        uint32_t mask = round % 3 == 0 ? 0xffffffffu : 0xbfffffffu;
        for (size_t k = 0; k < cells; k++) {
            uint32_t bits = next_random(&state) & mask;
            memcpy(voltage + k, &bits, sizeof bits);
            bits = next_random(&state) & mask;
            memcpy(current + k, &bits, sizeof bits);
        }
        dcpi_window window = {voltage, current,      1,   1, phases, samples, 4800, 50,
                              1,       {1e-5, 0, 0}, NULL};
        dcpi_analysis analysis;
        CHECK(dcpi_analyze(&window, &workspace, &analysis) == DCPI_OK);
        free(voltage);
        free(current);
    }
}

/* Windows that overlap by half in one row, so that a wrong step shows. */
static void many_windows_read_as_each_alone(void) {
    enum { WINDOWS = 3, STRIDE = 640 };
    wave_recipe whole = PLAIN;
    whole.phases = 1;
    whole.samples = 1280 + (WINDOWS - 1) * STRIDE;
    whole.frequency_hz = 51.7;
    double *voltage = voltage_of(&whole), *current = current_of(&whole);
    dcpi_window window = window_of(&whole, voltage, current);
    window.samples = 1280;
    static dcpi_analysis many[WINDOWS], alone;
    CHECK(dcpi_analyze_many(&window, WINDOWS, STRIDE, STRIDE, &workspace, many) == DCPI_OK);
    for (int k = 0; k < WINDOWS; k++) {
        CHECK(dcpi_analyze(&window, &workspace, &alone) == DCPI_OK);
        CHECK(memcmp(many + k, &alone, sizeof alone) == 0);
        window.voltage = (const double *)window.voltage + STRIDE;
        window.current = (const double *)window.current + STRIDE;
    }
    alone.frequency_hz = 1;
    CHECK(dcpi_analyze_many(&window, 0, 0, 0, &workspace, &alone) == DCPI_OK);
    CHECK(dcpi_analyze_many(&window, -1, 0, 0, &workspace, &alone) == DCPI_BAD_COUNT);
    CHECK(dcpi_analyze_many(&window, 1, 0, 0, NULL, &alone) == DCPI_BAD_POINTER);
    CHECK(alone.frequency_hz == 1);
    free(voltage);
    free(current);
}

int main(void) {
    RUN(bad_arguments_are_told_apart_and_write_nothing);
    RUN(a_bad_sample_voids_its_phase_only);
    RUN(tiny_values_are_no_signal_and_no_crash);
    RUN(every_short_window_ends_well);
    RUN(any_bit_pattern_ends_well);
    RUN(many_windows_read_as_each_alone);
    return 0;
}
