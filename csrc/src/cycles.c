/* A stream of samples: what of it is held, and which value comes next. */
#include <string.h>

#include "cycles_internal.h"

/* Cycles that the tracker looks back from its newest node to the oldest crossing it still takes. */
enum { LOOK_BACK_CYCLES = 6 };

static int32_t cycle_length(const dcpi_cycle_config *config) {
    return (int32_t)rint(config->sample_rate_hz / config->nominal_hz);
}

static int32_t interval_cycles(const dcpi_cycle_config *config) {
    return config->nominal_hz < 55 ? 10 : 12;
}

static dcpi_status check_config(const dcpi_cycle_config *config) {
    if (!config)
        return DCPI_BAD_POINTER;
    if (config->phases < 1 || config->phases > DCPI_PHASES_MAX)
        return DCPI_BAD_PHASES;
    if (!(config->sample_rate_hz >= DCPI_CYCLE_RATE_MIN_HZ &&
          config->sample_rate_hz <= DCPI_CYCLE_RATE_MAX_HZ))
        return DCPI_BAD_RATE;
    if (config->nominal_hz != 50 && config->nominal_hz != 60)
        return DCPI_BAD_NOMINAL;
    if (config->epoch_ns < 0 || config->epoch_ns > DCPI_CYCLE_EPOCH_MAX_NS)
        return DCPI_BAD_LENGTH;
    if (!(config->declared_v >= 0 && config->declared_v < VALUE_LIMIT))
        return DCPI_BAD_NOMINAL;
    for (int k = 0; k < DCPI_PHASES_MAX; k++)
        if (!(fabs(config->skew_s[k]) <= 0.01))
            return DCPI_BAD_SKEW;
    return DCPI_OK;
}

/* The longest interval and what the tracker still needs behind and before it. */
static int32_t longest_hold(const dcpi_cycle_config *config) {
    double cycles = INTERVAL_STRETCH * interval_cycles(config) + LOOK_BACK_CYCLES + TRACK_CYCLES;
    return (int32_t)ceil(cycles * cycle_length(config)) + 4 * EDGE_MAX;
}

/* The blur of an interval's edges ends at the rate less twice order 51 at the highest frequency:
 * what is up to there must not come back as an image. At least 3 samples, as it rings below the
 * rate. */
static int32_t edge_samples(const dcpi_cycle_config *config) {
    double highest_hz = 51 * (1 + NOMINAL_TOLERANCE) * config->nominal_hz;
    double free_share = 1 - 2 * highest_hz / config->sample_rate_hz;
    double half = free_share > 0 ? ceil(2 / free_share) : EDGE_MAX;
    return (int32_t)fmax(3, fmin(EDGE_MAX, half));
}

static size_t samples_cells(const dcpi_cycle_config *config) {
    return 2 * (size_t)longest_hold(config) * CYCLE_LANES / 2;
}

enum { LINE_CELLS = 64 / sizeof(double) }; /* a cache line, at which vectors begin */

size_t dcpi_cycles_cells(const dcpi_cycle_config *config) {
    if (check_config(config) != DCPI_OK)
        return 0;
    return LINE_CELLS - 1 + samples_cells(config) +
           (TRACK_CYCLES / 2 + 1) * (size_t)cycle_length(config);
}

static void *carve(double **memory, size_t cells) {
    void *part = *memory;
    *memory += cells;
    return part;
}

dcpi_status dcpi_cycles_init(dcpi_cycles *cycles, const dcpi_cycle_config *config, double *memory,
                             size_t cells) {
    dcpi_status status = check_config(config);
    if (status != DCPI_OK)
        return status;
    if (!cycles || !memory || (uintptr_t)memory % sizeof *memory)
        return DCPI_BAD_POINTER;
    if (cells < dcpi_cycles_cells(config))
        return DCPI_BAD_LENGTH;
    memset(cycles, 0, sizeof *cycles);
    cycles->config = *config;
    for (int k = 0; k < 2 * DCPI_PHASES_MAX; k++)
        cycles->corrections[k].gain = 1;
    cycles->time_ns = config->epoch_ns;
    cycles->time_rate_hz = config->sample_rate_hz;
    cycles->cycles_per_interval = interval_cycles(config);
    cycles->cycle_samples = cycle_length(config);
    cycles->edge_samples = edge_samples(config);
    cycles->capacity = 2 * longest_hold(config);
    memory += -((uintptr_t)memory / sizeof *memory) % LINE_CELLS;
    cycles->samples = carve(&memory, samples_cells(config));
    cycles->window = carve(&memory, TRACK_CYCLES / 2 * (size_t)cycles->cycle_samples);
    cycles->line = carve(&memory, (size_t)cycles->cycle_samples);
    dcpi_cycle_tables(cycles);
    return DCPI_OK;
}

dcpi_status dcpi_cycles_set_time(dcpi_cycles *cycles, int64_t index, int64_t utc_ns,
                                 double sample_rate_hz) {
    if (!cycles)
        return DCPI_BAD_POINTER;
    double configured_hz = cycles->config.sample_rate_hz;
    if (!(fabs(sample_rate_hz / configured_hz - 1) <= DCPI_CYCLE_RATE_TOLERANCE))
        return DCPI_BAD_RATE;
    if (utc_ns < 0 || utc_ns > DCPI_CYCLE_EPOCH_MAX_NS || index < 0 ||
        (double)index > DCPI_CYCLE_STREAM_MAX_S * configured_hz)
        return DCPI_BAD_LENGTH;
    cycles->time_index = index;
    cycles->time_ns = utc_ns;
    cycles->time_rate_hz = sample_rate_hz;
    return DCPI_OK;
}

dcpi_status dcpi_cycles_set_corrections(dcpi_cycles *cycles, const dcpi_correction *corrections) {
    if (!cycles || !corrections)
        return DCPI_BAD_POINTER;
    int channels = 2 * cycles->config.phases;
    for (int k = 0; k < channels; k++) {
        if (!(fabs(corrections[k].gain) >= 1e-6 && fabs(corrections[k].gain) <= 1e9))
            return DCPI_BAD_GAIN;
        if (!(fabs(corrections[k].offset) <= VALUE_LIMIT))
            return DCPI_BAD_OFFSET;
        if (!(fabs(corrections[k].phase_rad) <= 0.5))
            return DCPI_BAD_ANGLE;
        if (!(fabs(corrections[k].delay_s) <= 0.01))
            return DCPI_BAD_DELAY;
    }
    memcpy(cycles->corrections, corrections, (size_t)channels * sizeof *corrections);
    return DCPI_OK;
}

/* Begin anew at this sample; what is finished and not yet fetched stays. */
static void restart(dcpi_cycles *cycles, int64_t index) {
    dcpi_cycle_break(cycles);
    cycles->base = cycles->next_index = index;
    cycles->held = 0;
    cycles->node_count = cycles->segment = 0;
    cycles->next_cycle = 0;
    for (int k = 0; k < DCPI_PHASES_MAX; k++)
        cycles->track[k].known = 0;
}

/* No cycles of the nominal frequency make an interval this long. */
static void drop_endless(dcpi_cycles *cycles, double newest) {
    double limit = INTERVAL_STRETCH * cycles->cycles_per_interval * cycles->cycle_samples;
    if ((cycles->overlapping.active && newest - cycles->overlapping.start > limit) ||
        (cycles->current.active && newest - cycles->current.start > limit))
        dcpi_cycle_break(cycles);
}

/* Forget the samples that nothing needs any more. */
static void make_room(dcpi_cycles *cycles) {
    if (!cycles->node_count)
        return;
    double newest = node_at(cycles, cycles->node_count - 1)->position;
    drop_endless(cycles, newest);
    int64_t oldest = (int64_t)newest - LOOK_BACK_CYCLES * cycles->cycle_samples;
    const dcpi_open_interval *open =
        cycles->overlapping.active ? &cycles->overlapping : &cycles->current;
    if (open->active && (int64_t)open->start - 2 * EDGE_MAX < oldest)
        oldest = (int64_t)open->start - 2 * EDGE_MAX;
    if (oldest <= cycles->base)
        return;
    cycles->held -= (int32_t)(oldest - cycles->base);
    const float *from = row_at(cycles, oldest);
    for (int32_t row = 0; row < cycles->held; row++)
        memcpy(cycles->samples + (int64_t)row * CYCLE_LANES, from + (int64_t)row * CYCLE_LANES,
               CYCLE_LANES * sizeof(float));
    cycles->base = oldest;
}

static float usable(double value) {
    return fabs(value) < VALUE_LIMIT ? (float)value : NAN;
}

static void copy_row(const void *samples, int32_t is_float32, int64_t start, int32_t count,
                     const dcpi_correction *correction, float *lane) {
    double gain = correction->gain, offset = correction->offset;
    const float *single = (const float *)samples + (is_float32 ? start : 0);
    const double *full = (const double *)samples + (is_float32 ? 0 : start);
    for (int32_t n = 0; n < count; n++)
        lane[n * CYCLE_LANES] =
            usable(gain * ((is_float32 ? (double)single[n] : full[n]) - offset));
}

static dcpi_status check_block(const dcpi_cycles *cycles, const dcpi_cycle_block *block) {
    if (!cycles || !block || !block->voltage || !block->current)
        return DCPI_BAD_POINTER;
    uintptr_t size = block->is_float32 ? sizeof(float) : sizeof(double);
    if ((uintptr_t)block->voltage % size || (uintptr_t)block->current % size)
        return DCPI_BAD_POINTER;
    double limit = DCPI_CYCLE_STREAM_MAX_S * cycles->config.sample_rate_hz;
    if (block->samples < 1 || block->stride < block->samples || block->first_index < 0 ||
        (double)block->first_index > limit)
        return DCPI_BAD_LENGTH;
    return DCPI_OK;
}

dcpi_status dcpi_cycles_take(dcpi_cycles *cycles, const dcpi_cycle_block *block, int32_t *taken) {
    dcpi_status status = taken ? check_block(cycles, block) : DCPI_BAD_POINTER;
    if (status != DCPI_OK)
        return status;
    if (block->first_index != cycles->next_index)
        restart(cycles, block->first_index);
    if (block->samples > cycles->capacity - cycles->held)
        make_room(cycles);
    int32_t room = cycles->capacity - cycles->held;
    int32_t count = block->samples < room ? block->samples : room;
    float *row = cycles->samples + (int64_t)cycles->held * CYCLE_LANES;
    memset(row, 0, (size_t)count * CYCLE_LANES * sizeof *row);
    for (int k = 0; k < cycles->config.phases; k++) {
        int64_t start = k * block->stride;
        copy_row(block->voltage, block->is_float32, start, count, cycles->corrections + k, row + k);
        copy_row(block->current, block->is_float32, start, count,
                 cycles->corrections + cycles->config.phases + k, row + HALF_LANES + k);
    }
    cycles->held += count;
    cycles->next_index += count;
    *taken = count;
    return DCPI_OK;
}

static dcpi_cycle_kind fetch(dcpi_cycles *cycles) {
    for (int kind = DCPI_CYCLE_FREQUENCY; kind <= DCPI_CYCLE_LONG; kind++)
        if (cycles->ready >> kind & 1) {
            cycles->ready &= ~(1u << kind);
            return (dcpi_cycle_kind)kind;
        }
    if (cycles->config.wants_halves && cycles->halves_read < cycles->halves_written) {
        cycles->half = cycles->halves[cycles->halves_read++ % DCPI_CYCLE_HALVES];
        cycles->half.start_ns = nanoseconds(cycles, cycles->half.start);
        cycles->half.end_ns = nanoseconds(cycles, cycles->half.end);
        return DCPI_CYCLE_HALF;
    }
    return DCPI_CYCLE_NOTHING;
}

/* The reference's next crossing. It waits for the half-cycles of one more segment, so that a dip
 * which begins in an interval's last cycle still marks it. Whether there was one. */
static int take_boundary(dcpi_cycles *cycles) {
    int64_t last = cycles->segment - 2;
    double position;
    for (int64_t segment = last > 0 ? last - 1 : 0; segment <= last; segment++) {
        const dcpi_cycle_node *node = node_at(cycles, segment);
        if (segment == 0 && cycles->next_cycle <= node->cycles)
            cycles->next_cycle = floor(node->cycles) + 1;
        if (!dcpi_cycle_crossing(cycles, segment, -1, cycles->next_cycle, &position))
            continue;
        int referenced = node->referenced && node_at(cycles, segment + 1)->referenced;
        cycles->next_cycle += 1;
        dcpi_cycle_boundary(cycles, cycles->next_cycle - 1, position, referenced);
        return 1;
    }
    return 0;
}

/* One step further; whether there was one. */
static int step(dcpi_cycles *cycles) {
    if (take_boundary(cycles))
        return 1;
    if (cycles->segment + 3 <= cycles->node_count) {
        dcpi_cycle_halves(cycles, cycles->segment++);
        return 1;
    }
    return dcpi_cycle_add_node(cycles);
}

dcpi_cycle_kind dcpi_cycles_next(dcpi_cycles *cycles, dcpi_cycle_workspace *workspace) {
    cycles->workspace = workspace;
    for (;;) {
        dcpi_cycle_kind kind = fetch(cycles);
        if (kind != DCPI_CYCLE_NOTHING || !step(cycles))
            return kind;
    }
}

dcpi_status dcpi_cycles_take_next(dcpi_cycles *cycles, dcpi_cycle_workspace *workspace,
                                  const dcpi_cycle_block *block, int32_t *taken,
                                  dcpi_cycle_kind *kind) {
    if (!workspace || !kind)
        return DCPI_BAD_POINTER;
    dcpi_status status = dcpi_cycles_take(cycles, block, taken);
    if (status == DCPI_OK)
        *kind = dcpi_cycles_next(cycles, workspace);
    return status;
}
