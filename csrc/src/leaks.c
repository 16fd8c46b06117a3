/* What the orders above the first leave in the segments of the track, taken off.
 *
 * A segment's ends lie between two samples, so that whole turns of a tone in a box do not quite sum
 * to nothing: at low rates an order of 10 % leaves up to 0.1 %. The orders are known by now. */
#include "internal.h"

typedef struct {
    float cosine[DCPI_ORDERS], sine[DCPI_ORDERS]; /* of each order, at the sample on the border */
} order_turns;

/* Half the cotangent of half a tone's angle per sample, for tones of 1 to h_max + 1 turns. */
static void fill_cotangents(double turns_per_sample, int32_t h_max, float *half_cotangent) {
    for (int32_t tone = 1; tone <= h_max + 1; tone++)
        half_cotangent[tone] = (float)(0.5 / tan(M_PI * tone * turns_per_sample));
}

static void fill_turns(double turns, int32_t h_max, order_turns *at) {
    double c = cos(TWO_PI * turns), s = sin(TWO_PI * turns), re = c, im = s;
    for (int32_t order = 2; order <= h_max; order++) {
        double next = re * c - im * s;
        im = im * c + re * s;
        re = next;
        at->cosine[order] = (float)re;
        at->sine[order] = (float)im;
    }
}

/* The orders' sums up to a border at which `share` of the sample on it lies before, but for a
 * constant: of exp(j x n) these are exp(j x n) (share - 1/2 - j/2 cot(x/2)). The upper tones of all
 * orders come conjugate. */
typedef struct {
    eight value_re, value_im; /* of the orders at the sample on the border */
    eight below_re, below_im; /* weighted for the tone one turn below each order, */
    eight above_re, above_im; /* and for the one above */
} border_sums;

WIDER_CLONES static void sum_at_border(const eight *re, const eight *im, int32_t h_max,
                                       const order_turns *at, const float *half_cotangent,
                                       border_sums *sums) {
    border_sums all = {{0}, {0}, {0}, {0}, {0}, {0}};
    for (int32_t order = 2; order <= h_max; order++) {
        eight x = re[order] * at->cosine[order] - im[order] * at->sine[order];
        eight y = im[order] * at->cosine[order] + re[order] * at->sine[order];
        float below = half_cotangent[order - 1], above = half_cotangent[order + 1];
        all.value_re += x;
        all.value_im += y;
        all.below_re += below * x;
        all.below_im += below * y;
        all.above_re += above * x;
        all.above_im += above * y;
    }
    *sums = all;
}

/* What has leaked before a border, in the track's sums. */
typedef struct {
    eight re, im;
} leaked;

static leaked leaked_before(const border_sums *sums, float share, double line_turns) {
    float c = (float)cos(TWO_PI * line_turns), s = (float)sin(TWO_PI * line_turns);
    float half = share - 0.5f, by = (float)M_SQRT1_2;
    eight below_re = half * sums->value_re + sums->below_im;
    eight below_im = half * sums->value_im - sums->below_re;
    eight above_re = half * sums->value_re + sums->above_im;
    eight above_im = half * sums->value_im - sums->above_re;
    /* Turned back by the line; the upper ones on by it, and mirrored. */
    return (leaked){by * (below_re * c + below_im * s + above_re * c - above_im * s),
                    by * (below_im * c - below_re * s - above_im * c - above_re * s)};
}

static leaked leaked_at(const dcpi_window *window, const fold_result *folded, int32_t border,
                        const float *half_cotangent) {
    double place = border_of(&folded->segments, border), sample = floor(place + 0.5);
    double folded_turns = folded->folded_hz / window->sample_rate_hz;
    double turns = folded->frequency_hz / window->sample_rate_hz, centre = folded->span.centre;
    order_turns at;
    border_sums sums;
    fill_turns(folded_turns * centre + turns * (sample - centre), folded->h_max, &at);
    sum_at_border((const eight *)(const void *)folded->re, (const eight *)(const void *)folded->im,
                  folded->h_max, &at, half_cotangent, &sums);
    return leaked_before(&sums, (float)(place + 0.5 - sample), folded_turns * sample);
}

void dcpi_take_leaks_off(const dcpi_window *window, const fold_result *folded, scratch *work) {
    float half_cotangent[DCPI_ORDERS + 1];
    fill_cotangents(folded->frequency_hz / window->sample_rate_hz, folded->h_max, half_cotangent);
    leaked before = leaked_at(window, folded, 0, half_cotangent);
    for (int32_t segment = 1; segment <= folded->segments.count; segment++) {
        leaked behind = leaked_at(window, folded, segment, half_cotangent);
        work->track[segment][TRACK_RE] -= behind.re - before.re;
        work->track[segment][TRACK_IM] -= behind.im - before.im;
        before = behind;
    }
}
