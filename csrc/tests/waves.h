/* Windows with known content, in memory of exactly their size so that ASan sees any step beyond. */
#ifndef DCPI_WAVES_H
#define DCPI_WAVES_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "dcpi_sampling.h"

#define TURN 6.283185307179586476925

typedef struct {
    double rate_hz, frequency_hz;
    int32_t samples, phases;
    double v_rms, i_rms, lag_deg;
    double v_dc, i_dc;
    double fifth; /* of the fundamental, voltage and current, in phase with it at order 5 */
} wave_recipe;

static const wave_recipe PLAIN = {12800, 50, 1280, 3, 230, 10, 30, 0, 0, 0};

static double tone(double rms, double turns, double fifth) {
    return sqrt(2) * rms * (cos(TURN * turns) + fifth * cos(5 * TURN * turns));
}

static double *voltage_of(const wave_recipe *recipe) {
    double *rows = malloc((size_t)(recipe->phases * recipe->samples) * sizeof *rows);
    for (int32_t k = 0; k < recipe->phases; k++)
        for (int32_t n = 0; n < recipe->samples; n++)
            rows[k * recipe->samples + n] =
                recipe->v_dc + tone(recipe->v_rms,
                                    recipe->frequency_hz * n / recipe->rate_hz - k / 3.0,
                                    recipe->fifth);
    return rows;
}

static double *current_of(const wave_recipe *recipe) {
    double *rows = malloc((size_t)(recipe->phases * recipe->samples) * sizeof *rows);
    for (int32_t k = 0; k < recipe->phases; k++)
        for (int32_t n = 0; n < recipe->samples; n++)
            rows[k * recipe->samples + n] =
                recipe->i_dc +
                tone(recipe->i_rms,
                     recipe->frequency_hz * n / recipe->rate_hz - k / 3.0 - recipe->lag_deg / 360,
                     recipe->fifth);
    return rows;
}

static dcpi_window window_of(const wave_recipe *recipe, const double *voltage,
                             const double *current) {
    dcpi_window window = {0};
    window.voltage = voltage;
    window.current = current;
    window.phases = recipe->phases;
    window.samples = recipe->samples;
    window.sample_rate_hz = recipe->rate_hz;
    return window;
}

#endif
