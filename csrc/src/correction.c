/* What is known of each channel's sensor, taken out of its samples and of its phasors. */
#include "internal.h"

double dcpi_corrected(const dcpi_window *window, int channel, double sample) {
    if (!window->corrections)
        return sample;
    const dcpi_correction *correction = window->corrections + channel;
    return correction->gain * (sample - correction->offset);
}

void dcpi_correct_block(const dcpi_window *window, int channel, int32_t count, double *samples) {
    if (!window->corrections)
        return;
    double gain = window->corrections[channel].gain, offset = window->corrections[channel].offset;
    for (int32_t k = 0; k < count; k++)
        samples[k] = gain * (samples[k] - offset);
}

/* The angle by which a channel's phasors lead: a part that is the same at every order, and one that
 * grows with the order as that of a time does. */
typedef struct {
    double constant, per_order; /* rad */
} lead;

static lead lead_of(const dcpi_window *window, int channel, double frequency_hz) {
    lead found = {0, 0};
    double delay_s = channel < window->phases ? 0 : window->skew_s[channel - window->phases];
    if (window->corrections) {
        found.constant = window->corrections[channel].phase_rad;
        delay_s += window->corrections[channel].delay_s;
    }
    found.per_order = TWO_PI * frequency_hz * delay_s;
    return found;
}

static void turn_back(lead by, int32_t h_max, order_phasors *spectrum) {
    if (by.constant == 0 && by.per_order == 0)
        return;
    for (int32_t order = 1; order <= h_max; order++) {
        double angle = by.constant + order * by.per_order;
        phasor turn = {cos(angle), sin(angle)};
        spectrum->order[order] = times_conjugate(spectrum->order[order], turn);
    }
}

/* Mean of the product of two channels by all their orders but DC. */
static double product_mean(const order_phasors *x, const order_phasors *y, int32_t h_max) {
    double sum = 0;
    for (int32_t order = 1; order <= h_max; order++)
        sum += times_conjugate(x->order[order], y->order[order]).re;
    return sum;
}

/* Add `sign` times what the orders say to the means of products: once with what was, negative, and
 * once with what is, so that what is no order stays as it was measured. */
static void add_products(const dcpi_window *window, double sign, fold_result *folded) {
    int32_t h_max = folded->h_max;
    for (int k = 0; k < window->phases; k++) {
        const order_phasors *v = folded->voltage + k, *i = folded->current + k;
        folded->added_power[k] += sign * product_mean(v, i, h_max);
        if (window->phases < DCPI_PHASES_MAX)
            continue;
        int next = (k + 1) % window->phases;
        folded->means.voltage_cross[k] += sign * product_mean(v, folded->voltage + next, h_max);
        folded->means.current_cross[k] += sign * product_mean(i, folded->current + next, h_max);
    }
}

void dcpi_correct_angles(const dcpi_window *window, fold_result *folded) {
    int is_turned = 0;
    lead leads[CHANNELS_MAX];
    for (int channel = 0; channel < 2 * window->phases; channel++) {
        leads[channel] = lead_of(window, channel, folded->frequency_hz);
        is_turned |= leads[channel].constant != 0 || leads[channel].per_order != 0;
    }
    if (!is_turned)
        return;
    add_products(window, -1, folded);
    for (int k = 0; k < window->phases; k++) {
        turn_back(leads[k], folded->h_max, folded->voltage + k);
        turn_back(leads[window->phases + k], folded->h_max, folded->current + k);
    }
    add_products(window, 1, folded);
}
