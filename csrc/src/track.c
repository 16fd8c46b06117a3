/* The fundamental's phasor from each period, every half-period: a stationary window repeats it.
 *
 * A box of one period is blind to harmonics. Each half-period is summed once, samples on a border
 * are shared out by the part of their cell on either side, and two neighbours make a period. */
#include <float.h>

#include "internal.h"

/* Lets the minimum and maximum be vector instructions; lanes that are no numbers come as zeros. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("finite-math-only")
#endif

/* So that a frequency a hair below its nominal value does not cost a segment. */
static const double SEGMENT_TOLERANCE = 1e-3;

/* Bends of this many times the median are no ripple of one period's samples against the next's. */
static const float BURST_RATIO = 2;

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

/* The sum of exp(-2 j theta n) up to each border, but for a constant: what of its own mirror image
 * a fundamental leaves in a box. Borders lie whole turns apart, so that only the place of the
 * sample on the border tells them apart. */
typedef struct {
    phasor at_border; /* exp(-2 j theta border) */
    phasor whole;     /* 1 / (1 - exp(-2 j theta)) */
    double turn;      /* 2 theta */
} mirror_image;

static mirror_image image_of(const segment_grid *segments, double turns_per_sample) {
    double turn = 2 * TWO_PI * turns_per_sample;
    double angle = turn * segments->start;
    mirror_image left = {{cos(angle), -sin(angle)}, {0.5, -0.5 / tan(0.5 * turn)}, turn};
    return left;
}

static phasor image_to(const mirror_image *left, const segment_grid *segments, int32_t number) {
    double border = segments->start + number * segments->length;
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
    float image_re[TRACK_SEGMENTS_MAX], image_im[TRACK_SEGMENTS_MAX];
    float turned[TRACK_SEGMENTS_MAX];
} box_images;

static box_images images_of(const dcpi_window *window, const fold_result *folded) {
    const segment_grid *segments = &folded->segments;
    mirror_image left = image_of(segments, folded->folded_hz / window->sample_rate_hz);
    phasor borders[TRACK_SEGMENTS_MAX + 1] = {{0, 0}};
    box_images images;
    images.boxes = segments->count - 1;
    for (int32_t k = 0; k <= segments->count; k++)
        borders[k] = image_to(&left, segments, k);
    double drift = TWO_PI * (folded->frequency_hz - folded->folded_hz) / window->sample_rate_hz;
    double scale = 0.5 / segments->length;
    for (int32_t k = 0; k < images.boxes; k++) {
        double middle = segments->start + (k + 1) * segments->length;
        images.image_re[k] = (float)(scale * (borders[k + 2].re - borders[k].re));
        images.image_im[k] = (float)(scale * (borders[k + 2].im - borders[k].im));
        images.turned[k] = (float)(drift * (middle - folded->span.centre));
    }
    return images;
}

typedef float lane_row[LANES];

/* What each box leaves when the constant fundamental is taken off, relative to it. */
INLINE void stray_boxes(const box_images *images, const scratch *work, const float *re,
                        const float *im, float scale, lane_row *along, lane_row *across) {
    float norm[LANES], mirror_re[LANES], mirror_im[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        float size = re[lane] * re[lane] + im[lane] * im[lane];
        norm[lane] = size > 0 ? scale / size : 0;
        /* V* over V */
        mirror_re[lane] = size > 0 ? (re[lane] * re[lane] - im[lane] * im[lane]) / size : 0;
        mirror_im[lane] = size > 0 ? -2 * re[lane] * im[lane] / size : 0;
    }
    for (int32_t k = 0; k < images->boxes; k++) {
        eight box_re = work->track[k + 1][TRACK_RE] + work->track[k + 2][TRACK_RE];
        eight box_im = work->track[k + 1][TRACK_IM] + work->track[k + 2][TRACK_IM];
        float image_re = images->image_re[k], image_im = images->image_im[k];
        for (int lane = 0; lane < LANES; lane++) {
            float x = (box_re[lane] * re[lane] + box_im[lane] * im[lane]) * norm[lane];
            float y = (box_im[lane] * re[lane] - box_re[lane] * im[lane]) * norm[lane];
            along[k][lane] = x - 1 - mirror_re[lane] * image_re + mirror_im[lane] * image_im;
            across[k][lane] =
                y - images->turned[k] - mirror_re[lane] * image_im - mirror_im[lane] * image_re;
        }
    }
}

/* The largest, and the ellipse of all. */
INLINE void spread_of(lane_row *along, lane_row *across, int32_t boxes, stray_shapes *strays) {
    float x[LANES] = {0}, y[LANES] = {0}, xx[LANES] = {0}, yy[LANES] = {0}, xy[LANES] = {0};
    float largest[LANES] = {0}, share = 1 / (float)boxes;
    for (int32_t k = 0; k < boxes; k++) {
        for (int lane = 0; lane < LANES; lane++) {
            float a = along[k][lane], b = across[k][lane];
            float size = a * a + b * b;
            largest[lane] = size > largest[lane] ? size : largest[lane];
            x[lane] += a;
            y[lane] += b;
            xx[lane] += a * a;
            yy[lane] += b * b;
            xy[lane] += a * b;
        }
    }
    for (int lane = 0; lane < LANES; lane++) {
        float mean_x = share * x[lane], mean_y = share * y[lane];
        strays->largest[lane] = sqrtf(largest[lane]);
        strays->along[lane] = share * xx[lane] - mean_x * mean_x;
        strays->across[lane] = share * yy[lane] - mean_y * mean_y;
        strays->mixed[lane] = share * xy[lane] - mean_x * mean_y;
    }
}

/* Largest distance of the rows from their least-squares parabolas. */
INLINE void off_parabola(lane_row *rows, int32_t count, float *largest) {
    float mean[LANES] = {0}, slope[LANES] = {0}, bend[LANES] = {0};
    float slope_norm = 0, bend_norm = 0;
    float middle = 0.5f * (float)(count - 1);
    float mean_square = ((float)count * (float)count - 1) / 12;
    for (int32_t k = 0; k < count; k++) {
        float x = (float)k - middle, curve = x * x - mean_square;
        slope_norm += x * x;
        bend_norm += curve * curve;
        for (int lane = 0; lane < LANES; lane++) {
            mean[lane] += rows[k][lane];
            slope[lane] += rows[k][lane] * x;
            bend[lane] += rows[k][lane] * curve;
        }
    }
    float by_slope = slope_norm > 0 ? 1 / slope_norm : 0;
    float by_bend = bend_norm > 0 ? 1 / bend_norm : 0, share = 1 / (float)count;
    for (int lane = 0; lane < LANES; lane++)
        largest[lane] = 0;
    for (int32_t k = 0; k < count; k++) {
        float x = ((float)k - middle) * by_slope;
        float curve = (((float)k - middle) * ((float)k - middle) - mean_square) * by_bend;
        for (int lane = 0; lane < LANES; lane++) {
            float fitted = mean[lane] * share + slope[lane] * x + bend[lane] * curve;
            float off = fabsf(rows[k][lane] - fitted);
            largest[lane] = off > largest[lane] ? off : largest[lane];
        }
    }
}

/* Excess of the roughest box over the median one, as the square of one sample that was off. */
INLINE void bursts(const scratch *work, int32_t boxes, float *squares) {
    eight least[TRACK_SEGMENTS_MAX / 2 + 1], most = {0};
    int32_t kept = (boxes - 1) / 2 + 1;
    for (int32_t place = 0; place < kept; place++)
        least[place] = (eight){0} + FLT_MAX;
    for (int32_t k = 0; k < boxes; k++) {
        eight bends = work->track[k + 1][TRACK_BENDS] + work->track[k + 2][TRACK_BENDS];
        eight smaller = bends;
        put_in_order(&smaller, &most);
        /* Into the sorted ones; what is larger moves on. */
        for (int32_t place = 0; place < kept; place++)
            put_in_order(least + place, &bends);
    }
    for (int lane = 0; lane < LANES; lane++) {
        float median = least[kept - 1][lane];
        /* One sample off by 1 bends by 1, -2 and 1. */
        squares[lane] = most[lane] > BURST_RATIO * median ? (most[lane] - median) / 6 : 0;
    }
}

WIDER_CLONES static void fill_strays(const box_images *images, const scratch *work, const float *re,
                                     const float *im, float scale, stray_shapes *strays) {
    lane_row along[TRACK_SEGMENTS_MAX], across[TRACK_SEGMENTS_MAX];
    stray_boxes(images, work, re, im, scale, along, across);
    spread_of(along, across, images->boxes, strays);
    off_parabola(across, images->boxes, strays->jump);
    bursts(work, images->boxes, strays->burst_square);
}

void dcpi_strays(const dcpi_window *window, const fold_result *folded, const scratch *work,
                 stray_shapes *strays) {
    box_images images = images_of(window, folded);
    float scale = (float)(M_SQRT1_2 / folded->segments.length);
    fill_strays(&images, work, folded->re + LANES, folded->im + LANES, scale, strays);
}
