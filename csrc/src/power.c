/* The quantities of one phase; definitions of IEEE Std 1459-2010, clause 3.1.2. */
#include "internal.h"

/* Below either share of its AC power a fundamental may be the noise's own: the Hann window lets
 * 3/N of white noise into one order, and ten times that comes by chance once in e^10. */
static const double PRESENT_SHARE_MIN = 0.01;
static const double PRESENT_NOISE_SHARE = 30;

/* Single precision rounds a mean square by less than this. */
static const double ROUNDING_SHARE = 1e-6;

enum { PHASE_VALUES = offsetof(dcpi_phase, flags) / sizeof(double) };

WIDER_CLONES static void fill_unknown(double *values) {
    for (int k = 0; k < PHASE_VALUES; k++)
        values[k] = NAN;
}

/* All values, and no flags. */
void dcpi_phase_unknown(dcpi_phase *phase) {
    fill_unknown(&phase->v_rms);
    phase->flags = 0;
    phase->h_max = phase->v_clipped_samples = phase->i_clipped_samples = 0;
}

static double ratio(double value, double by) {
    return by > 0 ? value / by : NAN;
}

/* Without a line frequency there are no whole periods: means over all samples. */
void dcpi_phase_plain(const phase_level *level, dcpi_phase *phase) {
    phase->v_rms = sqrt(level->voltage.mean_square);
    phase->i_rms = sqrt(level->current.mean_square);
    phase->v_dc = level->voltage.mean;
    phase->i_dc = level->current.mean;
    phase->p_w = level->mean_power;
    phase->s_va = phase->v_rms * phase->i_rms;
    phase->n_va = sqrt(fmax(square(phase->s_va) - square(phase->p_w), 0));
    phase->crest_v = ratio(level->voltage.peak, phase->v_rms);
    phase->crest_i = ratio(level->current.peak, phase->i_rms);
}

static double degrees(phasor z) {
    return atan2(z.im, z.re) * (360 / TWO_PI);
}

static int is_present(const dcpi_window *window, const channel_level *level, double ac_square,
                      double fundamental) {
    double share = fmax(PRESENT_SHARE_MIN, PRESENT_NOISE_SHARE / window->samples);
    /* What stands at the window's edges only has next to no weight, but is there. */
    double largest_square = fmax(ac_square, level->variance);
    return level->variance > 0 && square(fundamental) >= fmin(share, 0.5) * largest_square;
}

/* One channel's orders, 0 where there is none; order 0 has no part in it. */
typedef struct {
    _Alignas(32) float rms[ORDERS_PADDED], deg[ORDERS_PADDED];
    float fundamental_square, harmonics; /* harmonics: sum of the squares of orders 2 to h_max */
    float weighted;                      /* sum of the squares of order * rms, from order 1 on */
} polar_spectrum;

/* The phasors of each lane in a row of its own. */
typedef struct {
    _Alignas(32) float re[LANES][ORDERS_PADDED], im[LANES][ORDERS_PADDED];
} lane_spectra;

/* Arc tangent of 0 to 1, times 180 / pi: M. Abramowitz, I. Stegun, Handbook of Mathematical
 * Functions, 1964, 4.4.49; 2e-8 rad. */
INLINE float arc_degrees(float t) {
    static const float terms[] = {0.0028662257f,  -0.0161657367f, 0.0429096138f,
                                  -0.0752896400f, 0.1065626393f,  -0.1420889944f,
                                  0.1999355085f,  -0.3333314528f, 1};
    float y = t * t, sum = terms[0];
    for (int k = 1; k < 9; k++)
        sum = sum * y + terms[k];
    return sum * t * 57.2957795f;
}

/* `off` is the turn of order 1 in degrees, which is taken back. */
WIDER_CLONES static void to_polar(const float *re, const float *im, float off, int32_t h_max,
                                  polar_spectrum *polar) {
    int32_t count = h_max / LANES * LANES + LANES;
    for (int32_t k = 0; k < count; k++) {
        float x = fabsf(re[k]), y = fabsf(im[k]);
        float large = x > y ? x : y, small = x > y ? y : x;
        float angle = arc_degrees(small / (large + 1e-37f));
        /* Masks and signs, as blending takes longer. */
        angle = fabsf(angle - (x > y ? 0 : 90));
        angle = fabsf(angle - (re[k] < 0 ? 180 : 0));
        angle = copysignf(angle, im[k]) - (float)k * off;
        angle -= angle > 180 ? 360 : 0;
        polar->deg[k] = angle + (angle < -180 ? 360 : 0);
        polar->rms[k] = sqrtf(re[k] * re[k] + im[k] * im[k]);
    }
    float harmonics = 0, weighted = 0;
    for (int32_t k = 2; k < count; k++) {
        float value = polar->rms[k] * polar->rms[k];
        harmonics += value;
        weighted += (float)(k * k) * value;
    }
    polar->fundamental_square = polar->rms[1] * polar->rms[1];
    polar->harmonics = harmonics;
    polar->weighted = weighted + polar->fundamental_square;
}

/* Eight orders at once: what is read as one vector shall be written as one. */
WIDER_CLONES static void to_rows(const float *cells, int32_t h_max, eight *rows) {
    for (int32_t order = 0; order < ORDERS_PADDED; order += LANES)
        for (int half = 0; half < 2; half++) {
            four from[LANES], lower[EACH_KIND], upper[EACH_KIND];
            for (int32_t k = 0; k < LANES; k++)
                from[k] = order + k > 0 && order + k <= h_max
                              ? ((const four *)cells)[2 * (order + k) + half]
                              : (four){0};
            transpose(from, lower);
            transpose(from + 4, upper);
            eight *to = rows + (half * EACH_KIND * ORDERS_PADDED + order) / LANES;
            for (int k = 0; k < EACH_KIND; k++)
                to[k * ORDERS_PADDED / LANES] =
                    __builtin_shufflevector(lower[k], upper[k], 0, 1, 2, 3, 4, 5, 6, 7);
        }
}

/* The fold's frequency turned the window's middle to where the first sample would have been. */
static float middle_turn(const dcpi_window *window, const fold_result *folded) {
    return (float)((folded->frequency_hz - folded->folded_hz) / window->sample_rate_hz *
                   folded->span.centre * 360);
}

WIDER_CLONES static void fill_orders(const polar_spectrum *polar, double unit, int32_t last,
                                     double *rms, double *deg) {
    for (int32_t order = 1; order <= last; order++) {
        rms[order] = unit * (double)polar->rms[order];
        deg[order] = (double)polar->deg[order];
    }
}

typedef struct {
    double harmonics; /* rms of orders 2 to h_max */
    double k_factor;
} distortion;

static distortion distortion_of(double unit, const polar_spectrum *polar, int is_sharp) {
    double harmonics = (double)polar->harmonics;
    if (!is_sharp)
        return (distortion){NAN, NAN};
    return (distortion){
        unit * sqrt(harmonics),
        ratio((double)polar->weighted, harmonics + (double)polar->fundamental_square)};
}

static void fill_fundamental(phasor voltage, phasor current, dcpi_phase *phase) {
    phasor power = times_conjugate(voltage, current);
    phase->v1_rms = magnitude(voltage);
    phase->i1_rms = magnitude(current);
    phase->p1_w = power.re;
    phase->q1_var = power.im;
    phase->s1_va = phase->v1_rms * phase->i1_rms;
}

static void fill_ratios(const phase_level *level, int has_voltage, int has_current,
                        dcpi_phase *phase) {
    phase->crest_v = ratio(level->voltage.peak, phase->v_rms);
    phase->crest_i = ratio(level->current.peak, phase->i_rms);
    if (!has_voltage || !has_current)
        return;
    phase->pf = ratio(phase->p_w, phase->s_va);
    phase->dpf = ratio(phase->p1_w, phase->s1_va);
    phase->phi1_deg = degrees((phasor){phase->p1_w, phase->q1_var});
}

static void fill_distortion(const dcpi_window *window, distortion voltage, distortion current,
                            int has_voltage, int has_current, dcpi_phase *phase) {
    if (has_voltage) {
        phase->thd_v_percent = 100 * voltage.harmonics / phase->v1_rms;
        phase->thdr_v_percent =
            100 * voltage.harmonics / magnitude((phasor){voltage.harmonics, phase->v1_rms});
    }
    if (has_current) {
        phase->thd_i_percent = 100 * current.harmonics / phase->i1_rms;
        phase->thdr_i_percent =
            100 * current.harmonics / magnitude((phasor){current.harmonics, phase->i1_rms});
        phase->k_factor = current.k_factor;
    }
    phase->tdd_percent = 100 * ratio(current.harmonics, window->demand_current_a);
}

/* rms of all but the fundamental: DC, orders, and what is between and above them. The difference of
 * two squares says it only where it is more than their rounding. */
static double nonfundamental(const fold_result *folded, const polar_spectrum *polar, int lane,
                             double mean_square) {
    double unit_square = square(folded->unit[lane]);
    double orders = square(folded->means.first[lane]) + unit_square * (double)polar->harmonics;
    double first = unit_square * (double)polar->fundamental_square;
    double between = mean_square - first - orders;
    return sqrt(orders + (between > ROUNDING_SHARE * mean_square ? between : 0));
}

static void fill_nonfundamental(double v_h, double i_h, dcpi_phase *phase) {
    phase->n_va = sqrt(fmax(square(phase->s_va) - square(phase->p_w), 0));
    phase->di_va = phase->v1_rms * i_h;
    phase->dv_va = v_h * phase->i1_rms;
    phase->sh_va = v_h * i_h;
}

/* What the orders of a channel tell beside their own values. */
typedef struct {
    double nonfundamental;
    distortion orders;
} channel_rest;

static channel_rest fill_channel(const dcpi_window *window, const fold_result *folded,
                                 const lane_spectra *spectra, int lane, int smears, double *rms,
                                 double *deg) {
    polar_spectrum polar;
    double unit = folded->unit[lane], mean_square = fmax(folded->means.square[lane], 0);
    to_polar(spectra->re[lane], spectra->im[lane], middle_turn(window, folded), folded->h_max,
             &polar);
    fill_orders(&polar, unit, smears ? 1 : folded->h_max, rms, deg);
    rms[0] = fabs(folded->means.first[lane]);
    return (channel_rest){nonfundamental(folded, &polar, lane, mean_square),
                          distortion_of(unit, &polar, !smears)};
}

static void fill_harmonics(const dcpi_window *window, const fold_result *folded,
                           const lane_spectra *spectra, int index, int has_voltage, int has_current,
                           dcpi_phase *phase) {
    int v_smears = has_voltage && folded->verdict[index].smears;
    int i_smears = has_current && folded->verdict[window->phases + index].smears;
    channel_rest voltage = fill_channel(window, folded, spectra, index, v_smears,
                                        phase->v_harmonics_rms, phase->v_harmonics_deg);
    channel_rest current = fill_channel(window, folded, spectra, LANE_CURRENT + index, i_smears,
                                        phase->i_harmonics_rms, phase->i_harmonics_deg);
    fill_nonfundamental(voltage.nonfundamental, current.nonfundamental, phase);
    fill_distortion(window, voltage.orders, current.orders, has_voltage, has_current, phase);
}

static void fill_phase(const dcpi_window *window, const phase_level *level,
                       const fold_result *folded, const lane_spectra *spectra, int index,
                       dcpi_phase *phase) {
    int lane_i = LANE_CURRENT + index;
    const weighted_means *means = &folded->means;
    const steady_verdict *of_voltage = folded->verdict + index;
    const steady_verdict *of_current = folded->verdict + window->phases + index;
    double v_square = fmax(means->square[index], 0), i_square = fmax(means->square[lane_i], 0);
    phase->h_max = folded->h_max;
    phase->v_rms = sqrt(v_square);
    phase->i_rms = sqrt(i_square);
    phase->v_dc = means->first[index];
    phase->i_dc = means->first[lane_i];
    phase->s_va = phase->v_rms * phase->i_rms;
    fill_fundamental(order_of(folded, index, 1), order_of(folded, lane_i, 1), phase);
    int has_voltage =
        is_present(window, &level->voltage, v_square - square(phase->v_dc), phase->v1_rms);
    int has_current =
        is_present(window, &level->current, i_square - square(phase->i_dc), phase->i1_rms);
    phase->flags |= has_voltage ? of_voltage->flags : DCPI_NO_SIGNAL;
    phase->flags |= has_current ? of_current->flags : DCPI_NO_CURRENT;
    if (of_voltage->uneven || of_current->uneven)
        phase->flags |= DCPI_NON_STATIONARY;
    fill_ratios(level, has_voltage, has_current, phase);
    fill_harmonics(window, folded, spectra, index, has_voltage, has_current, phase);
}

void dcpi_phases_power(const dcpi_window *window, const phase_level *levels,
                       const fold_result *folded, dcpi_phase *phases) {
    lane_spectra spectra;
    to_rows(folded->re, folded->h_max, (eight *)spectra.re);
    to_rows(folded->im, folded->h_max, (eight *)spectra.im);
    for (int k = 0; k < window->phases; k++)
        if (!is_void(levels + k)) {
            phases[k].p_w = folded->means.power[k] + folded->added_power[k];
            phases[k].p_mean_w += folded->added_power[k];
            fill_phase(window, levels + k, folded, &spectra, k, phases + k);
        }
}
