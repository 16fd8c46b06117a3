/* The fundamental's phasor from each period, every half-period: a stationary window repeats it.
 *
 * A box of one period is blind to harmonics. Each half-period is summed once, samples on a border
 * are shared out by the part of their cell on either side, and two neighbours make a period. */
#include "internal.h"

enum { RE = 0, IM = DCPI_LANES, BENDS = 2 * DCPI_LANES, SEGMENT = 3 * DCPI_LANES };

_Static_assert((TRACK_SEGMENTS_MAX + 2) * SEGMENT <= DCPI_TRACK_CELLS, "the track fits");

/* So that a frequency a hair below its nominal value does not cost a segment. */
static const double SEGMENT_TOLERANCE = 1e-3;

/* Bends of this many times the median are no ripple of one period's samples against the next's. */
static const double BURST_RATIO = 2;

/* Segment 0 lies before the first border, segment count + 1 behind the last. */
segment_grid dcpi_segments(const dcpi_window *window, double frequency_hz) {
    double half_period = 0.5 * window->sample_rate_hz / frequency_hz;
    double half_periods = floor(window->samples / half_period + SEGMENT_TOLERANCE);
    /* Long windows: boxes of several periods. */
    double periods = ceil(half_periods / TRACK_SEGMENTS_MAX);
    segment_grid segments;
    segments.length = half_period * periods;
    segments.count = (int32_t)floor(window->samples / segments.length + SEGMENT_TOLERANCE);
    segments.start = 0.5 * (window->samples - segments.count * segments.length) - 0.5;
    return segments;
}

/* Squared second differences: a transient of few samples stands out there, the wave hardly does. */
WIDER_CLONES static void bend(const double *x, const double *tail, int32_t count, double *bends) {
    bends[0] = square(x[0] - 2 * tail[1] + tail[0]);
    if (count > 1)
        bends[1] = square(x[1] - 2 * x[0] + tail[1]);
    for (int32_t k = 2; k < count; k++)
        bends[k] = square(x[k] - 2 * x[k - 1] + x[k - 2]);
}

static void bend_lanes(int32_t start, int32_t count, dcpi_workspace *workspace) {
    for (int lane = 0; lane < DCPI_LANES; lane++) {
        const double *x = workspace->channels + lane * DCPI_BLOCK;
        double *bends = workspace->lanes + lane * DCPI_BLOCK;
        double *tail = workspace->tail + 2 * lane;
        if (start == 0)
            tail[0] = tail[1] = x[0];
        bend(x, tail, count, bends);
        /* Before the second sample nothing is known of a bend. */
        if (start == 0 && count > 1)
            bends[1] = 0;
        tail[0] = count > 1 ? x[count - 2] : tail[1];
        tail[1] = x[count - 1];
    }
}

WIDER_CLONES static void add_piece(const dcpi_workspace *workspace, int lane, int32_t from,
                                   int32_t to, double share, double *sums) {
    const double *x = workspace->channels + lane * DCPI_BLOCK;
    const double *bend = workspace->lanes + lane * DCPI_BLOCK;
    double re = 0, im = 0, bends = 0;
    for (int32_t k = from; k < to; k++) {
        re += x[k] * workspace->cosine[k];
        im -= x[k] * workspace->sine[k];
        bends += bend[k];
    }
    sums[RE] += share * re;
    sums[IM] += share * im;
    sums[BENDS] += share * bends;
}

/* Every lane's samples from..to of the block into one segment. */
static void add_lanes(dcpi_workspace *workspace, int32_t from, int32_t to, double share,
                      int32_t segment) {
    for (int lane = 0; lane < DCPI_LANES; lane++)
        add_piece(workspace, lane, from, to, share, workspace->track + segment * SEGMENT + lane);
}

void dcpi_track_block(const segment_grid *segments, int32_t start, int32_t count,
                      dcpi_workspace *workspace) {
    int32_t from = 0;
    bend_lanes(start, count, workspace);
    int32_t segment = (int32_t)ceil((start - 0.5 - segments->start) / segments->length);
    if (segment < 0)
        segment = 0;
    while (from < count && segment <= segments->count) {
        double border = segments->start + segment * segments->length;
        int32_t sample = (int32_t)floor(border + 0.5) - start;
        if (sample >= count)
            break;
        double share = border + 0.5 - (sample + start);
        add_lanes(workspace, from, sample, 1, segment);
        add_lanes(workspace, sample, sample + 1, share, segment);
        add_lanes(workspace, sample, sample + 1, 1 - share, segment + 1);
        from = sample + 1;
        segment++;
    }
    add_lanes(workspace, from, count, 1, segment);
}

/* rms phasor of one period's box. */
static phasor box(const segment_grid *segments, const dcpi_workspace *workspace, int lane,
                  int32_t segment) {
    const double *first = workspace->track + segment * SEGMENT + lane;
    double scale = M_SQRT1_2 / segments->length;
    return (phasor){scale * (first[RE] + first[SEGMENT + RE]),
                    scale * (first[IM] + first[SEGMENT + IM])};
}

/* What the box leaves when the constant fundamental is taken off, relative to it. */
static phasor stray_at(const segment_grid *segments, const dcpi_workspace *workspace, int lane,
                       phasor fundamental, int32_t segment) {
    phasor measured = box(segments, workspace, lane, segment);
    phasor of_cosine = box(segments, workspace, LANE_COSINE, segment);
    phasor of_sine = box(segments, workspace, LANE_SINE, segment);
    phasor left = {
        measured.re - M_SQRT2 * (fundamental.re * of_cosine.re - fundamental.im * of_sine.re),
        measured.im - M_SQRT2 * (fundamental.re * of_cosine.im - fundamental.im * of_sine.im)};
    double norm = square(fundamental.re) + square(fundamental.im);
    phasor relative = times_conjugate(left, fundamental);
    return (phasor){relative.re / norm, relative.im / norm};
}

/* Smaller over larger axis of the ellipse with this covariance, squared. */
static double ellipse_ratio(double xx, double yy, double xy) {
    double middle = 0.5 * (xx + yy);
    double radius = sqrt(square(0.5 * (xx - yy)) + square(xy));
    return middle + radius > 0 ? fmax(middle - radius, 0) / (middle + radius) : 0;
}

/* Largest distance of `y` from its least-squares parabola. */
static double off_parabola(const double *y, int32_t count) {
    double middle = 0.5 * (count - 1), mean = 0, slope = 0, bend = 0;
    double slope_norm = 0, bend_norm = 0, largest = 0;
    double mean_square = (square(count) - 1) / 12;
    for (int32_t k = 0; k < count; k++) {
        double x = k - middle, curve = x * x - mean_square;
        mean += y[k] / count;
        slope += y[k] * x;
        slope_norm += x * x;
        bend += y[k] * curve;
        bend_norm += curve * curve;
    }
    for (int32_t k = 0; k < count; k++) {
        double x = k - middle, curve = x * x - mean_square;
        double fitted = mean + slope / slope_norm * x + bend / bend_norm * curve;
        largest = fmax(largest, fabs(y[k] - fitted));
    }
    return largest;
}

/* Excess of the roughest box over the median one, as the square of one sample that was off. */
static double burst_square(const segment_grid *segments, const dcpi_workspace *workspace,
                           int lane) {
    double boxes[TRACK_SEGMENTS_MAX] = {0};
    int32_t count = segments->count - 1;
    for (int32_t k = 0; k < count; k++) {
        const double *first = workspace->track + (k + 1) * SEGMENT + lane + BENDS;
        double bends = first[0] + first[SEGMENT];
        int32_t place = k;
        for (; place > 0 && boxes[place - 1] > bends; place--)
            boxes[place] = boxes[place - 1];
        boxes[place] = bends;
    }
    double most = boxes[count - 1], median = boxes[(count - 1) / 2];
    /* One sample off by 1 bends by 1, -2 and 1. */
    return most > BURST_RATIO * median ? (most - median) / 6 : 0;
}

stray_shape dcpi_stray(const segment_grid *segments, const dcpi_workspace *workspace, int lane,
                       phasor fundamental) {
    stray_shape stray = {0};
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    double across[TRACK_SEGMENTS_MAX];
    int32_t boxes = segments->count - 1;
    for (int32_t k = 0; k < boxes; k++) {
        phasor at = stray_at(segments, workspace, lane, fundamental, k + 1);
        stray.largest = fmax(stray.largest, magnitude(at));
        across[k] = at.im;
        x += at.re / boxes;
        y += at.im / boxes;
        xx += at.re * at.re / boxes;
        yy += at.im * at.im / boxes;
        xy += at.re * at.im / boxes;
    }
    xx -= x * x;
    yy -= y * y;
    stray.roundness = ellipse_ratio(xx, yy, xy - x * y);
    stray.turns = yy > xx;
    stray.burst_square = burst_square(segments, workspace, lane);
    stray.jump = off_parabola(across, boxes);
    return stray;
}
