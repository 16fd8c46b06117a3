/* The rms of one cycle, refreshed every half-cycle, and the dips, swells and interruptions that it
 * shows: IEC 61000-4-30:2015 5.4 and 5.5. Each phase has its own zero crossings. */
#include "cycles_internal.h"

/* Of the declared or the sliding reference voltage, 5.4.2.1, 5.4.3.1 and 5.5.1. */
#define DIP_SHARE 0.90
#define SWELL_SHARE 1.10
#define INTERRUPTION_SHARE 0.05
#define HYSTERESIS_SHARE 0.02

/* The integral of the cubic B-spline up to x: a sum's soft edge. With it the sum over whole cycles
 * has no error from where the samples stand, but sinc^4(2f/rate). */
static double spline_step(double x) {
    double near = fabs(x), tail;
    if (near >= SPLINE_SAMPLES)
        return x > 0 ? 1 : 0;
    if (near >= 1)
        tail = square(square(SPLINE_SAMPLES - near)) / 24;
    else
        tail = 0.5 - near * (2.0 / 3 - square(near) * (1.0 / 3 - near / 8));
    return x > 0 ? 1 - tail : tail;
}

static void sum_half(const dcpi_cycles *cycles, int phase, double from, double to, double *sum_v,
                     double *sum_i) {
    int64_t first = (int64_t)ceil(from) - SPLINE_SAMPLES,
            last = (int64_t)floor(to) + SPLINE_SAMPLES;
    int64_t inner = (int64_t)ceil(from) + SPLINE_SAMPLES;
    int64_t outer = (int64_t)floor(to) - SPLINE_SAMPLES;
    double v_total = 0, i_total = 0;
    for (int64_t index = first; index <= last; index++) {
        double v = (double)row_at(cycles, index)[phase];
        double i = (double)row_at(cycles, index)[phase + HALF_LANES];
        double weight = 1;
        if (index < inner || index > outer)
            weight = spline_step(to - (double)index) - spline_step(from - (double)index);
        v_total += weight * v * v;
        i_total += weight * i * i;
    }
    *sum_v = v_total;
    *sum_i = i_total;
}

/* The event that this value begins, continues or ends. */
static uint32_t event_of(uint32_t state, double v_rms, double reference_v) {
    double hysteresis = HYSTERESIS_SHARE * reference_v;
    uint32_t now = 0;
    if (v_rms < DIP_SHARE * reference_v + (state & DCPI_CYCLE_DIP ? hysteresis : 0))
        now |= DCPI_CYCLE_DIP;
    if (v_rms > SWELL_SHARE * reference_v - (state & DCPI_CYCLE_SWELL ? hysteresis : 0))
        now |= DCPI_CYCLE_SWELL;
    if (v_rms <
        INTERRUPTION_SHARE * reference_v + (state & DCPI_CYCLE_INTERRUPTION ? hysteresis : 0))
        now |= DCPI_CYCLE_INTERRUPTION;
    return now;
}

static uint32_t flags_of(dcpi_cycles *cycles, int phase, double v_rms) {
    double declared_v = cycles->config.declared_v;
    double reference_v = declared_v > 0 ? declared_v : cycles->sliding_v;
    uint32_t all = DCPI_CYCLE_INTERRUPTION;
    cycles->track[phase].state =
        reference_v > 0 ? event_of(cycles->track[phase].state, v_rms, reference_v) : 0;
    for (int k = 0; k < cycles->config.phases; k++)
        all &= cycles->track[k].state;
    return (cycles->track[phase].state & ~(uint32_t)DCPI_CYCLE_INTERRUPTION) | all;
}

static void write_half(dcpi_cycles *cycles, int phase, double from, double to, double v_square,
                       double i_square) {
    dcpi_half_cycle *half = cycles->halves + cycles->halves_written % DCPI_CYCLE_HALVES;
    half->start = from;
    half->end = to;
    half->phase = phase;
    half->v_rms = sqrt(fmax(0, v_square));
    half->i_rms = sqrt(fmax(0, i_square));
    if (v_square != v_square)
        half->v_rms = NAN;
    if (i_square != i_square)
        half->i_rms = NAN;
    half->flags = flags_of(cycles, phase, half->v_rms);
    if (isnan(half->v_rms) || isnan(half->i_rms))
        half->flags |= DCPI_CYCLE_NOT_FINITE;
    cycles->halves_written++;
}

static void take_tick(dcpi_cycles *cycles, int phase, double position) {
    dcpi_half_track *track = cycles->track + phase;
    double sum_v = 0, sum_i = 0, length = position - track->at;
    int usable = track->known > 0 && length > 0 && length < cycles->cycle_samples;
    if (usable)
        sum_half(cycles, phase, track->at, position, &sum_v, &sum_i);
    if (usable && track->known > 1)
        write_half(cycles, phase, track->at - track->length, position,
                   (track->sum_v + sum_v) / (track->length + length),
                   (track->sum_i + sum_i) / (track->length + length));
    track->known = usable ? 2 : 1;
    track->sum_v = sum_v;
    track->sum_i = sum_i;
    track->length = length;
    track->at = position;
}

/* The half-cycles that end between a segment's two nodes. */
void dcpi_cycle_halves(dcpi_cycles *cycles, int64_t segment) {
    for (int phase = 0; phase < cycles->config.phases; phase++) {
        double here = node_at(cycles, segment)->lane_cycles[phase], position;
        double target = 0.5 * floor(2 * here) + 0.5;
        while (dcpi_cycle_crossing(cycles, segment, phase, target, &position)) {
            take_tick(cycles, phase, position);
            target += 0.5;
        }
    }
}

/* All events whose cycle touches the time from `start` to `end`. */
uint32_t dcpi_cycle_events(const dcpi_cycles *cycles, double start, double end) {
    uint32_t flags = 0;
    int64_t written = cycles->halves_written;
    int64_t index = written > DCPI_CYCLE_HALVES ? written - DCPI_CYCLE_HALVES : 0;
    for (; index < written; index++) {
        const dcpi_half_cycle *half = cycles->halves + index % DCPI_CYCLE_HALVES;
        if (half->start < end && half->end > start)
            flags |= half->flags & DCPI_CYCLE_FLAGGED;
    }
    return flags;
}
