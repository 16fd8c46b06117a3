/* The fundamental's phasor from each period, every half-period: a stationary window repeats it.
 *
 * A box of one period is blind to harmonics. Each half-period is summed once, samples on a border
 * are shared out by the part of their cell on either side, and two neighbours make a period. */
#include <float.h>
#include <string.h>

#include "internal.h"

/* Lets the minimum and maximum be vector instructions; lanes that are no numbers come as zeros. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("finite-math-only")
#endif

/* So that a frequency a hair below its nominal value does not cost a segment. */
static const double SEGMENT_TOLERANCE = 1e-3;

/* Bends of this many times the median are no ripple of one period's samples against the next's. */
static const float BURST_RATIO = 2;

/* A piece of less between the halves is not worth two boxes. */
static const double GAP_LEAST = 2;

/* Segment 0 lies before the first border, segment count + 1 behind the last. */
segment_grid dcpi_segments(const dcpi_window *window, double frequency_hz) {
    double half_period = 0.5 * window->sample_rate_hz / frequency_hz;
    double half_periods = floor(window->samples / half_period + SEGMENT_TOLERANCE);
    /* Long windows: boxes of several periods, one segment for the piece between. */
    double periods = ceil(half_periods / (TRACK_SEGMENTS_MAX - 1));
    segment_grid segments;
    segments.length = half_period * periods;
    segments.count = (int32_t)floor(window->samples / segments.length + SEGMENT_TOLERANCE);
    segments.head = segments.count;
    segments.gap = window->samples - segments.count * segments.length;
    segments.start = 0.5 * segments.gap - 0.5;
    if (segments.gap >= GAP_LEAST) {
        segments.start = -0.5;
        segments.head = segments.count / 2;
        segments.count++;
    }
    return segments;
}

static int has_gap(const segment_grid *segments) {
    return segments->head < segments->count;
}

/* Segments of a box lie side by side, the piece between the halves belongs to none. */
static int32_t box_count(const segment_grid *segments) {
    return segments->count - (has_gap(segments) ? 3 : 1);
}

/* The first segment of a box, from 1 on. */
static int32_t first_segment(const segment_grid *segments, int32_t box) {
    return box + 1 + (has_gap(segments) && box >= segments->head - 1 ? 2 : 0);
}

/* The sum of exp(-2 j theta n) up to each border, but for a constant: what of its own mirror image
 * a fundamental leaves in a box. Borders lie whole turns apart, so that only the place of the
 * sample on the border tells them apart. */
typedef struct {
    phasor at_border; /* exp(-2 j theta border) */
    phasor whole;     /* 1 / (1 - exp(-2 j theta)) */
    double turn;      /* 2 theta */
} mirror_image;

static mirror_image image_of(double first_border, double turns_per_sample) {
    double turn = 2 * TWO_PI * turns_per_sample;
    double angle = turn * first_border;
    mirror_image left = {{cos(angle), -sin(angle)}, {0.5, -0.5 / tan(0.5 * turn)}, turn};
    return left;
}

static phasor image_to(const mirror_image *left, const segment_grid *segments, int32_t number) {
    double border = border_of(segments, number);
    double share = border + 0.5 - floor(border + 0.5);
    /* At most a turn of one sample; Taylor to the order that 400 S/s need. */
    double x = left->turn * (0.5 - share), y = x * x;
    phasor place = {1 - y * (1. / 2) *
                            (1 - y * (1. / 12) * (1 - y * (1. / 30) * (1 - y * (1. / 56)))),
                    -x * (1 - y * (1. / 6) * (1 - y * (1. / 20) * (1 - y * (1. / 42))))};
    phasor part = {share - left->whole.re, -left->whole.im};
    phasor turned = {place.re * left->at_border.re - place.im * left->at_border.im,
                     place.re * left->at_border.im + place.im * left->at_border.re};
    return (phasor){turned.re * part.re - turned.im * part.im,
                    turned.re * part.im + turned.im * part.re};
}

/* For each box of one period: what of its own mirror image a fundamental leaves there, and by how
 * much it has turned since the middle of the window, in rad. */
typedef struct {
    int32_t boxes;
    int32_t first[TRACK_SEGMENTS_MAX]; /* segment of two */
    float image_re[TRACK_SEGMENTS_MAX], image_im[TRACK_SEGMENTS_MAX];
    float turned[TRACK_SEGMENTS_MAX];
    float place[TRACK_SEGMENTS_MAX]; /* of the middle from the window's, in boxes */
} box_images;

static box_images images_of(const dcpi_window *window, const fold_result *folded) {
    const segment_grid *segments = &folded->segments;
    double turns_per_sample = folded->folded_hz / window->sample_rate_hz;
    mirror_image left = image_of(segments->start, turns_per_sample);
    phasor borders[TRACK_SEGMENTS_MAX + 1] = {{0, 0}};
    box_images images;
    images.boxes = box_count(segments);
    for (int32_t k = 0; k <= segments->count; k++) {
        if (k == segments->head + 1)
            left = image_of(border_of(segments, k), turns_per_sample);
        borders[k] = image_to(&left, segments, k);
    }
    double drift = TWO_PI * (folded->frequency_hz - folded->folded_hz) / window->sample_rate_hz;
    double scale = 0.5 / segments->length;
    for (int32_t k = 0; k < images.boxes; k++) {
        int32_t first = first_segment(segments, k);
        double away = border_of(segments, first) - folded->span.centre;
        images.first[k] = first;
        images.image_re[k] = (float)(scale * (borders[first + 1].re - borders[first - 1].re));
        images.image_im[k] = (float)(scale * (borders[first + 1].im - borders[first - 1].im));
        images.turned[k] = (float)(drift * away);
        images.place[k] = (float)(scale * away);
    }
    return images;
}

/* What each box leaves when the constant fundamental is taken off, relative to it. */
INLINE void stray_boxes(const box_images *images, const scratch *work, const eight *at_re,
                        const eight *at_im, float scale, eight *along, eight *across) {
    eight re = *at_re, im = *at_im, size = re * re + im * im;
    /* Finite in lanes of nothing, too. */
    eight share = 1 / (size + FLT_MIN), norm = scale * share;
    eight turn_re = norm * re, turn_im = norm * im;
    /* V* over V */
    eight mirror_re = (re * re - im * im) * share, mirror_im = -2 * re * im * share;
    for (int32_t k = 0; k < images->boxes; k++) {
        const eight *one = work->track[images->first[k]], *two = one + TRACK_KINDS;
        eight box_re = one[TRACK_RE] + two[TRACK_RE], box_im = one[TRACK_IM] + two[TRACK_IM];
        float image_re = images->image_re[k], image_im = images->image_im[k];
        along[k] =
            box_re * turn_re + box_im * turn_im - 1 - mirror_re * image_re + mirror_im * image_im;
        across[k] = box_im * turn_re - box_re * turn_im - images->turned[k] - mirror_re * image_im -
                    mirror_im * image_re;
    }
}

/* The largest, and the ellipse of all. */
INLINE void spread_of(const eight *along, const eight *across, int32_t boxes,
                      stray_shapes *strays) {
    eight x = {0}, y = {0}, xx = {0}, yy = {0}, xy = {0}, largest = {0};
    float share = 1 / (float)boxes;
    for (int32_t k = 0; k < boxes; k++) {
        eight a = along[k], b = across[k], size = a * a + b * b;
        put_in_order(&size, &largest);
        x += a;
        y += b;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    eight mean_x = share * x, mean_y = share * y;
    xx = share * xx - mean_x * mean_x;
    yy = share * yy - mean_y * mean_y;
    xy = share * xy - mean_x * mean_y;
    for (int lane = 0; lane < LANES; lane++) {
        strays->largest[lane] = sqrtf(largest[lane]);
        strays->along[lane] = xx[lane];
        strays->across[lane] = yy[lane];
        strays->mixed[lane] = xy[lane];
    }
}

/* Least-squares parabolas over the boxes' places: orthogonal, and their squares summed to 1. */
typedef struct {
    float slope[TRACK_SEGMENTS_MAX], bend[TRACK_SEGMENTS_MAX];
} parabolas;

INLINE void fill_parabolas(const float *place, int32_t count, parabolas *basis) {
    float mean = 0, share = 1 / (float)count, square_sum = 0, cube_sum = 0, bend_sum = 0;
    for (int32_t k = 0; k < count; k++)
        mean += share * place[k];
    for (int32_t k = 0; k < count; k++) {
        float x = place[k] - mean;
        square_sum += x * x;
        cube_sum += x * x * x;
    }
    float skew = square_sum > 0 ? cube_sum / square_sum : 0;
    for (int32_t k = 0; k < count; k++) {
        float x = place[k] - mean;
        basis->slope[k] = x;
        basis->bend[k] = x * x - share * square_sum - skew * x;
        bend_sum += basis->bend[k] * basis->bend[k];
    }
    float by_slope = square_sum > 0 ? 1 / sqrtf(square_sum) : 0;
    float by_bend = count > 2 ? 1 / sqrtf(bend_sum) : 0;
    for (int32_t k = 0; k < count; k++) {
        basis->slope[k] *= by_slope;
        basis->bend[k] *= by_bend;
    }
}

/* Largest distance of the rows from their least-squares parabolas. */
INLINE void off_parabola(const eight *rows, const float *place, int32_t count, float *largest) {
    eight mean = {0}, slope = {0}, bend = {0}, least = {0}, most = {0};
    float share = 1 / (float)count;
    parabolas basis;
    fill_parabolas(place, count, &basis);
    for (int32_t k = 0; k < count; k++) {
        mean += rows[k] * share;
        slope += rows[k] * basis.slope[k];
        bend += rows[k] * basis.bend[k];
    }
    for (int32_t k = 0; k < count; k++) {
        eight off = rows[k] - mean - slope * basis.slope[k] - bend * basis.bend[k], same = off;
        put_in_order(&same, &most);
        put_in_order(&least, &off);
    }
    for (int lane = 0; lane < LANES; lane++)
        largest[lane] = most[lane] > -least[lane] ? most[lane] : -least[lane];
}

/* Excess of the roughest box over the median one, as the square of one sample that was off. */
INLINE void bursts(const box_images *images, const scratch *work, const segment_grid *segments,
                   float *squares) {
    eight least[TRACK_SEGMENTS_MAX / 2 + 1], most = {0};
    int32_t kept = (images->boxes - 1) / 2 + 1;
    for (int32_t place = 0; place < kept; place++)
        least[place] = (eight){0} + FLT_MAX;
    for (int32_t k = 0; k < images->boxes; k++) {
        const eight *one = work->track[images->first[k]], *two = one + TRACK_KINDS;
        eight bends = one[TRACK_BENDS] + two[TRACK_BENDS];
        eight smaller = bends;
        put_in_order(&smaller, &most);
        /* Into the sorted ones; what is larger moves on. */
        for (int32_t place = 0; place < kept; place++)
            put_in_order(least + place, &bends);
    }
    /* The piece between the halves with either neighbour is less than a box. */
    for (int32_t k = segments->head; k < segments->head + 2 && segments->head < segments->count;
         k++) {
        eight bends = work->track[k][TRACK_BENDS] + work->track[k + 1][TRACK_BENDS];
        put_in_order(&bends, &most);
    }
    for (int lane = 0; lane < LANES; lane++) {
        float median = least[kept - 1][lane];
        /* One sample off by 1 bends by 1, -2 and 1. */
        squares[lane] = most[lane] > BURST_RATIO * median ? (most[lane] - median) / 6 : 0;
    }
}

WIDER_CLONES static void fill_strays(const box_images *images, const scratch *work,
                                     const fold_result *folded, stray_shapes *strays) {
    eight *along = strays->rows[0], *across = strays->rows[1];
    float scale = (float)(M_SQRT1_2 / folded->segments.length);
    stray_boxes(images, work, (const eight *)(const void *)(folded->re + LANES),
                (const eight *)(const void *)(folded->im + LANES), scale, along, across);
    spread_of(along, across, images->boxes, strays);
    off_parabola(across, images->place, images->boxes, strays->jump);
    bursts(images, work, &folded->segments, strays->burst_square);
}

void dcpi_strays(const dcpi_window *window, const fold_result *folded, const scratch *work,
                 stray_shapes *strays) {
    box_images images = images_of(window, folded);
    strays->boxes = images.boxes;
    double turns_per_sample = folded->folded_hz / window->sample_rate_hz;
    strays->box_turns = 2 * folded->segments.length * turns_per_sample;
    strays->centre_turns = folded->span.centre * turns_per_sample;
    strays->re = folded->re + LANES;
    strays->im = folded->im + LANES;
    memcpy(strays->place, images.place, sizeof strays->place);
    fill_strays(&images, work, folded, strays);
}
