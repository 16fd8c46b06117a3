/* Urms(1/2): the rms over one cycle from a zero crossing of the fundamental on, refreshed every
 * half cycle (IEC 61000-4-30:2015, 5.4.1).
 *
 * A mean that slides over half a cycle halves every odd harmonic h times, removes the even ones and
 * noise, and lags the voltage by exactly half its length and a quarter of a period: it crosses zero
 * a quarter of a period after the fundamental does. */
#include <math.h>

#include "half_cycle.h"

/* A crossing counts from half a half-cycle after the last one on, which noise cannot reach unless
 * the voltage is gone; where none comes, the cycle goes on without (interruption). */
static const double GATE_OPENS = 0.5, GATE_CLOSES = 1.25; /* of half a cycle */

double dcpi_mean_between(const double *cells, double from, double to) {
    int32_t first = (int32_t)from, last = (int32_t)to; /* both positive: cut is floor */
    double sum = 0;
    for (int32_t k = first; k < last; k++)
        sum += cells[k];
    sum -= cells[first] * (from - first);
    if (to > last)
        sum += cells[last] * (to - last);
    return sum / (to - from);
}

void dcpi_half_cycle_init(dcpi_crossing_search *state) {
    state->sum = 0;
    state->sum_cells = 0;
    state->crossing = -1;
    state->is_positive = 0;
}

static double summed(const double *cells, int32_t end, int32_t count) {
    double sum = 0;
    for (int32_t k = end - count; k < end; k++)
        sum += cells[k];
    return sum;
}

/* The sliding sum with the newest cell; afresh where its length changed or it is no number. */
static double slide(dcpi_crossing_search *state, const dcpi_cell_view *view, int32_t length) {
    int32_t end = view->newest + 1;
    if (state->sum_cells != length || !isfinite(state->sum))
        state->sum = summed(view->volts, end, length);
    else
        state->sum += view->volts[end - 1] - view->volts[end - 1 - length];
    state->sum_cells = length;
    return state->sum;
}

/* The rms over the cycle that ends at `end`; 0 when its start is kept no more. */
static int measure(const dcpi_cell_view *view, double end, dcpi_cycle_rms *out) {
    double start = end - 2 * view->half_cells, gone = (double)view->gone;
    if (start < gone || end > gone + view->newest + 1)
        return 0;
    out->start = start;
    out->end = end;
    out->rms_v = sqrt(dcpi_mean_between(view->squares, start - gone, end - gone));
    return 1;
}

int dcpi_half_cycle_step(dcpi_crossing_search *state, const dcpi_cell_view *view,
                         dcpi_cycle_rms *out) {
    int32_t length = (int32_t)lrint(view->half_cells);
    if (view->newest < length)
        return 0;
    double before = state->sum;
    int was_begun = state->sum_cells == length, was_positive = state->is_positive;
    double now = slide(state, view, length);
    double position = (double)(view->gone + view->newest + 1); /* the newest cell's end */
    double since = (position - 0.5 * length - state->crossing) / view->half_cells;
    state->is_positive = now > 0;
    double crossing;
    if (was_begun && isfinite(before) && isfinite(now) && was_positive != state->is_positive &&
        (state->crossing < 0 || since >= GATE_OPENS))
        crossing = position - 1 + before / (before - now) - 0.5 * length;
    else if (state->crossing >= 0 && since > GATE_CLOSES)
        crossing = state->crossing + view->half_cells;
    else
        return 0;
    state->crossing = crossing;
    state->sum = summed(view->volts, view->newest + 1, length); /* rounding does not add up */
    return measure(view, crossing, out);
}
