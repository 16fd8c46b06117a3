/* Urms(1/2) of one voltage, from cells: means over a few samples each. Not installed. */
#ifndef DCPI_HALF_CYCLE_H
#define DCPI_HALF_CYCLE_H

#include "dcpi_events.h"

/* Where the cells of one voltage stand. Positions count cells since the restart. */
typedef struct {
    const double *volts;   /* means */
    const double *squares; /* means of the squares */
    int64_t gone;          /* position of the first one */
    int32_t newest;        /* index of the last whole one */
    double half_cells;     /* length of half a cycle */
} dcpi_cell_view;

typedef struct {
    double rms_v; /* over one cycle; NaN where samples are none */
    double start, end;
} dcpi_cycle_rms;

/* Mean of cells from one position to another, counted from the first cell of the array. */
double dcpi_mean_between(const double *cells, double from, double to);

void dcpi_half_cycle_init(dcpi_crossing_search *state);

/* Take the newest cell; 1 when it completes a new Urms(1/2), which is then written. */
int dcpi_half_cycle_step(dcpi_crossing_search *state, const dcpi_cell_view *view,
                         dcpi_cycle_rms *out);

#endif
