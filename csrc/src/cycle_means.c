/* Aggregates of 10/12-cycle values: root-mean-square (IEC 61000-4-30:2015 4.5), powers and the
 * frequency by their plain mean. */
#include <string.h>

#include "cycles_internal.h"

enum { CHANNEL_VALUES = sizeof(dcpi_cycle_channel) / sizeof(double) };

static void add_squares(dcpi_cycle_channel *sum, const dcpi_cycle_channel *channel) {
    double *sums = &sum->rms;
    const double *values = &channel->rms;
    for (int k = 0; k < CHANNEL_VALUES; k++)
        sums[k] += square(values[k]);
}

static void take_roots(dcpi_cycle_channel *channel, double count) {
    double *values = &channel->rms;
    for (int k = 0; k < CHANNEL_VALUES; k++)
        values[k] = sqrt(values[k] / count);
}

void dcpi_cycle_sum_begin(dcpi_cycle_sum *sum) {
    memset(sum, 0, sizeof *sum);
    sum->active = 1;
    sum->values.h_max = DCPI_ORDER_MAX;
}

void dcpi_cycle_sum_add(dcpi_cycle_sum *sum, const dcpi_cycle_values *values) {
    dcpi_cycle_values *total = &sum->values;
    if (total->count == 0)
        total->start_ns = values->start_ns;
    total->end_ns = values->end_ns;
    total->phases = values->phases;
    total->count += values->count;
    total->flagged += values->flagged;
    total->cycles += values->cycles;
    total->flags |= values->flags;
    if (values->h_max < total->h_max)
        total->h_max = values->h_max;
    sum->seconds += values->duration_s;
    total->p_w += values->p_w;
    total->q1_var += values->q1_var;
    total->u2_percent += square(values->u2_percent);
    total->u0_percent += square(values->u0_percent);
    for (int k = 0; k < values->phases; k++) {
        total->phase[k].p_w += values->phase[k].p_w;
        total->phase[k].q1_var += values->phase[k].q1_var;
        add_squares(&total->phase[k].voltage, &values->phase[k].voltage);
        add_squares(&total->phase[k].current, &values->phase[k].current);
    }
}

void dcpi_cycle_sum_mean(const dcpi_cycle_sum *sum, dcpi_cycle_values *mean) {
    *mean = sum->values;
    double count = mean->count;
    mean->duration_s = sum->seconds;
    int assumed = (mean->flags & DCPI_CYCLE_NO_REFERENCE) != 0;
    mean->frequency_hz = assumed ? NAN : mean->cycles / sum->seconds;
    mean->p_w /= count;
    mean->q1_var /= count;
    mean->u2_percent = sqrt(mean->u2_percent / count);
    mean->u0_percent = sqrt(mean->u0_percent / count);
    for (int k = 0; k < mean->phases; k++) {
        mean->phase[k].p_w /= count;
        mean->phase[k].q1_var /= count;
        take_roots(&mean->phase[k].voltage, count);
        take_roots(&mean->phase[k].current, count);
    }
}
