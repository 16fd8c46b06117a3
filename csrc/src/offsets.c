/* DC of each channel, and what it does to the power.
 *
 * A DC of the voltage times the current's fundamental is a ripple at the line frequency, which a
 * mean over half a cycle only makes smaller: 1 % of DC in all channels moves the mean by 1 % of the
 * power. The mean over one cycle is the DC and what a changing amplitude leaves, which has the
 * opposite sign half a cycle later: the mean of two such means is free of it where the power ramps.
 * The median of several is free of steps. */
#include "events_internal.h"

static double median(const double *values) {
    double sorted[DCPI_OFFSETS] = {values[0]};
    for (int32_t k = 0; k < DCPI_OFFSETS; k++) {
        int32_t at = k;
        for (; at > 0 && sorted[at - 1] > values[k]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[k];
    }
    return sorted[DCPI_OFFSETS / 2];
}

static const double *cells_of(const dcpi_events *events, int channel) {
    return channel < DCPI_PHASES_MAX ? events->volt_cell[channel]
                                     : events->ampere_cell[channel - DCPI_PHASES_MAX];
}

/* What the last one and a half cycles up to `end` say, in cells from the first kept one. */
static void look(dcpi_events *events, double end, double half_cells) {
    dcpi_offset_search *search = &events->offsets;
    double found[2 * DCPI_PHASES_MAX] = {0};
    for (int k = 0; k < 2 * DCPI_PHASES_MAX; k++) {
        if (k % DCPI_PHASES_MAX >= events->config.phases)
            continue;
        const double *cells = cells_of(events, k);
        double all = dcpi_mean_between(cells, end - 3 * half_cells, end);
        double middle = dcpi_mean_between(cells, end - 2 * half_cells, end - half_cells);
        found[k] = 0.75 * all + 0.25 * middle; /* the mean of two cycles, half a cycle apart */
        if (!isfinite(found[k]))
            return;
    }
    int64_t slot = search->looked++ % DCPI_OFFSETS;
    for (int k = 0; k < 2 * DCPI_PHASES_MAX; k++) {
        search->recent[k][slot] = found[k];
        if (search->looked >= DCPI_OFFSETS)
            search->dc[k] = median(search->recent[k]);
    }
}

/* The ripple of one cell goes; the power of the DC itself stays. */
static void remove_ripple(dcpi_events *events, int32_t cell) {
    const double *dc = events->offsets.dc;
    double squares = 0;
    for (int32_t k = 0; k < events->config.phases; k++) {
        double dc_v = dc[k], dc_a = dc[k + DCPI_PHASES_MAX];
        double volt = events->volt_cell[k][cell] - dc_v;
        events->power_cell[cell] -= dc_v * (events->ampere_cell[k][cell] - dc_a) + dc_a * volt;
        squares += events->square_cell[k][cell] - 2 * dc_v * volt;
    }
    events->square_sum_cell[cell] = squares;
}

void dcpi_offsets_take(dcpi_events *events, int32_t first, int32_t end, double half_cells) {
    /* Cell by cell, so that it does not matter how the samples are cut into blocks. */
    for (int32_t cell = first; cell < end; cell++) {
        remove_ripple(events, cell);
        int64_t position = events->cells_gone + cell + 1;
        if (position < events->offsets.next || cell + 1 < 3 * half_cells)
            continue;
        look(events, cell + 1, half_cells);
        events->offsets.next = position + (int64_t)(2 * half_cells); /* once a cycle */
    }
}
