/* All phases together; definitions of IEEE Std 1459-2010, clause 3.2. */
#include "internal.h"

static double ratio(double value, double by) {
    return by > 0 ? value / by : NAN;
}

void dcpi_total_unknown(dcpi_total *total) {
    for (double *value = &total->p_w; value <= &total->i_neutral; value++)
        *value = NAN;
}

static const double HALF_ROOT_3 = 0.866025403784438647;

/* rms of the three symmetrical components (C. L. Fortescue, 1918): zero, positive, negative. */
static void components(const fold_result *folded, int first_lane, double rms[3]) {
    phasor a = order_of(folded, first_lane, 1);
    for (int sequence = 0; sequence < 3; sequence++) {
        phasor sum = a;
        for (int phase = 1; phase < 3; phase++) {
            int turns = phase * sequence % 3;
            phasor back = {turns == 0 ? 1 : -0.5, turns == 0   ? 0
                                                  : turns == 1 ? -HALF_ROOT_3
                                                               : HALF_ROOT_3};
            phasor turned = times_conjugate(order_of(folded, first_lane + phase, 1), back);
            sum.re += turned.re;
            sum.im += turned.im;
        }
        rms[sequence] = magnitude(sum) / 3;
    }
}

/* Three voltages in phase have no positive sequence but noise, over which nothing is a percentage.
 */
static const double POSITIVE_SHARE_MIN = 0.1;

/* IEC 61000-4-30:2015 5.7: u2 and u0 over the positive sequence. */
static void fill_sequences(const fold_result *folded, dcpi_total *total, uint32_t *flags) {
    double v[3], i[3];
    components(folded, 0, v);
    components(folded, LANE_CURRENT, i);
    total->v_zero_rms = v[0];
    total->v_positive_rms = v[1];
    total->v_negative_rms = v[2];
    total->i_zero_rms = i[0];
    total->i_positive_rms = i[1];
    total->i_negative_rms = i[2];
    if (v[2] > v[1]) {
        *flags |= DCPI_REVERSED_SEQUENCE;
        return;
    }
    if (v[1] < POSITIVE_SHARE_MIN * v[0])
        return;
    total->u2_percent = 100 * ratio(v[2], v[1]);
    total->u0_percent = 100 * ratio(v[0], v[1]);
}

static double sum_of(const double values[DCPI_PHASES_MAX]) {
    return values[0] + values[1] + values[2];
}

/* Effective values of a four-wire system (3.2.3, with the neutral's resistance that of a line):
 * 3 Ie^2 = sum of I^2 + In^2, 18 Ve^2 = 3 * sum of V^2 + sum of the line-to-line V^2, which is 3 *
 * sum of V^2 less the square of the sum of V. */
static void fill_effective(const weighted_means *means, dcpi_total *total) {
    double i_square = sum_of(means->square + LANE_CURRENT), v_square = sum_of(means->square);
    double neutral_square = fmax(means->square[LANE_CURRENT + LANE_SUM], 0);
    double line_square = fmax(3 * v_square - means->square[LANE_SUM], 0);
    double effective_i = sqrt((i_square + neutral_square) / 3);
    double effective_v = sqrt((3 * v_square + line_square) / 18);
    total->i_neutral = sqrt(neutral_square);
    total->s_effective_va = 3 * effective_v * effective_i;
}

/* `folded` is null when the frequency is unknown. */
void dcpi_total_power(const dcpi_window *window, const fold_result *folded,
                      const dcpi_phase *phases, dcpi_total *total, uint32_t *flags) {
    uint32_t void_flags = 0;
    total->p_w = total->p_mean_w = total->q1_var = total->s_va = 0;
    for (int k = 0; k < window->phases; k++) {
        total->p_w += phases[k].p_w;
        total->p_mean_w += phases[k].p_mean_w;
        total->q1_var += phases[k].q1_var;
        total->s_va += phases[k].s_va;
        void_flags |= phases[k].flags & DCPI_NOT_FINITE;
    }
    if (!folded || void_flags)
        return;
    total->pf = ratio(total->p_w, total->s_va);
    if (window->phases < 3)
        return;
    fill_effective(&folded->means, total);
    total->pf_effective = ratio(total->p_w, total->s_effective_va);
    fill_sequences(folded, total, flags);
}
