/* One window from samples to quantities, and what is wrong with it. */
#include <string.h>

#include "internal.h"

/* Three periods of the slowest frequency: fewer, and DC and the 2nd order reach the fundamental. */
static const double SHORTEST_S = 3 / FREQUENCY_MIN_HZ;

/* Longer than any delay of an acquisition chain. */
static const double SKEW_MAX_S = 0.01;

/* IEC 61000-4-30:2015 5.1.1. */
static const double NOMINAL_SHARE = 0.15;

static int is_misaligned(const void *base, int is_float32) {
    size_t size = is_float32 ? sizeof(float) : sizeof(double);
    return (uintptr_t)base % size != 0;
}

static dcpi_status check_options(const dcpi_window *window) {
    double nominal_hz = window->nominal_hz;
    if (nominal_hz != 0 && !(nominal_hz >= FREQUENCY_MIN_HZ && nominal_hz <= FREQUENCY_MAX_HZ))
        return DCPI_BAD_NOMINAL;
    if (!(window->demand_current_a >= 0 && window->demand_current_a <= VALUE_LIMIT))
        return DCPI_BAD_DEMAND;
    for (int k = 0; k < window->phases; k++)
        if (!(fabs(window->skew_s[k]) <= SKEW_MAX_S))
            return DCPI_BAD_SKEW;
    return DCPI_OK;
}

static dcpi_status check(const dcpi_window *window) {
    if (!window->voltage || !window->current ||
        is_misaligned(window->voltage, window->voltage_is_float32) ||
        is_misaligned(window->current, window->current_is_float32))
        return DCPI_BAD_POINTER;
    if (window->phases < 1 || window->phases > DCPI_PHASES_MAX)
        return DCPI_BAD_PHASES;
    if (!(window->sample_rate_hz >= DCPI_RATE_MIN_HZ && window->sample_rate_hz <= DCPI_RATE_MAX_HZ))
        return DCPI_BAD_RATE;
    if (window->samples < 1 || window->samples > DCPI_SAMPLES_MAX ||
        window->samples > window->sample_rate_hz * DCPI_WINDOW_MAX_MS / 1000)
        return DCPI_BAD_LENGTH;
    return check_options(window);
}

static int is_too_short(const dcpi_window *window) {
    return window->samples < DCPI_ANALYSED_MIN_SAMPLES ||
           window->samples < SHORTEST_S * window->sample_rate_hz;
}

static const channel_level *channel_of(const dcpi_window *window, const phase_level *levels,
                                       int channel) {
    const phase_level *level = levels + channel % window->phases;
    return channel < window->phases ? &level->voltage : &level->current;
}

/* The channel with the largest variance of those from `first`; -1 when none varies. */
static int strongest(const dcpi_window *window, const phase_level *levels, int first) {
    int best = -1;
    double largest = 0;
    for (int channel = first; channel < first + window->phases; channel++) {
        const phase_level *level = levels + channel % window->phases;
        double variance = channel_of(window, levels, channel)->variance;
        if (level->voltage.finite && level->current.finite && variance > largest) {
            largest = variance;
            best = channel;
        }
    }
    return best;
}

/* From the strongest voltage; from the strongest current where there is no voltage. */
static line_verdict find_line(const dcpi_window *window, const phase_level *levels,
                              dcpi_workspace *workspace, double *frequency_hz, int *source) {
    line_verdict verdict = LINE_ABSENT;
    for (int first = 0; first <= window->phases && verdict == LINE_ABSENT;
         first += window->phases) {
        *source = strongest(window, levels, first);
        if (*source >= 0)
            verdict =
                dcpi_find_frequency(window, *source, channel_of(window, levels, *source)->variance,
                                    workspace, frequency_hz);
    }
    return verdict;
}

static uint32_t frequency_flags(const dcpi_window *window, const fold_result *folded) {
    uint32_t flags = 0;
    double off_hz = fabs(folded->frequency_hz - window->nominal_hz);
    if (window->nominal_hz > 0 && off_hz > NOMINAL_SHARE * window->nominal_hz + FREQUENCY_MARGIN_HZ)
        flags |= DCPI_FREQUENCY_OUT_OF_RANGE;
    if (folded->h_max < DCPI_ORDER_MAX)
        flags |= DCPI_LIMITED_ORDER;
    return flags;
}

static int is_void(const dcpi_phase *phase) {
    return (phase->flags & DCPI_NOT_FINITE) != 0;
}

static void fill_levels(const dcpi_window *window, dcpi_workspace *workspace, phase_level *levels,
                        dcpi_analysis *analysis) {
    for (int k = 0; k < window->phases; k++) {
        dcpi_phase *phase = analysis->phase + k;
        dcpi_phase_level(window, k, workspace, levels + k);
        if (!levels[k].voltage.finite || !levels[k].current.finite) {
            phase->flags |= DCPI_NOT_FINITE;
            continue;
        }
        phase->p_mean_w = levels[k].mean_power;
        phase->v_clipped_samples = levels[k].voltage.clipped;
        phase->i_clipped_samples = levels[k].current.clipped;
        if (phase->v_clipped_samples || phase->i_clipped_samples)
            phase->flags |= DCPI_CLIPPED;
    }
}

/* No line frequency: plain means where nothing turns, nothing but the mean power otherwise. */
static void fill_without_line(const dcpi_window *window, const phase_level *levels,
                              line_verdict verdict, dcpi_analysis *analysis) {
    for (int k = 0; k < window->phases; k++) {
        dcpi_phase *phase = analysis->phase + k;
        if (is_void(phase))
            continue;
        if (verdict == LINE_ELSEWHERE) {
            phase->flags |= DCPI_FREQUENCY_OUT_OF_RANGE;
            continue;
        }
        phase->flags |= DCPI_NO_SIGNAL;
        if (levels[k].current.mean_square == 0)
            phase->flags |= DCPI_NO_CURRENT;
        dcpi_phase_plain(levels + k, phase);
    }
    dcpi_total_power(window, NULL, analysis->phase, &analysis->total, &analysis->flags);
}

static int is_out_of_range(double frequency_hz) {
    return frequency_hz < FREQUENCY_MIN_HZ - FREQUENCY_MARGIN_HZ ||
           frequency_hz > FREQUENCY_MAX_HZ + FREQUENCY_MARGIN_HZ;
}

/* `source` is the channel that gave the frequency. */
static void fill_with_line(const dcpi_window *window, const phase_level *levels,
                           const fold_result *folded, const dcpi_workspace *workspace, int source,
                           dcpi_analysis *analysis) {
    /* Where the phase jumps, its slope is no frequency, and no reason to call it out of range. */
    int jumps = dcpi_steadiness(window, folded, workspace, source).jumps;
    if (!jumps && is_out_of_range(folded->frequency_hz)) {
        fill_without_line(window, levels, LINE_ELSEWHERE, analysis);
        return;
    }
    analysis->frequency_hz = jumps ? NAN : folded->frequency_hz;
    for (int k = 0; k < window->phases; k++) {
        if (is_void(analysis->phase + k))
            continue;
        steady_verdict of_voltage = dcpi_steadiness(window, folded, workspace, k);
        steady_verdict of_current = dcpi_steadiness(window, folded, workspace, window->phases + k);
        dcpi_phase_power(window, levels + k, folded, k, &of_voltage, &of_current,
                         analysis->phase + k);
    }
    analysis->flags |= frequency_flags(window, folded);
    dcpi_total_power(window, folded, analysis->phase, &analysis->total, &analysis->flags);
}

static void clear(const dcpi_window *window, dcpi_analysis *analysis) {
    memset(analysis, 0, sizeof *analysis);
    analysis->frequency_hz = NAN;
    analysis->phases = window->phases;
    for (int k = 0; k < DCPI_PHASES_MAX; k++)
        dcpi_phase_unknown(analysis->phase + k);
    dcpi_total_unknown(&analysis->total);
}

dcpi_status dcpi_analyze(const dcpi_window *window, dcpi_workspace *workspace,
                         dcpi_analysis *analysis) {
    if (!window || !workspace || !analysis)
        return DCPI_BAD_POINTER;
    dcpi_status status = check(window);
    if (status != DCPI_OK)
        return status;
    phase_level levels[DCPI_PHASES_MAX];
    clear(window, analysis);
    fill_levels(window, workspace, levels, analysis);
    if (is_too_short(window)) {
        analysis->flags |= DCPI_TOO_SHORT;
        dcpi_total_power(window, NULL, analysis->phase, &analysis->total, &analysis->flags);
    } else {
        double frequency_hz = 0;
        int source = -1;
        line_verdict verdict = find_line(window, levels, workspace, &frequency_hz, &source);
        if (verdict == LINE_FOUND) {
            fold_result folded;
            dcpi_fold(window, levels, frequency_hz, workspace, &folded);
            fill_with_line(window, levels, &folded, workspace, source, analysis);
        } else {
            fill_without_line(window, levels, verdict, analysis);
        }
    }
    for (int k = 0; k < window->phases; k++)
        analysis->flags |= analysis->phase[k].flags;
    return DCPI_OK;
}

const char *dcpi_status_text(dcpi_status status) {
    switch (status) {
    case DCPI_OK:
        return "ok";
    case DCPI_BAD_POINTER:
        return "samples missing or not aligned";
    case DCPI_BAD_PHASES:
        return "not one to three phases";
    case DCPI_BAD_LENGTH:
        return "no samples, more than 131072, or more than 2 s";
    case DCPI_BAD_RATE:
        return "sample rate not 400 Hz to 1 MHz";
    case DCPI_BAD_NOMINAL:
        return "nominal frequency not 42.5 to 69 Hz";
    case DCPI_BAD_SKEW:
        return "skew not finite or beyond 10 ms";
    case DCPI_BAD_DEMAND:
        return "demand current negative or not finite";
    }
    return "unknown status";
}
