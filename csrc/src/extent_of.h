/* Sums and extremes of rows of one type: included by extent.c for float and for double, with SAMPLE
 * the type and OF(name) the function's name. Plain loops, for the compiler to use any vectors. */

INLINE void OF(extend_from)(const SAMPLE *v, const SAMPLE *i, int32_t count, int32_t at,
                            SAMPLE v_offset, SAMPLE i_offset, phase_extent *both) {
    SAMPLE v_low = v[0], v_high = v[0], i_low = i[0], i_high = i[0];
    SAMPLE v_sum = 0, v_square = 0, i_sum = 0, i_square = 0, product = 0;
    for (int32_t k = 0; k < count; k++) {
        SAMPLE x = v[k] - v_offset, y = i[k] - i_offset;
        v_low = v[k] < v_low ? v[k] : v_low;
        v_high = v[k] > v_high ? v[k] : v_high;
        i_low = i[k] < i_low ? i[k] : i_low;
        i_high = i[k] > i_high ? i[k] : i_high;
        v_sum += x;
        i_sum += y;
        v_square += x * x;
        i_square += y * y;
        product += x * y;
    }
    add_extent((double)v_low, (double)v_high, (double)v_sum, (double)v_square, 0, at, both);
    add_extent((double)i_low, (double)i_high, (double)i_sum, (double)i_square, 1, at, both);
    both->products += (double)product;
}

/* Mostly there is no offset, and nothing to take off. */
WIDER_CLONES static void OF(extend)(const SAMPLE *v, const SAMPLE *i, int32_t count, int32_t at,
                                    phase_extent *both) {
    SAMPLE v_offset = (SAMPLE)both->voltage.offset, i_offset = (SAMPLE)both->current.offset;
    if (v_offset == 0 && i_offset == 0)
        OF(extend_from)(v, i, count, at, 0, 0, both);
    else
        OF(extend_from)(v, i, count, at, v_offset, i_offset, both);
}

/* How many samples stand at either extreme, as a number of the type so that the loop needs one
 * width only. */
WIDER_CLONES static double OF(at_extremes)(const SAMPLE *x, int32_t count, SAMPLE low,
                                           SAMPLE high) {
    SAMPLE found = 0;
    for (int32_t k = 0; k < count; k++)
        found += x[k] <= low || x[k] >= high ? (SAMPLE)1 : (SAMPLE)0;
    return (double)found;
}

/* How many of them are followed by two more. */
WIDER_CLONES static double OF(in_a_row)(const SAMPLE *x, int32_t count, SAMPLE low, SAMPLE high) {
    SAMPLE found = 0;
    for (int32_t k = 0; k < count; k++)
        found += (x[k] <= low && x[k + 1] <= low && x[k + 2] <= low) ||
                         (x[k] >= high && x[k + 1] >= high && x[k + 2] >= high)
                     ? (SAMPLE)1
                     : (SAMPLE)0;
    return (double)found;
}
