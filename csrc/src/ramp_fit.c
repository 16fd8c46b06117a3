/* Least squares of a level, a ramp, what the voltage does to the power, and ripple. */
#include "ramp_fit.h"

#include <math.h>

enum { COLUMNS = 3 }; /* of ripple and a ramp */

/* A single phase at a power factor of 0.8 ripples by 1.25 times its power. */
static const double RIPPLE_MAX = 1.3;

static const double TURN = 6.283185307179586476925;

typedef struct {
    double column[COLUMNS][DCPI_FIT_POINTS];
    int count;
} model;

static double dot(const double *a, const double *b, int count) {
    double sum = 0;
    for (int k = 0; k < count; k++)
        sum += a[k] * b[k];
    return sum;
}

static void subtract(double *from, double factor, const double *what, int count) {
    for (int k = 0; k < count; k++)
        from[k] -= factor * what[k];
}

static double mean_of(const double *values, int count) {
    double sum = 0;
    for (int k = 0; k < count; k++)
        sum += values[k];
    return sum / count;
}

void dcpi_fit_prepare(dcpi_fit_window *seen) {
    int points = seen->count;
    seen->mean_w = mean_of(seen->power_w, points);
    seen->swayed_mean_w = seen->is_swayed ? mean_of(seen->swayed_w, points) : 0;
    for (int k = 0; k < points; k++) {
        seen->left_w[k] = seen->power_w[k] - seen->mean_w;
        /* Without voltages it is no number. */
        seen->swing_w[k] = seen->is_swayed ? seen->swayed_w[k] - seen->swayed_mean_w : 0;
    }
    seen->swing_w2 = dot(seen->swing_w, seen->swing_w, points);
    seen->is_swayed = seen->swing_w2 > 0;
    seen->swing_share =
        seen->is_swayed ? dot(seen->swing_w, seen->left_w, points) / seen->swing_w2 : 0;
    subtract(seen->left_w, seen->swing_share, seen->swing_w, points);
}

/* A column without what a level and the voltage's swing explain of it. */
static void clear(const dcpi_fit_window *seen, double *column, double *mean, double *swing) {
    *mean = mean_of(column, seen->count);
    for (int k = 0; k < seen->count; k++)
        column[k] -= *mean;
    *swing = seen->is_swayed ? dot(seen->swing_w, column, seen->count) / seen->swing_w2 : 0;
    if (seen->is_swayed)
        subtract(column, *swing, seen->swing_w, seen->count);
}

/* The factor of each column, by Gram and Schmidt, the last of which is the ramp. No rise or a
 * column that adds nothing is no fit: the error is infinite. */
static dcpi_fit solve(model *fitted, const dcpi_fit_window *seen, double onset_ms, double *factor) {
    dcpi_fit found = {onset_ms, seen->mean_w, 0, seen->swing_share, 0, INFINITY};
    double left[DCPI_FIT_POINTS], upper[COLUMNS][COLUMNS], mean[COLUMNS], swing[COLUMNS];
    int points = seen->count;
    for (int k = 0; k < points; k++)
        left[k] = seen->left_w[k];
    for (int k = 0; k < fitted->count; k++) {
        double *column = fitted->column[k], whole = dot(column, column, points);
        clear(seen, column, mean + k, swing + k);
        for (int j = 0; j < k; j++) {
            upper[j][k] = dot(fitted->column[j], column, points) / upper[j][j];
            subtract(column, upper[j][k], fitted->column[j], points);
        }
        upper[k][k] = dot(column, column, points);
        if (!(upper[k][k] > 1e-9 * whole))
            return found;
        factor[k] = dot(column, left, points) / upper[k][k];
        subtract(left, factor[k], column, points);
    }
    for (int k = fitted->count - 1; k >= 0; k--) {
        for (int j = k + 1; j < fitted->count; j++)
            factor[k] -= upper[k][j] * factor[j];
        found.before_w -= factor[k] * mean[k];
        found.follow -= factor[k] * swing[k];
    }
    found.before_w -= found.follow * seen->swayed_mean_w;
    found.rise_w = factor[fitted->count - 1];
    if (found.rise_w > 0)
        found.error = dot(left, left, points);
    return found;
}

/* The integral of a ramp from 0 to 1 that begins at 0. */
static double ramp_integral(double t, double duration) {
    if (t <= 0)
        return 0;
    return t >= duration ? t - 0.5 * duration : 0.5 * t * t / duration;
}

static void add_ramp(model *fitted, const dcpi_fit_window *seen, double onset, double duration) {
    double half_cycle = seen->half_cycle_ms, *column = fitted->column[fitted->count++];
    for (int k = 0; k < seen->count; k++) {
        double t = seen->at_ms[k] - onset;
        column[k] =
            (ramp_integral(t, duration) - ramp_integral(t - half_cycle, duration)) / half_cycle;
    }
}

/* The mean of cos and sin at twice the line frequency from the onset on, until it is one over a
 * whole period of them. */
static void add_ripple(model *fitted, const dcpi_fit_window *seen, double onset) {
    double *cosine = fitted->column[fitted->count], *sine = fitted->column[fitted->count + 1];
    fitted->count += 2;
    for (int k = 0; k < seen->count; k++) {
        double turns = fmin(fmax((seen->at_ms[k] - onset) / seen->half_cycle_ms, 0), 1);
        cosine[k] = sin(TURN * turns) / TURN;
        sine[k] = (1 - cos(TURN * turns)) / TURN;
    }
}

dcpi_fit dcpi_fit_ramp(const dcpi_fit_window *seen, double onset_ms, double duration_ms) {
    model fitted = {.count = 0};
    double factor[COLUMNS] = {0};
    add_ramp(&fitted, seen, onset_ms, duration_ms);
    return solve(&fitted, seen, onset_ms, factor);
}

dcpi_fit dcpi_fit_rippled_step(const dcpi_fit_window *seen, double onset_ms) {
    model fitted = {.count = 0};
    double factor[COLUMNS] = {0};
    add_ripple(&fitted, seen, onset_ms);
    add_ramp(&fitted, seen, onset_ms, 0);
    dcpi_fit found = solve(&fitted, seen, onset_ms, factor);
    if (hypot(factor[0], factor[1]) > RIPPLE_MAX * found.rise_w)
        found.error = INFINITY;
    return found;
}
