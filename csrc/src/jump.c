/* Whether what little a fundamental moves is a step: of its phase, or of its magnitude.
 *
 * A box of one period that a step falls in takes it by the share behind it, and with it some of the
 * step's mirror image, as that share is no whole period. The best place is sought by least squares
 * beside what may be there anyway: for the magnitude a mean, for the phase the parabola that a ramp
 * of the frequency is. A tone beside the fundamental turns instead, and no step explains it. */
#include "internal.h"

/* Places that are tried in each box, first without the image, then with it about the best one: at
 * most 1/64 beside the right one, a fifth of a radian for the image. */
enum { TRIED_A_BOX = 8, TRIED_FINELY = 4 };
/* What a step may leave unexplained of the squares, and what noise adds to that where the step
 * rises above its bound: 16 of its 98 variances are expected. A step of half the bound must stand
 * alone, as harmonics that move with it look like noise. */
static const double REST_SHARE = 0.06, NOISE_REST = 0.25, NOISE_SHARE = 0.5;
/* So much farther off than half a box a step leaves a box alone. */
static const double BESIDE = 0.6;
/* A line explains any two boxes, and of less than a fifth of the fundamental the phase is noise. */
enum { BESIDE_MIN = 4 };
static const double BESIDE_MAGNITUDE = 0.2;
/* Noise is a step but for so small a rest once in a million windows: boxes overlap, so that each
 * has 1.4 freedoms, of which a mean, a parabola and a step take 5.2; the logarithm is twice that of
 * the chance. */
static const double CHANCE_LOG = -27.6, FREEDOMS_A_BOX = 1.4, FREEDOMS_TAKEN = 5.2;
/* A mean, a parabola, a place and a height explain any four boxes. */
enum { BOXES_MIN = 5, TERMS_MAX = 3 };
/* A step that a trend explains but for this much stands at the window's very end. */
static const double SIZE_LEAST = 1e-5;

enum { ALONG, ACROSS, DIRECTIONS };
typedef double box_row[TRACK_SEGMENTS_MAX];

typedef struct {
    const stray_shapes *strays;
    int32_t boxes;
    double angle;              /* of the fundamental at the first sample, rad */
    box_row term[TERMS_MAX];   /* orthonormal: powers of the place */
    box_row moved[DIRECTIONS]; /* what is beside the trend */
} step_search;

static double product(const double *a, const double *b, int32_t count) {
    double sum = 0;
    for (int32_t k = 0; k < count; k++)
        sum += a[k] * b[k];
    return sum;
}

static double product_of(const step_search *search, const box_row *a, const box_row *b) {
    return product(a[ALONG], b[ALONG], search->boxes) +
           product(a[ACROSS], b[ACROSS], search->boxes);
}

static void take_off(const step_search *search, int32_t terms, double *values) {
    for (int32_t term = 0; term < terms; term++) {
        double share = product(search->term[term], values, search->boxes);
        for (int32_t k = 0; k < search->boxes; k++)
            values[k] -= share * search->term[term][k];
    }
}

static void take_trends_off(const step_search *search, box_row *rows) {
    take_off(search, 1, rows[ALONG]);
    take_off(search, TERMS_MAX, rows[ACROSS]);
}

static void begin(const stray_shapes *strays, int lane, step_search *search) {
    search->strays = strays;
    search->boxes = strays->boxes;
    search->angle = atan2((double)strays->im[lane], (double)strays->re[lane]);
    for (int32_t term = 0; term < TERMS_MAX; term++) {
        double *values = search->term[term];
        for (int32_t k = 0; k < search->boxes; k++)
            values[k] = term ? pow((double)strays->place[k], term) : 1;
        take_off(search, term, values);
        double by = 1 / sqrt(product(values, values, search->boxes));
        for (int32_t k = 0; k < search->boxes; k++)
            values[k] *= by;
    }
    for (int direction = ALONG; direction < DIRECTIONS; direction++)
        for (int32_t k = 0; k < search->boxes; k++)
            search->moved[direction][k] = (double)strays->rows[direction][k][lane];
    take_trends_off(search, search->moved);
}

/* V* over V times the integral of exp(-2 j w t) from -infinity, of a box's length. */
static phasor image_at(const step_search *search, double place) {
    const stray_shapes *strays = search->strays;
    double turn = 2 * TWO_PI * strays->box_turns;
    double angle = 2 * TWO_PI * strays->centre_turns + turn * place + 2 * search->angle;
    return (phasor){sin(angle) / turn, cos(angle) / turn};
}

/* What of the squares a step at that place explains; with its image where `is_fine`. */
static double explained_by(const step_search *search, double place, int direction, int is_fine) {
    box_row step[DIRECTIONS] = {{0}};
    double sign = direction == ALONG ? 1 : -1;
    phasor at = is_fine ? image_at(search, place) : (phasor){0, 0};
    for (int32_t k = 0; k < search->boxes; k++) {
        double share = (double)search->strays->place[k] + 0.5 - place;
        step[direction][k] = fmin(fmax(share, 0), 1);
        if (!is_fine || share <= 0 || share >= 1)
            continue;
        phasor end = image_at(search, place + share);
        /* Of a phase step the image is turned the other way. */
        step[direction][k] += sign * (end.re - at.re);
        step[!direction][k] += end.im - at.im;
    }
    take_trends_off(search, step);
    double size = product_of(search, step, step);
    double found = product_of(search, step, search->moved);
    return size > SIZE_LEAST ? square(found) / size : 0;
}

static int is_step(const stray_shapes *strays, int lane, int direction, double least, double noise,
                   double *place_found) {
    step_search search;
    if (strays->boxes < BOXES_MIN)
        return 0;
    begin(strays, lane, &search);
    double all = product_of(&search, search.moved, search.moved);
    double first = (double)strays->place[0] - 0.5, best = first, explained = 0;
    int32_t last = (int32_t)(TRIED_A_BOX * ((double)strays->place[search.boxes - 1] + 0.5 - first));
    for (int32_t k = 0; k <= last; k++) {
        double place = first + (double)k / TRIED_A_BOX;
        double found = explained_by(&search, place, direction, 0);
        best = found > explained ? place : best;
        explained = fmax(explained, found);
    }
    *place_found = best;
    for (int32_t k = -TRIED_FINELY; k <= TRIED_FINELY; k++) {
        double place = best + (double)k / (TRIED_FINELY * TRIED_A_BOX);
        double found = explained_by(&search, place, direction, 1);
        *place_found = found > explained ? place : *place_found;
        explained = fmax(explained, found);
    }
    double size = sqrt(explained), rest = REST_SHARE * explained;
    if (size > noise)
        rest += NOISE_REST * square(noise);
    if (size > least + NOISE_SHARE * noise && all - explained < rest)
        return 1;
    /* Orders that jump along look like noise; that there is none the boxes tell themselves. */
    double by_chance = exp(CHANCE_LOG / (FREEDOMS_A_BOX * search.boxes - FREEDOMS_TAKEN));
    return size > least && all - explained < fmin(by_chance, REST_SHARE) * explained;
}

int dcpi_phase_steps(const stray_shapes *strays, int lane, double least, double noise,
                     double *place) {
    return is_step(strays, lane, ACROSS, least, noise, place);
}

int dcpi_magnitude_steps(const stray_shapes *strays, int lane, double least, double noise,
                         double *place) {
    return is_step(strays, lane, ALONG, least, noise, place);
}

double dcpi_slope_beside(const stray_shapes *strays, int lane, double place, double tolerance) {
    double at[TRACK_SEGMENTS_MAX], phase[TRACK_SEGMENTS_MAX], mean_at = 0, mean_phase = 0;
    double square_sum = 0, product_sum = 0;
    int32_t count = 0;
    for (int32_t k = 0; k < strays->boxes; k++) {
        double along = 1 + (double)strays->rows[ALONG][k][lane];
        if (fabs((double)strays->place[k] - place) < BESIDE || along < BESIDE_MAGNITUDE)
            continue;
        at[count] = (double)strays->place[k];
        phase[count] = atan2((double)strays->rows[ACROSS][k][lane], along);
        mean_at += at[count];
        mean_phase += phase[count++];
    }
    if (count < BESIDE_MIN)
        return NAN;
    mean_at /= count;
    mean_phase /= count;
    for (int32_t k = 0; k < count; k++) {
        square_sum += square(at[k] - mean_at);
        product_sum += (at[k] - mean_at) * (phase[k] - mean_phase);
    }
    double slope = product_sum / square_sum;
    for (int32_t k = 0; k < count; k++)
        if (fabs(phase[k] - mean_phase - slope * (at[k] - mean_at)) > tolerance)
            return NAN;
    return slope;
}
