/* Ramps, as a mean over half a cycle shows them, fitted to a piece of it by least squares. */
#ifndef DCPI_RAMP_FIT_H
#define DCPI_RAMP_FIT_H

enum { DCPI_FIT_POINTS = 72 };

/* A piece of the sliding mean. */
typedef struct {
    double at_ms[DCPI_FIT_POINTS];
    double power_w[DCPI_FIT_POINTS];
    double swayed_w[DCPI_FIT_POINTS]; /* of it due to the voltage, if the load follows its square */
    int count;
    int is_swayed; /* whether that is fitted, too */
    double half_cycle_ms;
} dcpi_fit_window;

typedef struct {
    double onset_ms;
    double before_w, rise_w;
    double follow; /* which share of `swayed_w` is in the power */
    double error;  /* sum of squares */
} dcpi_fit;

/* A ramp of known place; its duration 0 is a step. */
dcpi_fit dcpi_fit_ramp(const dcpi_fit_window *seen, double onset_ms, double duration_ms);

/* A step of phases that do not share it alike: while the mean has not got it whole, their power's
 * ripple at twice the line frequency is in it. */
dcpi_fit dcpi_fit_rippled_step(const dcpi_fit_window *seen, double onset_ms);

#endif
