/* What samples add to the grids and to the sums, with vectors of some lanes: included by fold.c for
 * all eight lanes in one vector and for two of four, with VECTOR the type and OF(name) the
 * function's name. */

enum { OF(PARTS) = LANES * sizeof(float) / sizeof(VECTOR) };

/* Hann-weighted. */
typedef struct {
    VECTOR first[OF(PARTS)], square[OF(PARTS)];
    four power;
} OF(weighted_sums);

/* Of one segment: the phasor, conjugate, and squared second differences, where a transient of few
 * samples stands out and the wave hardly does; these Hann-weighted, too. */
typedef struct {
    VECTOR re[OF(PARTS)], im[OF(PARTS)], bends[OF(PARTS)], bent[OF(PARTS)];
    VECTOR last[OF(PARTS)], rise[OF(PARTS)];
} OF(track_sums);

INLINE const VECTOR *OF(sample)(const scratch *work, int32_t k) {
    return (const VECTOR *)(const void *)(work->lanes + 2 + k);
}

INLINE void OF(add)(const VECTOR *value, eight *to) {
    for (int part = 0; part < OF(PARTS); part++)
        ((VECTOR *)(void *)to)[part] += value[part];
}

/* Into the weighted sums, and the taps into a grid. */
INLINE void OF(spread_sample)(scratch *work, int32_t k, OF(weighted_sums) * sums) {
    const VECTOR *x = OF(sample)(work, k);
    VECTOR *bins = (VECTOR *)(void *)((char *)work->grid + work->places[k]);
    VECTOR weighted[OF(PARTS)];
    /* Keeps one address for all taps, not one for each. */
    __asm__("" : "+r"(bins));
    for (int part = 0; part < OF(PARTS); part++) {
        weighted[part] = x[part] * work->weight[k];
        sums->first[part] += weighted[part];
        sums->square[part] += weighted[part] * x[part];
    }
    sums->power += OF(voltages)(weighted) * four_sample(work, k)[1];
    /* The first ones last: the sample before has just written them. */
    for (int tap = FOLD_TAPS - 1; tap >= 0; tap--) {
        float height = work->taps[tap][k];
        for (int part = 0; part < OF(PARTS); part++)
            bins[tap * OF(PARTS) + part] += weighted[part] * height;
    }
}

INLINE void OF(track_sample)(const scratch *work, int32_t k, OF(track_sums) * sums) {
    for (int part = 0; part < OF(PARTS); part++) {
        VECTOR x = OF(sample)(work, k)[part], rise = x - sums->last[part];
        VECTOR bend = rise - sums->rise[part];
        sums->last[part] = x;
        sums->rise[part] = rise;
        bend *= bend;
        sums->bends[part] += bend;
        sums->bent[part] += bend * work->weight[k];
        sums->re[part] += x * work->cosine[k];
        sums->im[part] += x * work->sine[k];
    }
}

/* Samples from..to of the block, all of one segment. */
INLINE void OF(spread)(scratch *work, int32_t from, int32_t to, eight *segment, block_sums *sums) {
    OF(weighted_sums) weighted = {{{0}}, {{0}}, {0}};
    OF(track_sums) track = {{{0}}, {{0}}, {{0}}, {{0}}, {{0}}, {{0}}};
    for (int part = 0; part < OF(PARTS); part++) {
        track.last[part] = OF(sample)(work, from - 1)[part];
        track.rise[part] = track.last[part] - OF(sample)(work, from - 2)[part];
    }
    /* There are registers for all sums of one vector, of two not. */
    for (int32_t k = from; k < to; k++) {
        OF(track_sample)(work, k, &track);
        if (OF(PARTS) == 1)
            OF(spread_sample)(work, k, &weighted);
    }
    for (int32_t k = from; OF(PARTS) > 1 && k < to; k++)
        OF(spread_sample)(work, k, &weighted);
    for (int part = 0; part < OF(PARTS); part++)
        track.im[part] = -track.im[part];
    OF(add)(track.re, segment + TRACK_RE);
    OF(add)(track.im, segment + TRACK_IM);
    OF(add)(track.bends, segment + TRACK_BENDS);
    OF(add)(track.bent, &sums->bent);
    OF(add)(weighted.first, &sums->first);
    OF(add)(weighted.square, &sums->square);
    sums->power += weighted.power;
}
