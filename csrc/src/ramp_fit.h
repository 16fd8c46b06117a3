/* Ramps, as a mean over half a cycle shows them, fitted to a piece of it by least squares. */
#ifndef DCPI_RAMP_FIT_H
#define DCPI_RAMP_FIT_H

enum { DCPI_FIT_POINTS = 96 };

/* A piece of the sliding mean. */
typedef struct {
    double at_ms[DCPI_FIT_POINTS];
    double power_w[DCPI_FIT_POINTS];
    double swayed_w[DCPI_FIT_POINTS]; /* of it due to the voltage, if the load follows its square */
    int count;
    int is_swayed; /* whether that is fitted, too */
    double half_cycle_ms;
    /* Made by dcpi_fit_prepare. */
    double swing_w[DCPI_FIT_POINTS]; /* swayed_w about its mean */
    double left_w[DCPI_FIT_POINTS];  /* power_w without what a level and swing_w explain */
    double mean_w, swayed_mean_w, swing_w2, swing_share;
} dcpi_fit_window;

typedef struct {
    double onset_ms;
    double before_w, rise_w;
    double follow; /* which share of `swayed_w` is in the power */
    double share;  /* of what was seen that the ramp lasts; 0 of a step */
    double error;  /* sum of squares */
} dcpi_fit;

/* Once a window is filled, and when `is_swayed` changes: what all of its fits have in common. */
void dcpi_fit_prepare(dcpi_fit_window *seen);

/* A ramp of known place; its duration 0 is a step. */
dcpi_fit dcpi_fit_ramp(const dcpi_fit_window *seen, double onset_ms, double duration_ms);

/* A step of phases that do not share it alike: while the mean has not got it whole, their power's
 * ripple at twice the line frequency is in it. */
dcpi_fit dcpi_fit_rippled_step(const dcpi_fit_window *seen, double onset_ms);

#endif
