/* Closed forms: what a window of known content must read. */
#include <string.h>

#include "check.h"
#include "waves.h"

static dcpi_workspace workspace;

static dcpi_analysis analyze(const wave_recipe *recipe) {
    dcpi_analysis analysis;
    double *voltage = voltage_of(recipe), *current = current_of(recipe);
    dcpi_window window = window_of(recipe, voltage, current);
    CHECK(dcpi_analyze(&window, &workspace, &analysis) == DCPI_OK);
    free(voltage);
    free(current);
    return analysis;
}

static void off_nominal_frequencies_are_right(void) {
    for (double frequency_hz = 42.5; frequency_hz <= 69; frequency_hz += 0.53) {
        wave_recipe off = PLAIN;
        off.frequency_hz = frequency_hz;
        off.fifth = 0.05;
        off.v_dc = 2.3;
        dcpi_analysis analysis = analyze(&off);
        double v_rms = sqrt(230 * 230 * (1 + 0.05 * 0.05) + 2.3 * 2.3);
        CHECK(analysis.flags == 0);
        CHECK_NEAR(analysis.frequency_hz, frequency_hz, 1e-5);
        for (int k = 0; k < 3; k++) {
            CHECK_NEAR(analysis.phase[k].v_rms, v_rms, 230e-7);
            CHECK_NEAR(analysis.phase[k].v_dc, 2.3, 230e-7);
            CHECK_NEAR(analysis.phase[k].thd_v_percent, 5, 1e-3);
            CHECK_NEAR(analysis.phase[k].v_harmonics_rms[5], 11.5, 230e-5);
        }
    }
}

static void powers_follow_the_angle(void) {
    for (double lag_deg = -180; lag_deg < 180; lag_deg += 15) {
        wave_recipe load = PLAIN;
        load.frequency_hz = 49.7;
        load.lag_deg = lag_deg;
        dcpi_analysis analysis = analyze(&load);
        const dcpi_phase *phase = analysis.phase + 1;
        double lag = lag_deg * TURN / 360;
        CHECK_NEAR(phase->p_w, 2300 * cos(lag), 2300 * 2e-7);
        CHECK_NEAR(phase->q1_var, 2300 * sin(lag), 2300e-6);
        CHECK_NEAR(phase->s_va, 2300, 2300e-7);
        CHECK_NEAR(phase->pf, cos(lag), 1e-7);
        CHECK_NEAR(phase->dpf, cos(lag), 1e-6);
        CHECK_NEAR(remainder(phase->phi1_deg - lag_deg, 360), 0, 1e-4);
        CHECK_NEAR(analysis.total.p_w, 6900 * cos(lag), 6900e-7);
        CHECK_NEAR(analysis.total.v_positive_rms, 230, 1e-4);
        CHECK_NEAR(analysis.total.u2_percent, 0, 1e-4);
        CHECK_NEAR(analysis.total.i_neutral, 0, 1e-4);
    }
}

static void nonactive_powers_are_those_of_ieee_1459(void) {
    wave_recipe load = PLAIN;
    load.fifth = 0.1;
    const dcpi_phase phase = analyze(&load).phase[0];
    CHECK_NEAR(phase.di_va, 230 * 1.0, 1e-3);
    CHECK_NEAR(phase.dv_va, 23 * 10.0, 1e-3);
    CHECK_NEAR(phase.sh_va, 23 * 1.0, 1e-3);
    CHECK_NEAR(phase.n_va, sqrt(phase.s_va * phase.s_va - phase.p_w * phase.p_w), 1e-6);
    CHECK_NEAR(phase.thdr_v_percent, 10 / sqrt(1.01), 1e-4);
    CHECK_NEAR(phase.k_factor, (1 + 25 * 0.01) / 1.01, 1e-5);
    CHECK_NEAR(phase.crest_v, 1.1 * sqrt(2) / sqrt(1.01), 1e-3);
}

static void the_reachable_order_follows_the_rate(void) {
    wave_recipe slow = PLAIN;
    slow.rate_hz = 4800;
    slow.samples = 480;
    dcpi_analysis analysis = analyze(&slow);
    CHECK(analysis.flags == DCPI_LIMITED_ORDER);
    CHECK(analysis.phase[0].h_max == 47);
    CHECK(!isnan(analysis.phase[0].v_harmonics_rms[47]));
    CHECK(isnan(analysis.phase[0].v_harmonics_rms[48]));
    slow.frequency_hz = 60;
    CHECK(analyze(&slow).phase[0].h_max == 39);
}

static void one_and_two_phases_work(void) {
    for (int32_t phases = 1; phases <= 2; phases++) {
        wave_recipe few = PLAIN;
        few.phases = phases;
        dcpi_analysis analysis = analyze(&few);
        CHECK_NEAR(analysis.total.p_w, phases * 2300 * sqrt(0.75), 1e-3);
        CHECK(isnan(analysis.total.u2_percent));
        CHECK(isnan(analysis.phase[phases].v_rms));
    }
}

static void every_rate_and_length_works(void) {
    static const int32_t rates[] = {400, 1200, 4000, 5760, 14400, 51200, 256000};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        wave_recipe any = PLAIN;
        any.rate_hz = rates[k];
        any.frequency_hz = 51.3;
        for (int32_t tenths = 8; tenths <= 200; tenths += tenths < 20 ? 1 : 60) {
            any.samples = rates[k] / 100 * tenths;
            if (any.samples < DCPI_ANALYSED_MIN_SAMPLES || any.samples > DCPI_SAMPLES_MAX)
                continue;
            dcpi_analysis analysis = analyze(&any);
            CHECK_NEAR(analysis.frequency_hz, 51.3, any.rate_hz > 1000 ? 1e-4 : 2e-3);
            CHECK_NEAR(analysis.phase[0].v_rms, 230, any.rate_hz > 1000 ? 230e-6 : 230e-4);
            CHECK(!(analysis.flags & ~(uint32_t)DCPI_LIMITED_ORDER));
        }
    }
}

static void a_skew_is_undone(void) {
    wave_recipe load = PLAIN;
    load.fifth = 0.05;
    double *voltage = voltage_of(&load);
    double late_turns = 0.0001 * 50;
    load.lag_deg = 30 - 360 * late_turns;
    double *current = malloc((size_t)(3 * load.samples) * sizeof *current);
    for (int32_t k = 0; k < 3; k++)
        for (int32_t n = 0; n < load.samples; n++)
            current[k * load.samples + n] =
                tone(10, 50.0 * n / load.rate_hz - k / 3.0 - 30 / 360.0 + late_turns, 0.05);
    dcpi_window window = window_of(&load, voltage, current);
    dcpi_analysis analysis;
    for (int k = 0; k < 3; k++)
        window.skew_s[k] = 0.0001;
    CHECK(dcpi_analyze(&window, &workspace, &analysis) == DCPI_OK);
    double lag = 30 * TURN / 360;
    double power = 2300 * (cos(lag) + 0.05 * 0.05 * cos(5 * lag));
    CHECK_NEAR(analysis.phase[2].p_w, power, 2300e-7);
    CHECK_NEAR(analysis.phase[2].p_mean_w, power, 2300e-7);
    CHECK_NEAR(analysis.phase[2].phi1_deg, 30, 1e-4);
    free(voltage);
    free(current);
}

static void results_do_not_depend_on_what_the_workspace_held(void) {
    memset(&workspace, 0xff, sizeof workspace);
    dcpi_analysis first = analyze(&PLAIN);
    dcpi_analysis second = analyze(&PLAIN);
    CHECK(memcmp(&first, &second, sizeof first) == 0);
}

int main(void) {
    RUN(off_nominal_frequencies_are_right);
    RUN(powers_follow_the_angle);
    RUN(nonactive_powers_are_those_of_ieee_1459);
    RUN(the_reachable_order_follows_the_rate);
    RUN(one_and_two_phases_work);
    RUN(every_rate_and_length_works);
    RUN(a_skew_is_undone);
    RUN(results_do_not_depend_on_what_the_workspace_held);
    return 0;
}
