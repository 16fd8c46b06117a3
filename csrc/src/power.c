/* The quantities of one phase; definitions of IEEE Std 1459-2010, clause 3.1.2. */
#include "internal.h"

/* Below either share of its AC power a fundamental may be the noise's own: the Hann window lets
 * 3/N of white noise into one order, and ten times that comes by chance once in e^10. */
static const double PRESENT_SHARE_MIN = 0.01;
static const double PRESENT_NOISE_SHARE = 30;

void dcpi_phase_unknown(dcpi_phase *phase) {
    double *first = &phase->v_rms, *end = phase->i_harmonics_deg + DCPI_ORDERS;
    *phase = (dcpi_phase){0};
    for (double *value = first; value < end; value++)
        *value = NAN;
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

typedef struct {
    double harmonics; /* rms of orders 2 to h_max */
    double k_factor;
} distortion;

static distortion fill_harmonics(const order_phasors *spectrum, int32_t h_max, int is_sharp,
                                 double *rms, double *deg) {
    double squares = 0, weighted = 0;
    int32_t last = is_sharp ? h_max : 1;
    for (int32_t order = 0; order <= last; order++) {
        rms[order] = magnitude(spectrum->order[order]);
        deg[order] = order == 0 ? NAN : degrees(spectrum->order[order]);
        if (order >= 2)
            squares += square(rms[order]);
        weighted += square(order * rms[order]);
    }
    if (!is_sharp)
        return (distortion){NAN, NAN};
    return (distortion){sqrt(squares), ratio(weighted, squares + square(rms[1]))};
}

static void fill_fundamental(phasor voltage, phasor current, dcpi_phase *phase) {
    phasor power = times_conjugate(voltage, current);
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

static void fill_nonfundamental(dcpi_phase *phase) {
    double v_h = sqrt(fmax(square(phase->v_rms) - square(phase->v1_rms), 0));
    double i_h = sqrt(fmax(square(phase->i_rms) - square(phase->i1_rms), 0));
    phase->n_va = sqrt(fmax(square(phase->s_va) - square(phase->p_w), 0));
    phase->di_va = phase->v1_rms * i_h;
    phase->dv_va = v_h * phase->i1_rms;
    phase->sh_va = v_h * i_h;
}

void dcpi_phase_power(const dcpi_window *window, const phase_level *level,
                      const fold_result *folded, int index, const steady_verdict *of_voltage,
                      const steady_verdict *of_current, dcpi_phase *phase) {
    const order_phasors *voltage = &folded->voltage[index], *current = &folded->current[index];
    double v_square = folded->means.voltage_square[index];
    double i_square = folded->means.current_square[index];
    phase->h_max = folded->h_max;
    phase->v_rms = sqrt(v_square);
    phase->i_rms = sqrt(i_square);
    phase->v_dc = voltage->order[0].re;
    phase->i_dc = current->order[0].re;
    phase->v1_rms = magnitude(voltage->order[1]);
    phase->i1_rms = magnitude(current->order[1]);
    phase->s_va = phase->v_rms * phase->i_rms;
    phase->p_w = folded->means.power[index] + folded->added_power[index];
    phase->p_mean_w += folded->added_power[index];
    int has_voltage =
        is_present(window, &level->voltage, v_square - square(phase->v_dc), phase->v1_rms);
    int has_current =
        is_present(window, &level->current, i_square - square(phase->i_dc), phase->i1_rms);
    phase->flags |= has_voltage ? of_voltage->flags : DCPI_NO_SIGNAL;
    phase->flags |= has_current ? of_current->flags : DCPI_NO_CURRENT;
    if (of_voltage->uneven || of_current->uneven)
        phase->flags |= DCPI_NON_STATIONARY;
    fill_fundamental(voltage->order[1], current->order[1], phase);
    fill_ratios(level, has_voltage, has_current, phase);
    fill_nonfundamental(phase);
    distortion v_distortion =
        fill_harmonics(voltage, folded->h_max, !(has_voltage && of_voltage->smears),
                       phase->v_harmonics_rms, phase->v_harmonics_deg);
    distortion i_distortion =
        fill_harmonics(current, folded->h_max, !(has_current && of_current->smears),
                       phase->i_harmonics_rms, phase->i_harmonics_deg);
    fill_distortion(window, v_distortion, i_distortion, has_voltage, has_current, phase);
}
