/* As many windows as the argument says, for whoever counts instructions. */
#include <math.h>
#include <stdlib.h>

#include "dcpi_sampling.h"

enum { SAMPLES = 1280, ROWS = 3 };

static float voltage[ROWS * SAMPLES], current[ROWS * SAMPLES];
static dcpi_workspace workspace;
static dcpi_analysis analysis;

int main(int count, char **arguments) {
    int windows = count > 1 ? atoi(arguments[1]) : 1;
    for (int k = 0; k < ROWS * SAMPLES; k++) {
        double turns = 50.2 * (k % SAMPLES) / 12800 - k / SAMPLES / 3.0;
        double wave = cos(6.283185307179586 * turns) + 0.05 * cos(5 * 6.283185307179586 * turns);
        /* A tenth of a percent that repeats nowhere, so that no two samples are alike. */
        double blur = 0.001 * fmod(k * 0.6180339887, 1);
        voltage[k] = (float)(325 * (wave + blur));
        current[k] = (float)(22 * (wave - blur));
    }
    dcpi_window window = {.voltage = voltage,
                          .current = current,
                          .voltage_is_float32 = 1,
                          .current_is_float32 = 1,
                          .phases = ROWS,
                          .samples = SAMPLES,
                          .sample_rate_hz = 12800};
    for (int k = 0; k < windows; k++)
        if (dcpi_analyze(&window, &workspace, &analysis) != DCPI_OK)
            return 1;
    return 0;
}
