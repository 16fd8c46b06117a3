/* The transform on one vector of lanes: included by transform.c for all eight lanes at once and for
 * four, with VECTOR the type and OF(name) the function's name. Values of neighbouring bins stand
 * OF(STRIDE) vectors apart; real and imaginary part of a complex bin are neighbours. */

enum { OF(STRIDE) = LANES * sizeof(float) / sizeof(VECTOR), OF(IM) = OF(STRIDE) };

/* exp(-2 pi j turn / FOLD_BINS) (re + j im) */
INLINE void OF(store_turned)(const VECTOR *re, const VECTOR *im, int turn, VECTOR *to) {
    if (turn == 0) {
        to[0] = *re;
        to[OF(IM)] = *im;
        return;
    }
    float c = fold_sine[turn + FOLD_BINS / 4], s = fold_sine[turn];
    to[0] = *re * c + *im * s;
    to[OF(IM)] = *im * c - *re * s;
}

/* One radix-4 butterfly; complex bins a quarter of the transform apart. */
INLINE void OF(butterfly)(VECTOR *a, int quarter, int turn) {
    int step = 2 * OF(STRIDE) * quarter;
    VECTOR *b = a + step, *c = b + step, *d = c + step;
    VECTOR sum_re = a[0] + c[0], sum_im = a[OF(IM)] + c[OF(IM)];
    VECTOR less_re = a[0] - c[0], less_im = a[OF(IM)] - c[OF(IM)];
    VECTOR other_re = b[0] + d[0], other_im = b[OF(IM)] + d[OF(IM)];
    /* times -j */
    VECTOR turned_re = b[OF(IM)] - d[OF(IM)], turned_im = d[0] - b[0];
    VECTOR one_re = less_re + turned_re, one_im = less_im + turned_im;
    VECTOR two_re = sum_re - other_re, two_im = sum_im - other_im;
    VECTOR three_re = less_re - turned_re, three_im = less_im - turned_im;
    a[0] = sum_re + other_re;
    a[OF(IM)] = sum_im + other_im;
    OF(store_turned)(&one_re, &one_im, turn, b);
    OF(store_turned)(&two_re, &two_im, 2 * turn, c);
    OF(store_turned)(&three_re, &three_im, 3 * turn, d);
}

/* In place, all stages but the last of radix 2; order h then is in the couple h % 64. */
INLINE void OF(all_but_last)(VECTOR *bins) {
    for (int length = COMPLEX_BINS; length > 2; length /= 4) {
        int quarter = length / 4;
        for (int base = 0; base < COMPLEX_BINS; base += length)
            OF(butterfly)(bins + 2 * OF(STRIDE) * base, quarter, 0);
        for (int k = 1; k < quarter; k++)
            for (int base = 0; base < COMPLEX_BINS; base += length)
                OF(butterfly)
        (bins + 2 * OF(STRIDE) * (base + k), quarter, k * (FOLD_BINS / length));
    }
}

/* The last stage gives Z(h) as the sum of a couple and Z(128 - h) as the difference of another;
 * 2 X(h) = Z(h) + Z*(-h) - j exp(-2 pi j h / FOLD_BINS) (Z(h) - Z*(-h)), turned by c + j s. */
INLINE void OF(unpack)(const VECTOR *bins, int order, float c, float s, VECTOR *re, VECTOR *im) {
    const VECTOR *a = bins + 4 * OF(STRIDE) * reversed_digits(order), *b = a + 2 * OF(STRIDE);
    VECTOR plus_re = a[0] + b[0], plus_im = a[OF(IM)] + b[OF(IM)];
    VECTOR minus_re = plus_re, minus_im = plus_im;
    if (order > 0) {
        a = bins + 4 * OF(STRIDE) * reversed_digits(64 - order);
        b = a + 2 * OF(STRIDE);
        minus_re = a[0] - b[0];
        minus_im = a[OF(IM)] - b[OF(IM)];
    }
    float order_c = fold_sine[order + FOLD_BINS / 4], order_s = fold_sine[order];
    VECTOR odd_re = plus_im + minus_im, odd_im = minus_re - plus_re;
    VECTOR x_re = plus_re + minus_re + (odd_re * order_c + odd_im * order_s);
    VECTOR x_im = plus_im - minus_im + (odd_im * order_c - odd_re * order_s);
    re[order * OF(STRIDE)] = x_re * c - x_im * s;
    im[order * OF(STRIDE)] = x_im * c + x_re * s;
}

INLINE void OF(transform)(VECTOR *bins, float scale, int32_t h_max, VECTOR *re, VECTOR *im) {
    for (int part = 0; part < OF(STRIDE); part++) {
        OF(all_but_last)(bins + part);
        for (int order = 0; order <= h_max; order++) {
            OF(unpack)
            (bins + part, order, scale * fold_gain[order][0], scale * fold_gain[order][1],
             re + part, im + part);
        }
    }
}
