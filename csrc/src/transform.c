/* From the bins of one period to the orders: a real transform of 256 across the lanes.
 *
 * Even and odd bins are the real and imaginary part of 128 complex ones, whose radix-4 transform
 * (decimation in frequency) is taken apart into the orders at the end. Dividing by the kernel's
 * transform undoes the spreading. */
#include "internal.h"
#include "tables.h"

enum { COMPLEX_BINS = FOLD_BINS / 2 };

/* The base-4 digits of an order below 64: where its couple stands. */
static inline int reversed_digits(int order) {
    return (order & 3) << 4 | (order & 12) | (order & 48) >> 4;
}

#define VECTOR eight
#define OF(name) eight_##name
#include "transform_of.h"
#undef VECTOR
#undef OF
#define VECTOR four
#define OF(name) four_##name
#include "transform_of.h"

/* Eight lanes at once need registers of that width, or the compiler spills them. */
WIDE static void transform_wide(scratch *work, float scale, fold_result *result) {
    eight_transform(work->grid[0], scale, result->h_max, (eight *)(void *)result->re,
                    (eight *)(void *)result->im);
}

static void transform_narrow(scratch *work, float scale, fold_result *result) {
    four_transform((four *)work->grid[0], scale, result->h_max, (four *)(void *)result->re,
                   (four *)(void *)result->im);
}

void dcpi_transform(scratch *work, double weight_sum, fold_result *result) {
    float scale = (float)(M_SQRT1_2 / weight_sum);
    if (HAS_WIDE)
        transform_wide(work, scale, result);
    else
        transform_narrow(work, scale, result);
    for (int lane = 0; lane < LANES; lane++) {
        result->re[lane] = (float)(result->means.first[lane] / result->unit[lane]);
        result->im[lane] = 0;
    }
}
