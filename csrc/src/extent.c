/* Plain sums and extremes of the samples as they came. */
#include <float.h>

#include "internal.h"

/* Lets the minimum and maximum be vector instructions. A NaN still makes its sums NaN, by which
 * levels.c tells it; that test is not compiled in this file. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("finite-math-only")
#endif

/* Sums of float stay single over so many samples, in four lanes or more. */
enum { EXTENT_BLOCK = 3 * BLOCK };

static void add_extent(double low, double high, double sum, double squares, int is_current,
                       int32_t at, phase_extent *both) {
    sample_extent *extent = is_current ? &both->current : &both->voltage;
    both->block_low[is_current][at] = low;
    both->block_high[is_current][at] = high;
    extent->low = low < extent->low ? low : extent->low;
    extent->high = high > extent->high ? high : extent->high;
    extent->sum += sum;
    extent->squares += squares;
}

#define SAMPLE float
#define OF(name) single_##name
#include "extent_of.h"
#undef SAMPLE
#undef OF
#define SAMPLE double
#define OF(name) double_##name
#include "extent_of.h"

/* Mixed precision is read as double, piece by piece. */
static void extend_mixed(const dcpi_window *window, int phase, int32_t start, int32_t count,
                         int32_t at, scratch *work, phase_extent *both) {
    double *v = work->samples[0], *i = work->samples[1];
    for (int32_t done = 0; done < count; done += EXTENT_BLOCK) {
        int32_t take = count - done < EXTENT_BLOCK ? count - done : EXTENT_BLOCK;
        double low[2], high[2];
        for (int k = 0; k < 2; k++) {
            low[k] = done ? both->block_low[k][at] : DBL_MAX;
            high[k] = done ? both->block_high[k][at] : -DBL_MAX;
        }
        dcpi_read_block(window, phase, start + done, take, v);
        dcpi_read_block(window, window->phases + phase, start + done, take, i);
        double_extend(v, i, take, at, both);
        for (int k = 0; k < 2; k++) {
            both->block_low[k][at] = fmin(both->block_low[k][at], low[k]);
            both->block_high[k][at] = fmax(both->block_high[k][at], high[k]);
        }
    }
}

void dcpi_phase_extent(const dcpi_window *window, int phase, scratch *work, phase_extent *both) {
    int other = window->phases + phase, single = is_single(window, phase);
    int alike = single == is_single(window, other);
    both->voltage = both->current = (sample_extent){DBL_MAX, -DBL_MAX, 0, 0, 0};
    both->voltage.offset = dcpi_correction_of(window, phase).offset;
    both->current.offset = dcpi_correction_of(window, other).offset;
    if (alike && single) {
        /* What single precision cannot tell of it, levels.c takes off. */
        both->voltage.offset = (double)(float)both->voltage.offset;
        both->current.offset = (double)(float)both->current.offset;
    }
    both->products = 0;
    both->block = (window->samples - 1) / EXTENT_BLOCKS_MAX + 1;
    if (both->block < EXTENT_BLOCK)
        both->block = EXTENT_BLOCK;
    for (int32_t start = 0, at = 0; start < window->samples; start += both->block, at++) {
        int32_t left = window->samples - start;
        int32_t count = left < both->block ? left : both->block;
        if (alike && single)
            single_extend(row_of(window, phase, start), row_of(window, other, start), count, at,
                          both);
        else if (alike)
            double_extend(row_of(window, phase, start), row_of(window, other, start), count, at,
                          both);
        else
            extend_mixed(window, phase, start, count, at, work, both);
    }
}

/* Samples from `start` on that stand at either extreme; or, in a row, those that two more follow.
 */
static double count_block(const dcpi_window *window, int channel, int32_t start, int32_t length,
                          double low, double high, int in_a_row) {
    int32_t left = window->samples - start - (in_a_row ? 2 : 0);
    int32_t count = left < length ? left : length;
    const void *row = row_of(window, channel, start);
    if (is_single(window, channel))
        return in_a_row ? single_in_a_row(row, count, (float)low, (float)high)
                        : single_at_extremes(row, count, (float)low, (float)high);
    return in_a_row ? double_in_a_row(row, count, low, high)
                    : double_at_extremes(row, count, low, high);
}

/* Only blocks that reach an extreme are looked at, and for runs only where two neighbouring blocks
 * have enough of such samples. */
double dcpi_at_extremes(const dcpi_window *window, int channel, const phase_extent *both,
                        int *has_run) {
    int is_current = channel >= window->phases;
    const sample_extent *extent = is_current ? &both->current : &both->voltage;
    double low = extent->low, high = extent->high, found = 0, before = 0;
    *has_run = 0;
    for (int32_t start = 0, at = 0; start < window->samples; start += both->block, at++) {
        double here = 0;
        if (both->block_low[is_current][at] <= low || both->block_high[is_current][at] >= high)
            here = count_block(window, channel, start, both->block, low, high, 0);
        if (here + before >= 3 && !*has_run) {
            int32_t from = before > 0 ? start - both->block : start;
            *has_run =
                count_block(window, channel, from, start - from + both->block, low, high, 1) > 0;
        }
        found += here;
        before = here;
    }
    return found;
}
