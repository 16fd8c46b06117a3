/* Least squares of a level, a ramp, what the voltage does to the power, and ripple. */
#include "ramp_fit.h"

#include <math.h>

enum { COLUMNS = 5 };

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

/* The factor of each column, by Gram and Schmidt; the sum of squares that is left, or infinity when
 * a column adds nothing to those before it. */
static double solve(model *fitted, const dcpi_fit_window *seen, double *factor) {
    double left[DCPI_FIT_POINTS], upper[COLUMNS][COLUMNS];
    int points = seen->count;
    for (int k = 0; k < points; k++)
        left[k] = seen->power_w[k];
    for (int k = 0; k < fitted->count; k++) {
        double *column = fitted->column[k], whole = dot(column, column, points);
        for (int j = 0; j < k; j++) {
            upper[j][k] = dot(fitted->column[j], column, points) / upper[j][j];
            subtract(column, upper[j][k], fitted->column[j], points);
        }
        upper[k][k] = dot(column, column, points);
        if (!(upper[k][k] > 1e-9 * whole))
            return INFINITY;
        factor[k] = dot(column, left, points) / upper[k][k];
        subtract(left, factor[k], column, points);
    }
    for (int k = fitted->count - 1; k >= 0; k--)
        for (int j = k + 1; j < fitted->count; j++)
            factor[k] -= upper[k][j] * factor[j];
    return dot(left, left, points);
}

/* The integral of a ramp from 0 to 1 that begins at 0. */
static double ramp_integral(double t, double duration) {
    if (t <= 0)
        return 0;
    return t >= duration ? t - 0.5 * duration : 0.5 * t * t / duration;
}

/* A level, what the voltage does, and a ramp: always the last column. */
static int begin(model *fitted, const dcpi_fit_window *seen) {
    for (int k = 0; k < seen->count; k++) {
        fitted->column[0][k] = 1;
        fitted->column[1][k] = seen->swayed_w[k];
    }
    return fitted->count = 1 + seen->is_swayed;
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

static dcpi_fit result(model *fitted, const dcpi_fit_window *seen, double onset, double *factor) {
    dcpi_fit found = {onset, NAN, 0, 0, INFINITY};
    double error = solve(fitted, seen, factor), rise = factor[fitted->count - 1];
    if (!isfinite(error) || !(rise > 0))
        return found;
    found.error = error;
    found.before_w = factor[0];
    found.follow = seen->is_swayed ? factor[1] : 0;
    found.rise_w = rise;
    return found;
}

dcpi_fit dcpi_fit_ramp(const dcpi_fit_window *seen, double onset_ms, double duration_ms) {
    model fitted;
    double factor[COLUMNS] = {0};
    begin(&fitted, seen);
    add_ramp(&fitted, seen, onset_ms, duration_ms);
    return result(&fitted, seen, onset_ms, factor);
}

dcpi_fit dcpi_fit_rippled_step(const dcpi_fit_window *seen, double onset_ms) {
    model fitted;
    double factor[COLUMNS] = {0};
    int ripple = begin(&fitted, seen);
    add_ripple(&fitted, seen, onset_ms);
    add_ramp(&fitted, seen, onset_ms, 0);
    dcpi_fit found = result(&fitted, seen, onset_ms, factor);
    if (hypot(factor[ripple], factor[ripple + 1]) > RIPPLE_MAX * found.rise_w)
        found.error = INFINITY;
    return found;
}
