/* The quantities of one phase; definitions of IEEE Std 1459-2010, clause 3.1.2. */
#include "internal.h"

/* Below either share of its AC power a fundamental may be the noise's own: the Hann window lets
 * 3/N of white noise into one order, and ten times that comes by chance once in e^10. */
static const double PRESENT_SHARE_MIN = 0.01;
static const double PRESENT_NOISE_SHARE = 30;

/* Single precision rounds a mean square by less than this. */
static const double ROUNDING_SHARE = 1e-6;

/* All values of a phase without flags. */
void dcpi_phase_unknown(dcpi_phase *phase) {
    double *values = &phase->v_rms;
    ptrdiff_t count = phase->i_harmonics_deg + DCPI_ORDERS - values;
    for (ptrdiff_t k = 0; k < count; k++)
        values[k] = NAN;
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

/* Magnitudes and angles of all orders of all lanes. */
typedef struct {
    float rms[DCPI_ORDERS * LANES];
    float deg[DCPI_ORDERS * LANES];
    float harmonics[LANES]; /* square of orders 2 to h_max */
    float weighted[LANES];  /* squares of order * rms, from order 1 on */
} polar_spectrum;

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

WIDER_CLONES static void to_polar(const float *re, const float *im, int32_t cells, float *rms,
                                  float *deg) {
    for (int32_t k = 0; k < cells; k++) {
        float x = fabsf(re[k]), y = fabsf(im[k]);
        float large = x > y ? x : y, small = x > y ? y : x;
        float angle = arc_degrees(small / (large + 1e-37f));
        angle = x > y ? angle : 90 - angle;
        angle = re[k] < 0 ? 180 - angle : angle;
        deg[k] = im[k] < 0 ? -angle : angle;
        rms[k] = sqrtf(re[k] * re[k] + im[k] * im[k]);
    }
}

WIDER_CLONES static void sum_orders(int32_t h_max, polar_spectrum *polar) {
    for (int lane = 0; lane < LANES; lane++) {
        polar->harmonics[lane] = 0;
        polar->weighted[lane] = polar->rms[LANES + lane] * polar->rms[LANES + lane];
    }
    for (int32_t order = 2; order <= h_max; order++) {
        float order_square = (float)(order * order);
        for (int lane = 0; lane < LANES; lane++) {
            float value = polar->rms[order * LANES + lane];
            polar->harmonics[lane] += value * value;
            polar->weighted[lane] += order_square * value * value;
        }
    }
}

/* The fold's frequency turned the window's middle to where the first sample would have been. */
WIDER_CLONES static void refer_to_first_sample(const dcpi_window *window, const fold_result *folded,
                                               polar_spectrum *polar) {
    float off = (float)((folded->frequency_hz - folded->folded_hz) / window->sample_rate_hz *
                        folded->span.centre * 360);
    for (int32_t order = 1; order <= folded->h_max; order++)
        for (int lane = 0; lane < LANES; lane++) {
            float deg = polar->deg[order * LANES + lane] - (float)order * off;
            deg = deg > 180 ? deg - 360 : deg;
            polar->deg[order * LANES + lane] = deg < -180 ? deg + 360 : deg;
        }
}

static void fill_harmonics(const fold_result *folded, const polar_spectrum *polar, int lane,
                           int is_sharp, double *rms, double *deg) {
    double unit = folded->unit[lane];
    int32_t last = is_sharp ? folded->h_max : 1;
    for (int32_t order = 0; order <= last; order++) {
        rms[order] = unit * (double)polar->rms[order * LANES + lane];
        deg[order] = (double)polar->deg[order * LANES + lane];
    }
    rms[0] = fabs(folded->means.first[lane]);
    deg[0] = NAN;
}

typedef struct {
    double harmonics; /* rms of orders 2 to h_max */
    double k_factor;
} distortion;

static distortion distortion_of(const fold_result *folded, const polar_spectrum *polar, int lane,
                                int is_sharp) {
    double harmonics = (double)polar->harmonics[lane];
    double all = harmonics + square((double)polar->rms[LANES + lane]);
    if (!is_sharp)
        return (distortion){NAN, NAN};
    return (distortion){folded->unit[lane] * sqrt(harmonics),
                        ratio((double)polar->weighted[lane], all)};
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
        phase->thdr_v_percent = 100 * voltage.harmonics / hypot(voltage.harmonics, phase->v1_rms);
    }
    if (has_current) {
        phase->thd_i_percent = 100 * current.harmonics / phase->i1_rms;
        phase->thdr_i_percent = 100 * current.harmonics / hypot(current.harmonics, phase->i1_rms);
        phase->k_factor = current.k_factor;
    }
    phase->tdd_percent = 100 * ratio(current.harmonics, window->demand_current_a);
}

/* rms of all but the fundamental: DC, orders, and what is between and above them. The difference of
 * two squares says it only where it is more than their rounding. */
static double nonfundamental(const fold_result *folded, const polar_spectrum *polar, int lane,
                             double mean_square) {
    double unit_square = square(folded->unit[lane]);
    double orders =
        square(folded->means.first[lane]) + unit_square * (double)polar->harmonics[lane];
    double first = square((double)polar->rms[LANES + lane]) * unit_square;
    double between = mean_square - first - orders;
    return sqrt(orders + (between > ROUNDING_SHARE * mean_square ? between : 0));
}

static void fill_nonfundamental(double v_h, double i_h, dcpi_phase *phase) {
    phase->n_va = sqrt(fmax(square(phase->s_va) - square(phase->p_w), 0));
    phase->di_va = phase->v1_rms * i_h;
    phase->dv_va = v_h * phase->i1_rms;
    phase->sh_va = v_h * i_h;
}

static void fill_phase(const dcpi_window *window, const phase_level *level,
                       const fold_result *folded, const polar_spectrum *polar, int index,
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
    fill_nonfundamental(nonfundamental(folded, polar, index, v_square),
                        nonfundamental(folded, polar, lane_i, i_square), phase);
    int v_sharp = !(has_voltage && of_voltage->smears);
    int i_sharp = !(has_current && of_current->smears);
    fill_harmonics(folded, polar, index, v_sharp, phase->v_harmonics_rms, phase->v_harmonics_deg);
    fill_harmonics(folded, polar, lane_i, i_sharp, phase->i_harmonics_rms, phase->i_harmonics_deg);
    fill_distortion(window, distortion_of(folded, polar, index, v_sharp),
                    distortion_of(folded, polar, lane_i, i_sharp), has_voltage, has_current, phase);
}

void dcpi_phases_power(const dcpi_window *window, const phase_level *levels,
                       const fold_result *folded, dcpi_phase *phases) {
    polar_spectrum polar;
    to_polar(folded->re, folded->im, (folded->h_max + 1) * LANES, polar.rms, polar.deg);
    sum_orders(folded->h_max, &polar);
    refer_to_first_sample(window, folded, &polar);
    for (int k = 0; k < window->phases; k++)
        if (!is_void(levels + k)) {
            phases[k].p_w = folded->means.power[k] + folded->added_power[k];
            phases[k].p_mean_w += folded->added_power[k];
            fill_phase(window, levels + k, folded, &polar, k, phases + k);
        }
}
