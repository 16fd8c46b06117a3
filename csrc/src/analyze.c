/* One window from samples to quantities, and what is wrong with it. */
#include "internal.h"

/* Three periods of the slowest frequency: fewer, and DC and the 2nd order reach the fundamental. */
static const double SHORTEST_S = 3 / FREQUENCY_MIN_HZ;

/* Longer than any delay of an acquisition chain. */
static const double DELAY_MAX_S = 0.01;

/* From microvolts of a shunt to the turns of the largest transformers, in steps or in volts. */
static const double GAIN_MIN = 1e-6, GAIN_MAX = 1e9;

/* Ten times what class 1 allows at 5 % of the rated current: 180' (IEC 61869-2, accuracy limits).
 */
static const double ANGLE_MAX_RAD = 0.5;

/* IEC 61000-4-30:2015 5.1. */
static const double NOMINAL_SHARE = 0.15;

/* A voltage of less than a third of the strongest one may be a dead phase's pick-up. */
static const double STRONG_SHARE = 0.1;

/* A step in the voltage's magnitude turns the fold's frequency by up to 0.1 Hz, and the track that
 * this one is judged by with it: the second time it is good to microhertz. */
enum { STEPPED_FOLDS_MAX = 2 };

static int is_misaligned(const void *base, int is_float32) {
    size_t size = is_float32 ? sizeof(float) : sizeof(double);
    return (uintptr_t)base % size != 0;
}

static dcpi_status check_correction(const dcpi_correction *correction) {
    double size = fabs(correction->gain);
    if (!(size >= GAIN_MIN && size <= GAIN_MAX))
        return DCPI_BAD_GAIN;
    if (!(fabs(correction->offset) <= VALUE_LIMIT))
        return DCPI_BAD_OFFSET;
    if (!(fabs(correction->phase_rad) <= ANGLE_MAX_RAD))
        return DCPI_BAD_ANGLE;
    return fabs(correction->delay_s) <= DELAY_MAX_S ? DCPI_OK : DCPI_BAD_DELAY;
}

static dcpi_status check_corrections(const dcpi_window *window) {
    dcpi_status status = DCPI_OK;
    if (!window->corrections)
        return DCPI_OK;
    for (int channel = 0; status == DCPI_OK && channel < 2 * window->phases; channel++)
        status = check_correction(window->corrections + channel);
    return status;
}

static dcpi_status check_options(const dcpi_window *window) {
    double nominal_hz = window->nominal_hz;
    if (nominal_hz != 0 && !(nominal_hz >= FREQUENCY_MIN_HZ && nominal_hz <= FREQUENCY_MAX_HZ))
        return DCPI_BAD_NOMINAL;
    if (!(window->demand_current_a >= 0 && window->demand_current_a <= VALUE_LIMIT))
        return DCPI_BAD_DEMAND;
    for (int k = 0; k < window->phases; k++)
        if (!(fabs(window->skew_s[k]) <= DELAY_MAX_S))
            return DCPI_BAD_SKEW;
    return check_corrections(window);
}

static dcpi_status check(const dcpi_window *window) {
    if (!window->voltage || !window->current ||
        is_misaligned(window->voltage, window->voltage_is_float32) ||
        is_misaligned(window->current, window->current_is_float32) ||
        is_misaligned(window->corrections, 0))
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

/* The channel with the largest variance of the phases' from `first` that are not in the mask; -1
 * when none varies. */
static int strongest(const dcpi_window *window, const phase_level *levels, int first,
                     unsigned without) {
    int best = -1;
    double largest = 0;
    for (int channel = first; channel < first + window->phases; channel++) {
        const phase_level *level = levels + channel % window->phases;
        double variance = channel_of(window, levels, channel)->variance;
        if (!is_void(level) && variance > largest && !(without >> channel & 1)) {
            largest = variance;
            best = channel;
        }
    }
    return best;
}

typedef struct {
    line_verdict verdict;
    int source; /* channel that gave the frequency */
    double frequency_hz;
} line;

static line line_of(const dcpi_window *window, const phase_level *levels, int channel,
                    scratch *work) {
    line found = {LINE_ABSENT, channel, 0};
    found.verdict = dcpi_find_frequency(window, channel, channel_of(window, levels, channel), work,
                                        &found.frequency_hz);
    return found;
}

/* From the strongest voltage that has one; from the strongest such current where no voltage turns.
 */
static line find_line(const dcpi_window *window, const phase_level *levels, scratch *work) {
    line elsewhere = {LINE_ABSENT, -1, 0};
    unsigned tried = 0;
    for (int first = 0; first <= window->phases && elsewhere.source < 0; first += window->phases) {
        int channel;
        while ((channel = strongest(window, levels, first, tried)) >= 0) {
            line found = line_of(window, levels, channel, work);
            tried |= 1u << channel;
            if (found.verdict == LINE_FOUND)
                return found;
            if (found.verdict == LINE_ELSEWHERE)
                elsewhere = found;
        }
    }
    return elsewhere;
}

/* Of the source's kind. */
static int jumping_channels(const dcpi_window *window, const phase_level *levels,
                            const fold_result *folded, int source) {
    int first = source < window->phases ? 0 : window->phases, count = 0;
    for (int channel = first; channel < first + window->phases; channel++)
        count += !is_void(levels + channel % window->phases) && folded->verdict[channel].jumps;
    return count;
}

/* Where the phase of the source jumps, its slope is no frequency, but another phase may not jump.
 */
static line steadier_line(const dcpi_window *window, const phase_level *levels, const line *from,
                          const fold_result *folded, scratch *work) {
    int first = from->source < window->phases ? 0 : window->phases, channel;
    double least = STRONG_SHARE * channel_of(window, levels, from->source)->variance;
    unsigned tried = 1u << from->source;
    /* Where two jump all do, if one does so less plainly. */
    if (jumping_channels(window, levels, folded, from->source) > 1)
        return *from;
    while ((channel = strongest(window, levels, first, tried)) >= 0 &&
           channel_of(window, levels, channel)->variance > least) {
        tried |= 1u << channel;
        if (!folded->verdict[channel].jumps)
            return line_of(window, levels, channel, work);
    }
    return *from;
}

static void fold_and_judge(const dcpi_window *window, const phase_level *levels, const line *from,
                           int is_exact, scratch *work, fold_result *folded) {
    dcpi_fold(window, levels, from->source, from->frequency_hz, is_exact, work, folded);
    dcpi_steadiness(window, levels, work, folded);
}

/* The fold with the best frequency that the window has. */
static void fold_line(const dcpi_window *window, const phase_level *levels, line *from,
                      scratch *work, fold_result *folded) {
    fold_and_judge(window, levels, from, 0, work, folded);
    if (folded->verdict[from->source].jumps) {
        line other = steadier_line(window, levels, from, folded, work);
        if (other.source != from->source) {
            if (other.verdict == LINE_FOUND)
                *from = other;
            fold_and_judge(window, levels, from, 0, work, folded);
        }
    }
    for (int folds = 0; folds < STEPPED_FOLDS_MAX && folded->verdict[from->source].slope != 0;
         folds++) {
        double box_s = 2 * folded->segments.length / window->sample_rate_hz;
        double change_hz = folded->verdict[from->source].slope / (TWO_PI * box_s);
        from->frequency_hz = folded->frequency_hz + change_hz;
        fold_and_judge(window, levels, from, 1, work, folded);
    }
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

static void fill_levels(const dcpi_window *window, scratch *work, phase_level *levels,
                        dcpi_analysis *analysis) {
    for (int k = 0; k < window->phases; k++) {
        dcpi_phase *phase = analysis->phase + k;
        dcpi_phase_level(window, k, work, levels + k);
        if (is_void(levels + k)) {
            phase->flags |= DCPI_NOT_FINITE;
            continue;
        }
        phase->p_mean_w = levels[k].mean_power;
        phase->v_clipped_samples = levels[k].voltage.clipped;
        phase->i_clipped_samples = levels[k].current.clipped;
        if (phase->v_clipped_samples || phase->i_clipped_samples)
            phase->flags |= DCPI_CLIPPED;
        if (levels[k].voltage.coarse || levels[k].current.coarse)
            phase->flags |= DCPI_COARSE;
    }
}

/* No line frequency: plain means where nothing turns, nothing but the mean power otherwise. */
static void fill_without_line(const dcpi_window *window, const phase_level *levels,
                              line_verdict verdict, dcpi_analysis *analysis) {
    for (int k = 0; k < window->phases; k++) {
        dcpi_phase *phase = analysis->phase + k;
        if (is_void(levels + k))
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

/* A jump may look like a tone in one phase, or be lost in its noise, but hardly in two. */
static int line_jumps(const dcpi_window *window, const phase_level *levels,
                      const fold_result *folded, int source) {
    const steady_verdict *verdict = folded->verdict + source;
    int jumping = jumping_channels(window, levels, folded, source);
    return verdict->jumps || jumping > 1 || (verdict->flags && jumping);
}

/* `source` is the channel that gave the frequency. */
static void fill_with_line(const dcpi_window *window, const phase_level *levels,
                           fold_result *folded, int source, dcpi_analysis *analysis) {
    /* Where the phase jumps, its slope is no frequency, and no reason to call it out of range. */
    int jumps = line_jumps(window, levels, folded, source);
    if (!jumps && is_out_of_range(folded->frequency_hz)) {
        fill_without_line(window, levels, LINE_ELSEWHERE, analysis);
        return;
    }
    analysis->frequency_hz = jumps ? NAN : folded->frequency_hz;
    /* Only now: the track that tells steadiness is one of phasors that are not yet turned. */
    dcpi_correct_angles(window, folded);
    dcpi_phases_power(window, levels, folded, analysis->phase);
    analysis->flags |= frequency_flags(window, folded);
    dcpi_total_power(window, folded, analysis->phase, &analysis->total, &analysis->flags);
}

static void clear(const dcpi_window *window, dcpi_analysis *analysis) {
    analysis->frequency_hz = NAN;
    analysis->flags = 0;
    analysis->phases = window->phases;
    for (int k = 0; k < DCPI_PHASES_MAX; k++)
        dcpi_phase_unknown(analysis->phase + k);
    dcpi_total_unknown(&analysis->total);
}

/* The caller's memory from the first cache line on. */
static scratch *scratch_of(dcpi_workspace *workspace) {
    uintptr_t address = (uintptr_t)workspace;
    return (scratch *)(void *)((char *)workspace + (64 - address % 64) % 64);
}

static void analyze(const dcpi_window *window, scratch *work, dcpi_analysis *analysis) {
    phase_level levels[DCPI_PHASES_MAX];
    clear(window, analysis);
    fill_levels(window, work, levels, analysis);
    if (is_too_short(window)) {
        analysis->flags |= DCPI_TOO_SHORT;
        dcpi_total_power(window, NULL, analysis->phase, &analysis->total, &analysis->flags);
    } else {
        line found = find_line(window, levels, work);
        if (found.verdict == LINE_FOUND) {
            fold_result folded;
            fold_line(window, levels, &found, work, &folded);
            fill_with_line(window, levels, &folded, found.source, analysis);
        } else {
            fill_without_line(window, levels, found.verdict, analysis);
        }
    }
    for (int k = 0; k < window->phases; k++)
        analysis->flags |= analysis->phase[k].flags;
}

dcpi_status dcpi_analyze_many(const dcpi_window *first, int32_t count, size_t voltage_stride,
                              size_t current_stride, dcpi_workspace *workspace,
                              dcpi_analysis *analyses) {
    if (!first || !workspace || !analyses)
        return DCPI_BAD_POINTER;
    if (count < 0)
        return DCPI_BAD_COUNT;
    dcpi_status status = check(first);
    if (status != DCPI_OK)
        return status;
    size_t voltage_step =
        voltage_stride * (first->voltage_is_float32 ? sizeof(float) : sizeof(double));
    size_t current_step =
        current_stride * (first->current_is_float32 ? sizeof(float) : sizeof(double));
    dcpi_window window = *first;
    for (int32_t k = 0; k < count; k++) {
        analyze(&window, scratch_of(workspace), analyses + k);
        window.voltage = (const char *)window.voltage + voltage_step;
        window.current = (const char *)window.current + current_step;
    }
    return DCPI_OK;
}

dcpi_status dcpi_analyze(const dcpi_window *window, dcpi_workspace *workspace,
                         dcpi_analysis *analysis) {
    return dcpi_analyze_many(window, 1, 0, 0, workspace, analysis);
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
    case DCPI_BAD_GAIN:
        return "gain of a correction not of magnitude 1e-6 to 1e9";
    case DCPI_BAD_OFFSET:
        return "offset of a correction not finite or beyond 1e15";
    case DCPI_BAD_ANGLE:
        return "phase of a correction not finite or beyond 0.5 rad";
    case DCPI_BAD_DELAY:
        return "delay of a correction not finite or beyond 10 ms";
    case DCPI_BAD_THRESHOLD:
        return "a threshold is not positive and finite, or out of order";
    case DCPI_BAD_TICK:
        return "first tick not within a tick after sample 0";
    case DCPI_BAD_BLOCK:
        return "no samples, rows that overlap, or an index that went back";
    case DCPI_BAD_COUNT:
        return "number of windows negative";
    }
    return "unknown status";
}
