/* Any bytes as a window: dcpi_analyze must end well and keep the promises of its header.
 *
 * For libFuzzer; without it fuzz_main.c makes the bytes. csrc/README.md has the commands. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_window.h"

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static dcpi_workspace workspace;

/* The samples in memory of exactly their size, so that ASan sees any step beyond. */
static void *samples_of(const fuzz_header *header, const uint8_t *payload, size_t cells) {
    size_t size = header->kind == FUZZ_FLOAT ? sizeof(float) : sizeof(double);
    void *samples = malloc(cells * size);
    PROMISE(samples != NULL);
    if (header->kind != FUZZ_STEPS) {
        memcpy(samples, payload, cells * size);
        return samples;
    }
    for (size_t k = 0; k < cells; k++) {
        int16_t steps;
        memcpy(&steps, payload + k * sizeof steps, sizeof steps);
        ((double *)samples)[k] = ldexp(steps, header->exponent);
    }
    return samples;
}

/* No infinity among so many bytes of doubles: a number, or NaN. */
static void check_no_infinity(const void *values, size_t size) {
    for (size_t offset = 0; offset < size; offset += sizeof(double)) {
        double value;
        memcpy(&value, (const uint8_t *)values + offset, sizeof value);
        PROMISE(!isinf(value));
    }
}

static void check_channel(double rms, double fundamental, const double *harmonics, int32_t h_max) {
    PROMISE(isnan(rms) || rms >= 0);
    PROMISE(isnan(fundamental) || fundamental >= 0);
    for (int32_t order = 0; order < DCPI_ORDERS; order++)
        PROMISE(isnan(harmonics[order]) || (order <= h_max && harmonics[order] >= 0));
}

static void check_phase(const dcpi_phase *phase) {
    check_no_infinity(phase, offsetof(dcpi_phase, flags));
    PROMISE(phase->h_max >= 0 && phase->h_max <= DCPI_ORDER_MAX);
    check_channel(phase->v_rms, phase->v1_rms, phase->v_harmonics_rms, phase->h_max);
    check_channel(phase->i_rms, phase->i1_rms, phase->i_harmonics_rms, phase->h_max);
    PROMISE(isnan(phase->dpf) || fabs(phase->dpf) < 1 + 1e-9);
    if (phase->flags & DCPI_NOT_FINITE)
        PROMISE(isnan(phase->v_rms) && isnan(phase->p_mean_w));
}

static void check(const dcpi_window *window, const dcpi_analysis *analysis) {
    uint32_t flags = 0;
    PROMISE(isnan(analysis->frequency_hz) || fabs(analysis->frequency_hz - 55.75) < 13.3);
    PROMISE(analysis->phases == window->phases);
    for (int32_t k = 0; k < DCPI_PHASES_MAX; k++) {
        check_phase(analysis->phase + k);
        flags |= analysis->phase[k].flags;
    }
    PROMISE((analysis->flags & flags) == flags);
    PROMISE(analysis->flags < 2 * DCPI_NEAR_HALF_RATE);
    check_no_infinity(&analysis->total, sizeof analysis->total);
}

/* Four values of each field by two bits of the code; those of even channels are turned round. */
static void fill_corrections(uint8_t code, dcpi_correction *corrections) {
    static const double gains[] = {1, 1e-6, 37.5, 1e9}, offsets[] = {0, 0.3, 2048, 1e15};
    static const double phases_rad[] = {0, 0.02, 0.5, 1e-9}, delays_s[] = {0, 1e-6, 1e-4, 0.01};
    for (int channel = 0; channel < 2 * DCPI_PHASES_MAX; channel++) {
        double sign = channel % 2 ? 1 : -1;
        corrections[channel] =
            (dcpi_correction){sign * gains[code & 3], sign * offsets[code >> 2 & 3],
                              sign * phases_rad[code >> 4 & 3], sign * delays_s[code >> 6]};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_header header;
    if (size < sizeof header)
        return 0;
    memcpy(&header, data, sizeof header);
    header.kind %= FUZZ_KINDS;
    int32_t phases = 1 + header.phases % DCPI_PHASES_MAX;
    size_t cells = (size - sizeof header) / 2 / fuzz_cell(header.kind);
    cells -= cells % (size_t)phases;
    void *voltage = samples_of(&header, data + sizeof header, cells);
    void *current =
        samples_of(&header, data + sizeof header + cells * fuzz_cell(header.kind), cells);
    int is_single = header.kind == FUZZ_FLOAT;
    double skew_s = header.skew_us * 1e-6;
    dcpi_correction corrections[2 * DCPI_PHASES_MAX];
    fill_corrections(header.correction, corrections);
    dcpi_window window = {.voltage = voltage,
                          .current = current,
                          .voltage_is_float32 = is_single,
                          .current_is_float32 = is_single,
                          .phases = phases,
                          .samples = (int32_t)(cells / (size_t)phases),
                          .sample_rate_hz = header.sample_rate_hz,
                          .nominal_hz = header.nominal_hz,
                          .demand_current_a = header.demand_current_a,
                          .skew_s = {skew_s, -skew_s, 0},
                          .corrections = header.correction ? corrections : NULL};
    dcpi_analysis first, second;
    memset(&first, 0xa5, sizeof first);
    second = first;
    dcpi_status status = dcpi_analyze(&window, &workspace, &first);
    if (status == DCPI_OK) {
        check(&window, &first);
        memset(&workspace, 0xff, sizeof workspace);
        PROMISE(dcpi_analyze(&window, &workspace, &second) == DCPI_OK);
    }
    /* The same again with another workspace; untouched when the window is refused. */
    PROMISE(memcmp(&first, &second, sizeof first) == 0);
    free(voltage);
    free(current);
    return 0;
}
