/* What is known of the sensors is taken out again: closed forms, and what must not be accepted. */
#include <string.h>

#include "check.h"
#include "waves.h"

static dcpi_workspace workspace;

enum { V = 0, I = 3 };

static dcpi_analysis analyze_with(const wave_recipe *recipe, double *voltage, double *current,
                                  const dcpi_correction *corrections) {
    dcpi_analysis analysis;
    dcpi_window window = window_of(recipe, voltage, current);
    window.corrections = corrections;
    CHECK(dcpi_analyze(&window, &workspace, &analysis) == DCPI_OK);
    return analysis;
}

static void all_of(dcpi_correction correction, dcpi_correction *corrections) {
    for (int channel = 0; channel < 6; channel++)
        corrections[channel] = correction;
}

/* The current with every order leading by `constant` rad, as if taken `late_s` late besides. */
static double *leading_current(const wave_recipe *recipe, double constant, double late_s) {
    double *rows = malloc((size_t)(3 * recipe->samples) * sizeof *rows);
    for (int32_t k = 0; k < 3; k++)
        for (int32_t n = 0; n < recipe->samples; n++) {
            double seconds = n / recipe->rate_hz + late_s;
            double turns = recipe->frequency_hz * seconds - k / 3.0 - recipe->lag_deg / 360;
            rows[k * recipe->samples + n] =
                sqrt(2) * recipe->i_rms *
                (cos(TURN * turns + constant) + recipe->fifth * cos(5 * TURN * turns + constant));
        }
    return rows;
}

static void check_load(const wave_recipe *load, const dcpi_analysis *analysis) {
    double lag = load->lag_deg * TURN / 360;
    double power = 2300 * (cos(lag) + load->fifth * load->fifth * cos(5 * lag));
    for (int k = 0; k < 3; k++) {
        const dcpi_phase *phase = analysis->phase + k;
        CHECK_NEAR(phase->p_w, power, 2300e-7);
        CHECK_NEAR(phase->p_mean_w, power, 2300e-6);
        CHECK_NEAR(phase->q1_var, 2300 * sin(lag), 2300e-6);
        CHECK_NEAR(phase->phi1_deg, load->lag_deg, 1e-5);
        CHECK_NEAR(phase->i_harmonics_rms[5], 10 * load->fifth, 1e-5);
    }
    CHECK_NEAR(analysis->total.p_w, 3 * power, 6900e-7);
}

static void a_phase_error_and_a_delay_are_told_apart_and_undone(void) {
    wave_recipe load = PLAIN;
    load.fifth = 0.2;
    double *voltage = voltage_of(&load);
    for (int kinds = 0; kinds < 4; kinds++) {
        double phase_rad = kinds & 1 ? 0.02 : 0, delay_s = kinds & 2 ? -0.0001 : 0;
        double *current = leading_current(&load, phase_rad, delay_s);
        dcpi_correction corrections[6];
        all_of((dcpi_correction){1, 0, 0, 0}, corrections);
        for (int k = 0; k < 3; k++) {
            corrections[I + k].phase_rad = phase_rad;
            corrections[I + k].delay_s = delay_s;
        }
        dcpi_analysis analysis = analyze_with(&load, voltage, current, corrections);
        check_load(&load, &analysis);
        free(current);
    }
    free(voltage);
}

static void a_phase_error_taken_for_a_delay_is_wrong_at_the_harmonics(void) {
    wave_recipe load = PLAIN;
    load.fifth = 0.2;
    double *voltage = voltage_of(&load), *current = leading_current(&load, 0.02, 0);
    dcpi_correction corrections[6];
    all_of((dcpi_correction){1, 0, 0, 0}, corrections);
    for (int k = 0; k < 3; k++)
        corrections[I + k].delay_s = 0.02 / (TURN * 50);
    dcpi_analysis analysis = analyze_with(&load, voltage, current, corrections);
    double lag = TURN / 12, wrong = 5 * lag + 4 * 0.02;
    CHECK_NEAR(analysis.phase[0].p_w, 2300 * (cos(lag) + 0.04 * cos(wrong)), 2300e-7);
    CHECK(fabs(analysis.phase[0].p_w - 2300 * (cos(lag) + 0.04 * cos(5 * lag))) > 3);
    free(voltage);
    free(current);
}

static void a_lead_common_to_all_channels_changes_no_power(void) {
    wave_recipe load = PLAIN;
    load.fifth = 0.1;
    double *voltage = voltage_of(&load), *current = current_of(&load);
    dcpi_correction corrections[6];
    all_of((dcpi_correction){1, 0, 0.4, 0.003}, corrections);
    dcpi_analysis plain = analyze_with(&load, voltage, current, NULL);
    dcpi_analysis turned = analyze_with(&load, voltage, current, corrections);
    CHECK_NEAR(turned.total.p_w, plain.total.p_w, 6900e-6);
    CHECK_NEAR(turned.total.q1_var, plain.total.q1_var, 6900e-6);
    CHECK_NEAR(turned.total.s_effective_va, plain.total.s_effective_va, 6900e-6);
    double turn_deg = 360 * (50 * 0.003 + 0.4 / TURN);
    CHECK_NEAR(
        remainder(plain.phase[1].v_harmonics_deg[1] - turn_deg - turned.phase[1].v_harmonics_deg[1],
                  360),
        0, 6900e-6);
    free(voltage);
    free(current);
}

/* Phase 1 of the current alone: the neutral and the sequences must follow. */
static void totals_across_the_phases_are_corrected_too(void) {
    double *voltage = voltage_of(&PLAIN), *current = current_of(&PLAIN);
    double *ahead = leading_current(&PLAIN, 0.05, 0);
    memcpy(current + PLAIN.samples, ahead + PLAIN.samples, (size_t)PLAIN.samples * sizeof *current);
    dcpi_correction corrections[6];
    all_of((dcpi_correction){1, 0, 0, 0}, corrections);
    CHECK_NEAR(analyze_with(&PLAIN, voltage, current, corrections).total.i_neutral, 20 * sin(0.025),
               1e-4);
    corrections[I + 1].phase_rad = 0.05;
    dcpi_analysis analysis = analyze_with(&PLAIN, voltage, current, corrections);
    /* A difference of squares of 20 A in single precision. */
    CHECK_NEAR(analysis.total.i_neutral, 0, 3e-3);
    CHECK_NEAR(analysis.total.i_negative_rms, 0, 1e-4);
    CHECK_NEAR(analysis.total.s_effective_va, 6900, 1e-3);
    free(voltage);
    free(current);
    free(ahead);
}

static void gain_and_offset_give_volts_and_amperes(void) {
    double *voltage = voltage_of(&PLAIN), *current = current_of(&PLAIN);
    dcpi_correction corrections[6];
    for (int k = 0; k < 3; k++) {
        corrections[V + k] = (dcpi_correction){-0.05, 2048, 0, 0};
        corrections[I + k] = (dcpi_correction){40, -0.25, 0, 0};
    }
    for (int32_t n = 0; n < 3 * PLAIN.samples; n++) {
        voltage[n] = voltage[n] / -0.05 + 2048;
        current[n] = current[n] / 40 - 0.25;
    }
    dcpi_analysis analysis = analyze_with(&PLAIN, voltage, current, corrections);
    for (int k = 0; k < 3; k++) {
        const dcpi_phase *phase = analysis.phase + k;
        CHECK(phase->flags == 0);
        CHECK_NEAR(phase->v_rms, 230, 230e-6);
        CHECK_NEAR(phase->i_rms, 10, 10e-6);
        CHECK_NEAR(phase->v_dc, 0, 1e-4);
        CHECK_NEAR(phase->p_w, 2300 * sqrt(0.75), 2300e-6);
        CHECK_NEAR(phase->p_mean_w, 2300 * sqrt(0.75), 2300e-6);
        CHECK_NEAR(phase->crest_v, sqrt(2), 1e-3);
    }
    free(voltage);
    free(current);
}

static void clipping_is_judged_by_what_the_converter_gave(void) {
    double *voltage = voltage_of(&PLAIN), *current = current_of(&PLAIN);
    for (int32_t n = 0; n < 3 * PLAIN.samples; n++)
        voltage[n] = fmin(voltage[n], 300);
    int32_t plain = analyze_with(&PLAIN, voltage, current, NULL).phase[0].v_clipped_samples;
    dcpi_correction corrections[6];
    all_of((dcpi_correction){0.1, 1e4 / 3, 0, 0}, corrections);
    dcpi_analysis analysis = analyze_with(&PLAIN, voltage, current, corrections);
    CHECK(plain > 100);
    CHECK(analysis.phase[0].v_clipped_samples == plain);
    CHECK(analysis.flags & DCPI_CLIPPED);
    free(voltage);
    free(current);
}

static void values_beyond_the_limit_void_the_phase(void) {
    double *voltage = voltage_of(&PLAIN), *current = current_of(&PLAIN);
    dcpi_correction corrections[6];
    all_of((dcpi_correction){1, 0, 0, 0}, corrections);
    voltage[7] = 1e8;
    corrections[V].gain = 1e9;
    dcpi_analysis analysis = analyze_with(&PLAIN, voltage, current, corrections);
    CHECK(analysis.phase[0].flags & DCPI_NOT_FINITE);
    CHECK(!(analysis.phase[1].flags & DCPI_NOT_FINITE));
    free(voltage);
    free(current);
}

static dcpi_status status_with(int channel, dcpi_correction correction) {
    double *voltage = voltage_of(&PLAIN), *current = current_of(&PLAIN);
    dcpi_correction corrections[6];
    dcpi_window window = window_of(&PLAIN, voltage, current);
    dcpi_analysis analysis, before;
    all_of((dcpi_correction){1, 0, 0, 0}, corrections);
    corrections[channel] = correction;
    window.corrections = corrections;
    memset(&analysis, 0xa5, sizeof analysis);
    before = analysis;
    dcpi_status status = dcpi_analyze(&window, &workspace, &analysis);
    if (status != DCPI_OK)
        CHECK(memcmp(&analysis, &before, sizeof analysis) == 0);
    CHECK(dcpi_status_text(status)[0] != '\0');
    free(voltage);
    free(current);
    return status;
}

static void every_limit_has_its_status(void) {
    for (int channel = 0; channel < 6; channel++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            CHECK(status_with(channel, (dcpi_correction){sign * 1e-6, 0, 0, 0}) == DCPI_OK);
            CHECK(status_with(channel, (dcpi_correction){sign, sign * 9e14, 0.5 * sign,
                                                         0.01 * sign}) == DCPI_OK);
            CHECK(status_with(channel, (dcpi_correction){sign * 0.9e-6, 0, 0, 0}) == DCPI_BAD_GAIN);
            CHECK(status_with(channel, (dcpi_correction){sign * 1.1e9, 0, 0, 0}) == DCPI_BAD_GAIN);
            CHECK(status_with(channel, (dcpi_correction){1, sign * 2e15, 0, 0}) == DCPI_BAD_OFFSET);
            CHECK(status_with(channel, (dcpi_correction){1, 0, sign * 0.51, 0}) == DCPI_BAD_ANGLE);
            CHECK(status_with(channel, (dcpi_correction){1, 0, 0, sign * 0.011}) == DCPI_BAD_DELAY);
        }
        CHECK(status_with(channel, (dcpi_correction){0, 0, 0, 0}) == DCPI_BAD_GAIN);
        CHECK(status_with(channel, (dcpi_correction){NAN, 0, 0, 0}) == DCPI_BAD_GAIN);
        CHECK(status_with(channel, (dcpi_correction){INFINITY, 0, 0, 0}) == DCPI_BAD_GAIN);
        CHECK(status_with(channel, (dcpi_correction){1, NAN, 0, 0}) == DCPI_BAD_OFFSET);
        CHECK(status_with(channel, (dcpi_correction){1, 0, NAN, 0}) == DCPI_BAD_ANGLE);
        CHECK(status_with(channel, (dcpi_correction){1, 0, 0, NAN}) == DCPI_BAD_DELAY);
    }
}

int main(void) {
    RUN(a_phase_error_and_a_delay_are_told_apart_and_undone);
    RUN(a_phase_error_taken_for_a_delay_is_wrong_at_the_harmonics);
    RUN(a_lead_common_to_all_channels_changes_no_power);
    RUN(totals_across_the_phases_are_corrected_too);
    RUN(gain_and_offset_give_volts_and_amperes);
    RUN(clipping_is_judged_by_what_the_converter_gave);
    RUN(values_beyond_the_limit_void_the_phase);
    RUN(every_limit_has_its_status);
    return 0;
}
