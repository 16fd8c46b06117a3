/* One 10/12-cycle value: from the bins of its transform to groups, distortion, power, unbalance. */
#include <string.h>

#include "cycles_internal.h"

static void nothing_known(double *values, int count) {
    for (int k = 0; k < count; k++)
        values[k] = NAN;
}

static void channel_unknown(dcpi_cycle_channel *channel) {
    nothing_known(&channel->rms, sizeof *channel / sizeof(double));
}

static double sum_of(const double *bins, int from, int to) {
    double sum = 0;
    for (int bin = from; bin <= to; bin++)
        sum += bins[bin];
    return sum;
}

/* IEC 61000-4-7:2002+A1:2008 formulas 8 and 9, A.3; N bins from one order to the next. */
static void take_orders(const double *bins, int32_t bin_count, int cycles, int32_t h_max,
                        dcpi_cycle_channel *channel) {
    int half = cycles / 2;
    channel->harmonics[0] = sqrt(bins[0]);
    for (int order = 0; order <= h_max; order++) {
        int bin = order * cycles;
        if (bin + cycles - 2 < bin_count)
            channel->interharmonics[order] = sqrt(sum_of(bins, bin + 2, bin + cycles - 2));
        if (order == 0)
            continue;
        double edges = 0.5 * (bins[bin - half] + bins[bin + half]);
        channel->harmonics[order] = sqrt(bins[bin]);
        channel->groups[order] = sqrt(edges + sum_of(bins, bin - half + 1, bin + half - 1));
        channel->subgroups[order] = sqrt(sum_of(bins, bin - 1, bin + 1));
    }
    channel->fundamental_rms = channel->harmonics[1];
}

/* In percent; NaN without a fundamental. */
static double distortion(const double *orders, int32_t h_max) {
    double sum = 0;
    for (int order = 2; order <= h_max; order++)
        sum += square(orders[order]);
    return orders[1] > 0 ? 100 * sqrt(sum) / orders[1] : NAN;
}

static void take_channel(const cycle_spectrum *spectrum, int row, int cycles, int32_t h_max,
                         dcpi_cycle_channel *channel) {
    take_orders(spectrum->bins + row * SPECTRUM_BINS, spectrum->bin_count, cycles, h_max, channel);
    channel->thd_percent = distortion(channel->harmonics, h_max);
    channel->thdg_percent = distortion(channel->groups, h_max);
    channel->thds_percent = distortion(channel->subgroups, h_max);
}

/* The highest order whose whole group the rate reaches. */
static int32_t highest_order(const dcpi_cycles *cycles, int32_t bin_count, double frequency_hz) {
    int n = cycles->cycles_per_interval;
    double order = floor(REACHABLE_SHARE * cycles->config.sample_rate_hz / frequency_hz + 1e-9);
    double group = (bin_count - 1 - n / 2) / n;
    return (int32_t)fmin(DCPI_ORDER_MAX, fmin(order, group));
}

static phasor turned(phasor z, double re, double im) {
    return (phasor){z.re * re - z.im * im, z.re * im + z.im * re};
}

/* IEC 61000-4-30:2015 5.7.1, by the symmetrical components of the fundamental. */
static void take_unbalance(const phasor *v, dcpi_cycle_values *values) {
    const double re = -0.5, im = 0.86602540378443864676; /* of a turn by 120 degrees */
    phasor on = turned(v[1], re, im), back = turned(v[1], re, -im);
    phasor on_2 = turned(v[2], re, im), back_2 = turned(v[2], re, -im);
    double positive = hypot(v[0].re + on.re + back_2.re, v[0].im + on.im + back_2.im);
    double negative = hypot(v[0].re + back.re + on_2.re, v[0].im + back.im + on_2.im);
    double zero = hypot(v[0].re + v[1].re + v[2].re, v[0].im + v[1].im + v[2].im);
    if (positive > negative) {
        values->u2_percent = 100 * negative / positive;
        values->u0_percent = 100 * zero / positive;
    }
}

static void take_phase(const dcpi_cycles *cycles, const cycle_spectrum *spectrum, int k,
                       dcpi_cycle_values *values) {
    dcpi_cycle_phase *phase = values->phase + k;
    double v_square = spectrum->mean_square[k], i_square = spectrum->mean_square[k + HALF_LANES];
    if (!isfinite(v_square + i_square)) {
        values->flags |= DCPI_CYCLE_NOT_FINITE;
        return;
    }
    phase->voltage.rms = sqrt(v_square);
    phase->current.rms = sqrt(i_square);
    phase->p_w = spectrum->power[k];
    if (values->flags & (DCPI_CYCLE_NO_REFERENCE | DCPI_CYCLE_FREQUENCY_OUT_OF_RANGE))
        return;
    phase->p_w += spectrum->turned_power[k];
    const phasor *fundamental = spectrum->fundamental + k;
    phase->q1_var = times_conjugate(fundamental[0], fundamental[values->phases]).im;
    int n = cycles->cycles_per_interval;
    take_channel(spectrum, k, n, values->h_max, &phase->voltage);
    take_channel(spectrum, k + values->phases, n, values->h_max, &phase->current);
}

static void begin_values(const dcpi_cycles *cycles, const dcpi_open_interval *interval, double end,
                         dcpi_cycle_values *values) {
    const dcpi_cycle_config *config = &cycles->config;
    memset(values, 0, sizeof *values);
    values->start_ns = nanoseconds(cycles, interval->start);
    values->end_ns = nanoseconds(cycles, end);
    values->duration_s = (end - interval->start) / cycles->time_rate_hz;
    values->cycles = cycles->cycles_per_interval;
    values->frequency_hz = values->cycles / values->duration_s;
    values->count = 1;
    values->phases = config->phases;
    values->flags = interval->flags | dcpi_cycle_events(cycles, interval->start, end);
    values->flagged = (values->flags & DCPI_CYCLE_FLAGGED) != 0;
    if (fabs(values->frequency_hz - config->nominal_hz) >
        NOMINAL_TOLERANCE * config->nominal_hz + FREQUENCY_MARGIN_HZ)
        values->flags |= DCPI_CYCLE_FREQUENCY_OUT_OF_RANGE;
    if (values->flags & DCPI_CYCLE_NO_REFERENCE)
        values->frequency_hz = NAN;
    nothing_known(&values->u2_percent, 2);
    for (int k = 0; k < DCPI_PHASES_MAX; k++) {
        values->phase[k].p_w = values->phase[k].q1_var = NAN;
        channel_unknown(&values->phase[k].voltage);
        channel_unknown(&values->phase[k].current);
    }
}

/* 5.4.4: the reference follows the 10/12-cycle values that no event touches, with 1 min. */
static void slide_reference(dcpi_cycles *cycles, const dcpi_cycle_values *values) {
    double sum = 0;
    for (int k = 0; k < values->phases; k++)
        sum += values->phase[k].voltage.rms;
    double mean_v = sum / values->phases;
    if (values->flagged || values->flags & DCPI_CYCLE_NO_REFERENCE || !(mean_v > 0))
        return;
    cycles->sliding_v =
        cycles->sliding_v > 0 ? 0.9967 * cycles->sliding_v + 0.0033 * mean_v : mean_v;
}

/* The interval from its start to `end`, into cycles->ten_twelve. */
void dcpi_cycle_evaluate(dcpi_cycles *cycles, const dcpi_open_interval *interval, double end) {
    dcpi_cycle_values *values = &cycles->ten_twelve;
    cycle_spectrum spectrum;
    begin_values(cycles, interval, end, values);
    dcpi_cycle_spectrum(cycles, interval->start, end, &spectrum);
    values->h_max = highest_order(cycles, spectrum.bin_count, values->cycles / values->duration_s);
    if (values->h_max < DCPI_ORDER_MAX)
        values->flags |= DCPI_CYCLE_LIMITED_ORDER;
    for (int k = 0; k < values->phases; k++) {
        take_phase(cycles, &spectrum, k, values);
        values->p_w += values->phase[k].p_w;
        values->q1_var += values->phase[k].q1_var;
    }
    if (values->phases == DCPI_PHASES_MAX && !isnan(values->q1_var))
        take_unbalance(spectrum.fundamental, values);
    slide_reference(cycles, values);
}
