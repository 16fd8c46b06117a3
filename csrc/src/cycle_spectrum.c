/* The discrete Fourier transform of one interval of exactly 10 or 12 cycles, which need not be
 * whole in samples: bin k is k cycles of the interval (IEC 61000-4-7:2002 4.4.1, rectangular
 * window).
 *
 * As in fold.c each sample is spread with a Kaiser-Bessel kernel, here onto 2048 cells of the whole
 * interval, and one transform across the channels follows. A plain sum over a length that is not
 * whole in samples would leak from its two ends, so the ends are blurred by a Blackman-Harris step
 * over 6 to 48 samples: the rectangle's zeros stay where they are, and its images beyond the rate
 * fall below -92 dB for all that is more than a quarter of the rate apart. */
#include <string.h>

#include "cycles_internal.h"

/* The share of the rate up to which a bin is told. */
#define BIN_SHARE 0.498

typedef struct {
    double start, end, edge;
    int64_t first, last;
} edged_span;

/* The integral of a 4-term Blackman-Harris window from -1 to x. */
static double edge_step(double x) {
    if (fabs(x) >= 1)
        return x > 0 ? 1 : 0;
    double angle = 0.5 * TWO_PI * x;
    return 0.5 + 0.5 * x +
           (0.48829 * sin(angle) + 0.14128 / 2 * sin(2 * angle) + 0.01168 / 3 * sin(3 * angle)) /
               (0.35875 * TWO_PI);
}

static double edge_weight(const edged_span *span, int64_t index) {
    double after = (double)index - span->start, before = span->end - (double)index;
    return edge_step(fmin(after, before) / span->edge);
}

WIDER_CLONES static void sum_rows(const float *restrict rows, int64_t count,
                                  double *restrict squares, double *restrict products) {
    for (int64_t n = 0; n < count; n++) {
        double lanes[CYCLE_LANES];
        for (int lane = 0; lane < CYCLE_LANES; lane++) {
            lanes[lane] = (double)rows[n * CYCLE_LANES + lane];
            squares[lane] += lanes[lane] * lanes[lane];
        }
        for (int lane = 0; lane < HALF_LANES; lane++)
            products[lane] += lanes[lane] * lanes[lane + HALF_LANES];
    }
}

static void sum_levels(const dcpi_cycles *cycles, const edged_span *span,
                       cycle_spectrum *spectrum) {
    double squares[CYCLE_LANES] = {0}, products[HALF_LANES] = {0};
    int64_t inner = span->first + 2 * EDGE_MAX, outer = span->last - 2 * EDGE_MAX;
    sum_rows(row_at(cycles, inner), outer - inner + 1, squares, products);
    for (int64_t index = span->first; index <= span->last; index++) {
        if (index == inner)
            index = outer + 1;
        const float *row = row_at(cycles, index);
        double weight = edge_weight(span, index);
        for (int lane = 0; lane < CYCLE_LANES; lane++)
            squares[lane] += weight * square((double)row[lane]);
        for (int lane = 0; lane < HALF_LANES; lane++)
            products[lane] += weight * (double)row[lane] * (double)row[lane + HALF_LANES];
    }
    for (int lane = 0; lane < CYCLE_LANES; lane++)
        spectrum->mean_square[lane] = squares[lane] / (span->end - span->start);
    for (int lane = 0; lane < DCPI_PHASES_MAX; lane++)
        spectrum->power[lane] = products[lane] / (span->end - span->start);
}

/* Onto the cells; what is beyond the last one is put there, behind it. */
WIDER_CLONES static void spread(const eight *restrict rows, int64_t count, double position,
                                double step, const eight *scale, const eight *restrict taps,
                                eight *restrict grid) {
    for (int64_t n = 0; n < count; n++, position += step) {
        int32_t cell = (int32_t)position;
        double in_row = (position - cell) * SPECTRUM_ROWS;
        int32_t row = (int32_t)in_row;
        eight tap = taps[row] + (float)(in_row - row) * (taps[row + 1] - taps[row]);
        eight value = *scale * rows[n], *target = grid + (cell & (SPECTRUM_CELLS - 1));
        for (int k = 0; k < SPECTRUM_TAPS; k++)
            target[k] += tap[k] * value;
    }
}

/* All samples onto the cells; scaled to an rms of 1, so that a small current beside a high voltage
 * keeps its digits. */
static void spread_span(dcpi_cycles *cycles, const edged_span *span, const eight *scale) {
    double step = SPECTRUM_CELLS / (span->end - span->start);
    int64_t inner = span->first + 2 * EDGE_MAX, outer = span->last - 2 * EDGE_MAX;
    cycle_scratch *work = cycle_scratch_of(cycles->workspace);
    eight *grid = work->grid[0];
    memset(grid, 0, (SPECTRUM_CELLS + SPECTRUM_TAPS) * sizeof *grid);
    for (int64_t index = span->first; index <= span->last; index++) {
        if (index == inner)
            index = outer + 1;
        eight weighted = (float)edge_weight(span, index) * *scale;
        double position = SPECTRUM_CELLS + step * ((double)index - span->start);
        spread(cells_at(row_at(cycles, index)), 1, position, step, &weighted, work->taps, grid);
    }
    double position = SPECTRUM_CELLS + step * ((double)inner - span->start);
    spread(cells_at(row_at(cycles, inner)), outer - inner + 1, position, step, scale, work->taps,
           grid);
    for (int cell = 0; cell < SPECTRUM_TAPS; cell++)
        grid[cell] += grid[SPECTRUM_CELLS + cell];
}

/* A cell is a complex number for each phase: its voltage and, the imaginary part, its current. */
INLINE void exchange_parts(eight *z) {
    *z = __builtin_shufflevector(*z, *z, 4, 5, 6, 7, 0, 1, 2, 3);
}

/* exp(-2 pi j turn / SPECTRUM_CELLS) z */
INLINE void store_turned(const eight *z, const cycle_scratch *work, int turn, eight *to) {
    float c = work->cosine[turn], s = work->sine[turn];
    eight sines = {s, s, s, s, -s, -s, -s, -s}, exchanged = *z;
    exchange_parts(&exchanged);
    *to = *z * c + exchanged * sines;
}

/* One pass of Stockham's radix-4 transform (C. Van Loan, Computational Frameworks for the FFT,
 * 1992, 1.7): `run` values with one twiddle. */
WIDER_CLONES static void pass_four(const eight *restrict in, eight *restrict out, int length,
                                   int run, const cycle_scratch *work) {
    const eight minus_j = {1, 1, 1, 1, -1, -1, -1, -1}; /* of exchanged parts */
    int quarter = length / 4, leap = quarter * run;
    for (int p = 0; p < quarter; p++) {
        int turn = p * (SPECTRUM_CELLS / length);
        const eight *a = in + p * run;
        eight *y = out + 4 * p * run;
        for (int q = 0; q < run; q++) {
            eight sum = a[q] + a[q + 2 * leap], difference = a[q] - a[q + 2 * leap];
            eight other = a[q + leap] + a[q + 3 * leap], turned = a[q + leap] - a[q + 3 * leap];
            exchange_parts(&turned);
            turned *= minus_j;
            eight one = difference + turned, two = sum - other, three = difference - turned;
            y[q] = sum + other;
            store_turned(&one, work, turn, y + q + run);
            store_turned(&two, work, 2 * turn, y + q + 2 * run);
            store_turned(&three, work, 3 * turn, y + q + 3 * run);
        }
    }
}

/* The transform but for its last pass, of radix 2, which `bin_at` makes. */
static const float *transform(cycle_scratch *work) {
    eight *in = work->grid[0], *out = work->grid[1];
    for (int length = SPECTRUM_CELLS, run = 1; length >= 4; length /= 4, run *= 4) {
        pass_four(in, out, length, run, work);
        eight *other = in;
        in = out;
        out = other;
    }
    return (const float *)(const void *)in;
}

static phasor bin_at(const float *halves, int bin, int phase) {
    enum { HALF_CELLS = SPECTRUM_CELLS / 2 };
    const float *a = halves + bin % HALF_CELLS * CYCLE_LANES + phase;
    const float *b = a + HALF_CELLS * CYCLE_LANES;
    float sign = bin < HALF_CELLS ? 1 : -1;
    return (phasor){(double)(a[0] + sign * b[0]), (double)(a[HALF_LANES] + sign * b[HALF_LANES])};
}

/* rms phasors of voltage and current of a phase; the kernel's delay leaves both alike. */
static void unpack(const float *halves, int phase, int bin, double gain, const float *scale,
                   phasor *voltage, phasor *current) {
    phasor z = bin_at(halves, bin, phase);
    phasor mirror = bin_at(halves, (SPECTRUM_CELLS - bin) % SPECTRUM_CELLS, phase);
    float v_scale = scale[phase], i_scale = scale[phase + HALF_LANES];
    double v_gain = v_scale > 0 ? gain / (double)v_scale : 0;
    double i_gain = i_scale > 0 ? gain / (double)i_scale : 0;
    *voltage = (phasor){(z.re + mirror.re) * v_gain, (z.im - mirror.im) * v_gain};
    *current = (phasor){(z.im + mirror.im) * i_gain, (mirror.re - z.re) * i_gain};
}

static phasor turned_back(phasor z, double angle) {
    double c = cos(angle), s = sin(angle);
    return (phasor){z.re * c + z.im * s, z.im * c - z.re * s};
}

/* By how much a channel's phasors lead: the same at all bins, and in proportion to the bin. */
typedef struct {
    double fixed, per_bin;
} phase_lead;

static phase_lead lead_of(const dcpi_cycles *cycles, int channel, double skew_s, double length) {
    const dcpi_correction *correction = cycles->corrections + channel;
    double late_s = correction->delay_s + skew_s;
    return (phase_lead){correction->phase_rad, TWO_PI * late_s * cycles->time_rate_hz / length};
}

static void take_bins(const dcpi_cycles *cycles, const float *halves, int phase, double length,
                      const float *scale, cycle_spectrum *spectrum) {
    int phases = cycles->config.phases;
    double *v_bins = spectrum->bins + phase * SPECTRUM_BINS;
    double *i_bins = spectrum->bins + (phase + phases) * SPECTRUM_BINS;
    phase_lead v_lead = lead_of(cycles, phase, 0, length);
    phase_lead i_lead = lead_of(cycles, phases + phase, cycles->config.skew_s[phase], length);
    int leads =
        v_lead.fixed != 0 || v_lead.per_bin != 0 || i_lead.fixed != 0 || i_lead.per_bin != 0;
    spectrum->turned_power[phase] = 0;
    for (int bin = 0; bin < spectrum->bin_count; bin++) {
        phasor voltage, current;
        /* Half of the sum of both mirror images, over the length; the peak by sqrt(2). */
        double gain =
            cycle_scratch_of(cycles->workspace)->gain[bin] / length * (bin == 0 ? 0.5 : M_SQRT1_2);
        unpack(halves, phase, bin, gain, scale, &voltage, &current);
        if (leads && bin > 0) {
            double before = times_conjugate(voltage, current).re;
            voltage = turned_back(voltage, v_lead.fixed + v_lead.per_bin * bin);
            current = turned_back(current, i_lead.fixed + i_lead.per_bin * bin);
            spectrum->turned_power[phase] += times_conjugate(voltage, current).re - before;
        }
        v_bins[bin] = square(voltage.re) + square(voltage.im);
        i_bins[bin] = square(current.re) + square(current.im);
        if (bin == cycles->cycles_per_interval) {
            spectrum->fundamental[phase] = voltage;
            spectrum->fundamental[phase + phases] = current;
        }
    }
}

void dcpi_cycle_spectrum(dcpi_cycles *cycles, double start, double end, cycle_spectrum *spectrum) {
    int32_t edge = cycles->edge_samples;
    edged_span span = {start, end, edge, (int64_t)ceil(start) - edge, (int64_t)floor(end) + edge};
    _Alignas(32) float scale[CYCLE_LANES];
    sum_levels(cycles, &span, spectrum);
    for (int lane = 0; lane < CYCLE_LANES; lane++) {
        double level = spectrum->mean_square[lane];
        scale[lane] = level > 0 ? (float)(1 / sqrt(level)) : 0;
    }
    spread_span(cycles, &span, cells_at(scale));
    const float *halves = transform(cycle_scratch_of(cycles->workspace));
    double reachable = floor(BIN_SHARE * (end - start));
    spectrum->bin_count = reachable < SPECTRUM_BINS - 1 ? (int32_t)reachable + 1 : SPECTRUM_BINS;
    spectrum->bins = cycle_scratch_of(cycles->workspace)->bins;
    for (int phase = 0; phase < cycles->config.phases; phase++)
        take_bins(cycles, halves, phase, end - start, scale, spectrum);
}
