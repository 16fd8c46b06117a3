/* What is known of each channel's sensor, taken out of its samples and of its phasors. */
#include "internal.h"

dcpi_correction dcpi_correction_of(const dcpi_window *window, int channel) {
    return window->corrections ? window->corrections[channel] : (dcpi_correction){1, 0, 0, 0};
}

/* The angle by which a channel's phasors lead: a part that is the same at every order, and one that
 * grows with the order as that of a time does. */
typedef struct {
    double constant, per_order; /* rad */
} lead;

static lead lead_of(const dcpi_window *window, int channel, double frequency_hz) {
    dcpi_correction correction = dcpi_correction_of(window, channel);
    double skew_s = channel < window->phases ? 0 : window->skew_s[channel - window->phases];
    return (lead){correction.phase_rad, TWO_PI * frequency_hz * (correction.delay_s + skew_s)};
}

static void turn_back(lead by, int lane, fold_result *folded) {
    if (by.constant == 0 && by.per_order == 0)
        return;
    for (int32_t order = 1; order <= folded->h_max; order++) {
        double angle = by.constant + order * by.per_order;
        float c = (float)cos(angle), s = (float)sin(angle);
        float *re = folded->re + order * LANES + lane, *im = folded->im + order * LANES + lane;
        float turned_re = *re * c + *im * s;
        *im = *im * c - *re * s;
        *re = turned_re;
    }
}

/* Mean of the product of two lanes by all their orders but DC. */
static double product_mean(const fold_result *folded, int x, int y) {
    double sum = 0;
    for (int32_t order = 1; order <= folded->h_max; order++)
        sum += times_conjugate(order_of(folded, x, order), order_of(folded, y, order)).re;
    return sum;
}

/* Add `sign` times what the orders say to the means of products: once with what was, negative, and
 * once with what is, so that what is no order stays as it was measured. */
static void add_products(const dcpi_window *window, double sign, fold_result *folded) {
    for (int k = 0; k < window->phases; k++) {
        folded->added_power[k] += sign * product_mean(folded, k, LANE_CURRENT + k);
        if (window->phases < DCPI_PHASES_MAX)
            continue;
        int next = (k + 1) % window->phases;
        folded->means.square[LANE_SUM] += 2 * sign * product_mean(folded, k, next);
        folded->means.square[LANE_CURRENT + LANE_SUM] +=
            2 * sign * product_mean(folded, LANE_CURRENT + k, LANE_CURRENT + next);
    }
}

void dcpi_correct_angles(const dcpi_window *window, fold_result *folded) {
    int is_turned = 0;
    lead leads[CHANNELS_MAX];
    for (int k = 0; k < DCPI_PHASES_MAX; k++)
        folded->added_power[k] = 0;
    for (int channel = 0; channel < 2 * window->phases; channel++) {
        leads[channel] = lead_of(window, channel, folded->frequency_hz);
        is_turned |= leads[channel].constant != 0 || leads[channel].per_order != 0;
    }
    if (!is_turned)
        return;
    add_products(window, -1, folded);
    for (int channel = 0; channel < 2 * window->phases; channel++)
        turn_back(leads[channel], channel_lane(window, channel), folded);
    add_products(window, 1, folded);
}
