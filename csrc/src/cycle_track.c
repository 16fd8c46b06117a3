/* The cycles of the voltages: their phase, once per nominal cycle, and when it passes a target.
 *
 * A node is the phase of each voltage's fundamental, demodulated at a fixed frequency that is whole
 * in samples, under a Blackman-Harris window of six nominal cycles. The window is symmetrical, so
 * that a constant frequency comes without error however far it is from the nominal one; DC, the
 * image and all harmonics of 85 % to 115 % of the nominal frequency fall below -92 dB. Between
 * nodes the phase is the cubic through the four nearest. */
#include "cycles_internal.h"

/* The share of the mean square that a fundamental has at least; noise alone stays far below. */
#define PRESENT_SHARE FUNDAMENTAL_SHARE_MIN
/* Of the declared or the largest recent voltage: what is less may be another feeder's hum. */
#define PRESENT_LEVEL 0.02
/* Per cycle: after 1 min a voltage of 5 % counts as the new level. */
#define LEVEL_DECAY 0.999
/* Second difference of the phase, in cycles, beyond which a cubic would swing: a jump of 36 deg. */
#define SMOOTH_BEND 0.1

typedef struct {
    four re, im, energy; /* a lane for each voltage */
} lane_sums;

/* The voltages are every other four of the rows. */
WIDER_CLONES static void demodulate(const four *restrict rows, const float *restrict window,
                                    const float *restrict line, int32_t cycle,
                                    lane_sums *restrict sums) {
    lane_sums local = {{0}, {0}, {0}};
    for (int32_t n = 0; n < cycle; n++) {
        four folded = {0}, middle = rows[2 * (TRACK_CYCLES / 2 * cycle + n)];
        for (int32_t k = 0; k < TRACK_CYCLES; k++)
            folded += window[k * cycle + n] * rows[2 * (k * cycle + n)];
        local.re += line[2 * n] * folded;
        local.im -= line[2 * n + 1] * folded;
        local.energy += middle * middle;
    }
    *sums = local;
}

static double wrapped(double cycles) {
    return cycles - rint(cycles);
}

/* Which voltages there are, and their phase in cycles since the rising zero crossing. */
static int32_t read_phases(dcpi_cycles *cycles, const lane_sums *sums, double *angle) {
    double rms[DCPI_PHASES_MAX], largest = 0;
    int32_t present = 0;
    for (int k = 0; k < cycles->config.phases; k++) {
        rms[k] = hypot((double)sums->re[k], (double)sums->im[k]);
        angle[k] = atan2((double)sums->im[k], (double)sums->re[k]) / TWO_PI + 0.25;
        if (rms[k] > largest)
            largest = rms[k];
    }
    cycles->level = fmax(cycles->level * LEVEL_DECAY, largest);
    double floor_v =
        PRESENT_LEVEL * (cycles->config.declared_v > 0 ? cycles->config.declared_v : cycles->level);
    for (int k = 0; k < cycles->config.phases; k++) {
        double mean_square = (double)sums->energy[k] / cycles->cycle_samples;
        if (rms[k] > floor_v && square(rms[k]) >= PRESENT_SHARE * mean_square)
            present |= 1 << k;
    }
    return present;
}

/* Cycles per node before the voltage was lost: what fades out of the window keeps its phase, and so
 * looks like the nominal frequency in the last six nodes. */
static double held_increment(const dcpi_cycles *cycles) {
    int64_t newest = cycles->node_count - TRACK_CYCLES, oldest = newest - TRACK_CYCLES;
    if (oldest < 0)
        return cycles->last_increment;
    for (int64_t node = oldest; node <= newest; node++)
        if (!node_at(cycles, node)->referenced)
            return cycles->last_increment;
    return (node_at(cycles, newest)->cycles - node_at(cycles, oldest)->cycles) / TRACK_CYCLES;
}

/* By how many cycles the reference goes on; another takes its place where it is lost. */
static double increment(dcpi_cycles *cycles, int32_t both, const double *angle) {
    if (!both)
        return node_at(cycles, cycles->node_count - 1)->referenced ? held_increment(cycles)
                                                                   : cycles->last_increment;
    if (!(both >> cycles->reference & 1))
        for (cycles->reference = 0; !(both >> cycles->reference & 1);)
            cycles->reference++;
    return 1 + wrapped(angle[cycles->reference] - cycles->angle[cycles->reference]);
}

static void first_node(dcpi_cycles *cycles, const double *angle, dcpi_cycle_node *node) {
    int k = 0;
    while (k + 1 < cycles->config.phases && !(node->present >> k & 1))
        k++;
    cycles->reference = k;
    cycles->last_increment = 1;
    node->referenced = node->present != 0;
    node->cycles = node->referenced ? angle[k] : 0;
    for (int lane = 0; lane < DCPI_PHASES_MAX; lane++)
        node->lane_cycles[lane] = node->present >> lane & 1 ? angle[lane] : node->cycles;
}

static void next_node(dcpi_cycles *cycles, const double *angle, dcpi_cycle_node *node) {
    const dcpi_cycle_node *before = node_at(cycles, cycles->node_count - 1);
    int32_t both = node->present & before->present;
    cycles->last_increment = increment(cycles, both, angle);
    node->referenced = both != 0;
    node->cycles = before->cycles + cycles->last_increment;
    for (int lane = 0; lane < cycles->config.phases; lane++) {
        double held = before->lane_cycles[lane] + cycles->last_increment;
        node->lane_cycles[lane] =
            node->present >> lane & 1
                ? before->lane_cycles[lane] + 1 + wrapped(angle[lane] - before->lane_cycles[lane])
                : held;
    }
}

/* The next node, when its samples are there; whether it was. */
int dcpi_cycle_add_node(dcpi_cycles *cycles) {
    int32_t reach = TRACK_CYCLES / 2 * cycles->cycle_samples;
    int64_t centre =
        cycles->node_count
            ? (int64_t)node_at(cycles, cycles->node_count - 1)->position + cycles->cycle_samples
            : cycles->base + reach;
    if (centre + reach > cycles->base + cycles->held)
        return 0;
    lane_sums sums;
    double angle[DCPI_PHASES_MAX] = {0};
    demodulate((const four *)(const void *)row_at(cycles, centre - reach), cycles->window,
               cycles->line, cycles->cycle_samples, &sums);
    dcpi_cycle_node node = {.position = (double)centre};
    node.present = read_phases(cycles, &sums, angle);
    if (cycles->node_count == 0)
        first_node(cycles, angle, &node);
    else
        next_node(cycles, angle, &node);
    for (int k = 0; k < DCPI_PHASES_MAX; k++)
        cycles->angle[k] = angle[k];
    cycles->nodes[cycles->node_count % DCPI_CYCLE_NODES] = node;
    cycles->node_count++;
    return 1;
}

/* Of one phase, or of the reference where it is negative. */
static double cycles_of(const dcpi_cycle_node *node, int phase) {
    return phase < 0 ? node->cycles : node->lane_cycles[phase];
}

/* Where the phase passes `target` cycles between a segment's two nodes; whether it does. */
int dcpi_cycle_crossing(const dcpi_cycles *cycles, int64_t segment, int phase, double target,
                        double *position) {
    const dcpi_cycle_node *node = node_at(cycles, segment);
    double here = cycles_of(node, phase), next = cycles_of(node_at(cycles, segment + 1), phase);
    double after = cycles_of(node_at(cycles, segment + 2), phase);
    double before =
        segment > 0 ? cycles_of(node_at(cycles, segment - 1), phase) : 3 * here - 3 * next + after;
    double slope = next - here, left = before - 2 * here + next, right = here - 2 * next + after;
    if (!(target > here && target <= next))
        return 0;
    double share = (target - here) / slope;
    if (fabs(left) < SMOOTH_BEND && fabs(right) < SMOOTH_BEND) {
        /* Bessel's interpolation formula to third differences. */
        double bend = 0.25 * (left + right), twist = (right - left) / 6;
        for (int round = 0; round < 4; round++) {
            double u = share, parabola = u * (u - 1);
            double value = here + u * slope + parabola * (bend + twist * (u - 0.5)) - target;
            double rise = slope + (2 * u - 1) * (bend + twist * (u - 0.5)) + parabola * twist;
            share = fmin(1, fmax(0, u - value / rise));
        }
    }
    *position = node->position + share * cycles->cycle_samples;
    return 1;
}
