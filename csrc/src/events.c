/* From samples to events: cells, the sliding mean of power at every tick, Urms(1/2) per voltage.
 *
 * A cell is the mean over a few samples, so that the memory does not grow with the rate. The sample
 * n stands for the time from n - 1/2 to n + 1/2, and a cell's content is spread evenly over it: the
 * half cycle may have any length and end anywhere. */
#include "events_internal.h"
#include "internal.h"

enum { CHUNK = 256 };

/* Another line frequency, not a drift: the ripple of an unbalanced power was not removed before. */
static const double FREQUENCY_JUMP = 0.05;

/* So long after the start of a feed its frequency may not be known yet. */
enum { UNSURE_TICKS = 200 };

static const double KEPT_CYCLES = 1.5; /* offsets.c looks back; half_cycle.c 1.4 */

static int is_positive(double value) {
    return value > 0 && isfinite(value);
}

static int is_line_frequency(double hz) {
    return hz >= FREQUENCY_MIN_HZ && hz <= FREQUENCY_MAX_HZ;
}

/* Each share unset or below 1, and of dip, swell and interruption in their order. */
static int shares_fit(const dcpi_events_config *config) {
    dcpi_voltage_watch levels;
    const double shares[] = {config->dip, config->swell, config->interruption, config->hysteresis};
    for (size_t k = 0; k < sizeof shares / sizeof *shares; k++)
        if (!(shares[k] >= 0 && shares[k] < 10))
            return 0;
    dcpi_voltage_watch_init(&levels, config);
    return levels.interruption_end_v <= levels.dip_v && levels.dip_end_v < levels.swell_end_v;
}

static dcpi_status check(const dcpi_events_config *config) {
    if (config->phases < 1 || config->phases > DCPI_PHASES_MAX)
        return DCPI_BAD_PHASES;
    if (!(config->sample_rate_hz >= DCPI_RATE_MIN_HZ && config->sample_rate_hz <= DCPI_RATE_MAX_HZ))
        return DCPI_BAD_RATE;
    if (!is_line_frequency(config->frequency_hz))
        return DCPI_BAD_NOMINAL;
    if (!(config->first_tick_samples >= 0 &&
          config->first_tick_samples <= config->sample_rate_hz / DCPI_TICK_HZ))
        return DCPI_BAD_TICK;
    if (!is_positive(config->threshold_w))
        return DCPI_BAD_THRESHOLD;
    if (config->declared_v != 0 && !(is_positive(config->declared_v) && shares_fit(config)))
        return DCPI_BAD_THRESHOLD;
    return DCPI_OK;
}

static double half_cycle_cells(const dcpi_events *events) {
    return events->config.sample_rate_hz /
           (2 * events->config.frequency_hz * events->samples_per_cell);
}

/* Where a tick lies, in cells since the restart. */
static double cells_at(const dcpi_events *events, int64_t tick) {
    double sample = events->config.first_tick_samples +
                    (double)tick * (events->config.sample_rate_hz / DCPI_TICK_HZ);
    return (sample - (double)events->base_index + 0.5) / events->samples_per_cell;
}

/* The inverse: ticks, or ms. */
static double ticks_at(const dcpi_events *events, double cells) {
    double sample = cells * events->samples_per_cell - 0.5 + (double)events->base_index;
    return (sample - events->config.first_tick_samples) *
           (DCPI_TICK_HZ / events->config.sample_rate_hz);
}

/* Whether the line frequency may be another than the nominal one, which matters to one phase. */
static int is_unsure(const dcpi_events *events) {
    return events->next_tick < events->sure_tick;
}

static void open_cell(dcpi_events *events) {
    int32_t cell = events->cells;
    events->power_cell[cell] = 0;
    for (int k = 0; k < DCPI_PHASES_MAX; k++) {
        events->volt_cell[k][cell] = 0;
        events->ampere_cell[k][cell] = 0;
        events->square_cell[k][cell] = 0;
    }
}

static void begin_at(dcpi_events *events, int64_t index) {
    events->base_index = events->next_index = index;
    events->cells_gone = 0;
    events->cells = 0;
    events->filled = 0;
    events->offsets.next = 0;
    open_cell(events);
    /* The first tick with all that its mean needs. */
    double needed = half_cycle_cells(events) * (is_unsure(events) ? 1.5 : 1);
    events->next_tick = (int64_t)ceil(ticks_at(events, needed));
}

dcpi_status dcpi_events_init(dcpi_events *events, const dcpi_events_config *config) {
    if (!events || !config)
        return DCPI_BAD_POINTER;
    dcpi_status status = check(config);
    if (status != DCPI_OK)
        return status;
    memset(events, 0, sizeof *events);
    events->config = *config;
    /* Several phases together ripple too little to matter. */
    events->sure_tick = config->phases == 1 ? INT64_MAX : 0;
    events->samples_per_cell = (int32_t)ceil(config->sample_rate_hz / DCPI_CELL_RATE_MAX);
    dcpi_power_watch_init(&events->power, config->threshold_w, 500 / config->frequency_hz,
                          config->callback, config->user);
    dcpi_voltage_watch_init(&events->voltage, config);
    begin_at(events, 0);
    events->next_index = -1;
    return DCPI_OK;
}

dcpi_status dcpi_events_restart(dcpi_events *events) {
    if (!events)
        return DCPI_BAD_POINTER;
    dcpi_power_watch_restart(&events->power);
    dcpi_voltage_watch_restart(&events->voltage, &events->power.queue);
    if (events->next_index >= 0)
        begin_at(events, events->next_index);
    return DCPI_OK;
}

dcpi_status dcpi_events_set_frequency(dcpi_events *events, double frequency_hz) {
    if (!events)
        return DCPI_BAD_POINTER;
    if (!is_line_frequency(frequency_hz))
        return DCPI_BAD_NOMINAL;
    int is_other = fabs(frequency_hz / events->config.frequency_hz - 1) > FREQUENCY_JUMP;
    events->config.frequency_hz = frequency_hz;
    events->sure_tick = 0;
    events->power.half_cycle_ms = 500 / frequency_hz;
    if (is_other)
        memset(&events->offsets, 0, sizeof events->offsets);
    return is_other ? dcpi_events_restart(events) : DCPI_OK;
}

int32_t dcpi_events_take(dcpi_events *events, dcpi_event *out, int32_t capacity) {
    return dcpi_event_queue_take(&events->power.queue, out, capacity);
}

/* `count` samples of one row from `start` on as double. */
static void read_row(const void *rows, int is_float32, int64_t start, int32_t count, double *out) {
    if (is_float32) {
        const float *from = (const float *)rows + start;
        for (int32_t k = 0; k < count; k++)
            out[k] = (double)from[k];
    } else {
        memcpy(out, (const double *)rows + start, (size_t)count * sizeof *out);
    }
}

/* Add the samples of one phase to its cells, the first of which may be begun. */
static void fill_cells(dcpi_events *events, int32_t phase, const double *volts,
                       const double *amperes, int32_t count) {
    int32_t cell = events->cells, room = events->samples_per_cell - events->filled;
    double *power = events->power_cell, share = 1.0 / events->samples_per_cell;
    double *volt = events->volt_cell[phase], *square = events->square_cell[phase];
    double *ampere = events->ampere_cell[phase];
    for (int32_t from = 0; from < count;) {
        int32_t to = count - from < room ? count : from + room;
        double sum = 0, squares = 0, products = 0, currents = 0;
        for (int32_t k = from; k < to; k++) {
            sum += volts[k];
            squares += volts[k] * volts[k];
            products += volts[k] * amperes[k];
            currents += amperes[k];
        }
        volt[cell] += sum * share;
        square[cell] += squares * share;
        power[cell] += products * share;
        ampere[cell] += currents * share;
        room -= to - from;
        from = to;
        if (room == 0) {
            room = events->samples_per_cell;
            cell++;
            if (phase == 0)
                power[cell] = 0;
            volt[cell] = square[cell] = ampere[cell] = 0;
        }
    }
}

/* A phase whose samples are no voltage makes the power unknown. */
static void void_bad_cells(dcpi_events *events, int32_t from, int32_t to) {
    static const double limit = VALUE_LIMIT * VALUE_LIMIT;
    for (int32_t cell = from; cell < to; cell++) {
        int is_good = fabs(events->power_cell[cell]) <= limit;
        for (int32_t k = 0; k < events->config.phases; k++) {
            if (events->square_cell[k][cell] <= limit)
                continue;
            events->volt_cell[k][cell] = events->square_cell[k][cell] = NAN;
            is_good = 0;
        }
        if (!is_good)
            events->power_cell[cell] = NAN;
    }
}

/* Move what is still needed to the front. */
static void make_room(dcpi_events *events, int32_t more) {
    if (events->cells + more < DCPI_CELLS)
        return;
    int32_t wanted = (int32_t)ceil(2 * KEPT_CYCLES * half_cycle_cells(events)) + 2;
    int32_t kept = events->cells < wanted ? events->cells : wanted;
    int32_t gone = events->cells - kept;
    size_t size = (size_t)(kept + 1) * sizeof(double); /* with the one that is begun */
    memmove(events->power_cell, events->power_cell + gone, size);
    memmove(events->square_sum_cell, events->square_sum_cell + gone, size);
    for (int32_t k = 0; k < events->config.phases; k++) {
        memmove(events->volt_cell[k], events->volt_cell[k] + gone, size);
        memmove(events->ampere_cell[k], events->ampere_cell[k] + gone, size);
        memmove(events->square_cell[k], events->square_cell[k] + gone, size);
    }
    events->cells = kept;
    events->cells_gone += gone;
}

/* Over the half cycle that ends there, in cells; one of nominal length leaves a ripple 5 % off the
 * nominal frequency 4.7 % of its size, the mean of two of them a quarter of a cycle apart 0.4 %. */
static double mean_until(const dcpi_events *events, const double *cells, double end) {
    double half_cells = half_cycle_cells(events), start = end - half_cells;
    double earlier = is_unsure(events) ? 0.5 * half_cells : 0;
    /* A frequency that has fallen reaches back before the restart for a tick or two. */
    if (start - earlier < 0)
        return NAN;
    double mean = dcpi_mean_between(cells, start, end);
    if (earlier == 0)
        return mean;
    return 0.5 * (mean + dcpi_mean_between(cells, start - earlier, end - earlier));
}

static void watch_power(dcpi_events *events) {
    for (;;) {
        double end = cells_at(events, events->next_tick) - (double)events->cells_gone;
        if (end > events->cells)
            return;
        double power = mean_until(events, events->power_cell, end);
        double square = mean_until(events, events->square_sum_cell, end);
        dcpi_power_watch_take_at(&events->power, events->next_tick++, power, square);
    }
}

static void watch_voltage(dcpi_events *events, int32_t first, int32_t end) {
    dcpi_cell_view view = {.gone = events->cells_gone, .half_cells = half_cycle_cells(events)};
    dcpi_cycle_rms cycle;
    for (int32_t cell = first; cell < end; cell++) {
        for (int32_t k = 0; k < events->config.phases; k++) {
            view.volts = events->volt_cell[k];
            view.squares = events->square_cell[k];
            view.newest = cell;
            if (!dcpi_half_cycle_step(events->voltage.half_cycle + k, &view, &cycle))
                continue;
            dcpi_voltage_news news = {
                .channel = k,
                .channels = events->config.phases,
                .rms_v = cycle.rms_v,
                .start_ms = ticks_at(events, cycle.start),
                .end_ms = ticks_at(events, cycle.end),
                .known_ms = ticks_at(events, (double)(events->cells_gone + cell + 1))};
            dcpi_voltage_watch_take(&events->voltage, &events->power.queue, &news);
        }
    }
}

static void take_chunk(dcpi_events *events, const dcpi_event_block *block, int32_t start,
                       int32_t count) {
    double volts[CHUNK], amperes[CHUNK];
    int32_t whole = (events->filled + count) / events->samples_per_cell;
    make_room(events, whole + 1);
    for (int32_t k = 0; k < events->config.phases; k++) {
        int64_t at = k * block->stride + start;
        read_row(block->voltage, block->voltage_is_float32, at, count, volts);
        read_row(block->current, block->current_is_float32, at, count, amperes);
        fill_cells(events, k, volts, amperes, count);
    }
    int32_t first = events->cells;
    events->cells += whole;
    events->filled = (events->filled + count) % events->samples_per_cell;
    void_bad_cells(events, first, events->cells);
    dcpi_offsets_take(events, first, events->cells, half_cycle_cells(events));
    watch_power(events);
    if (events->config.declared_v > 0)
        watch_voltage(events, first, events->cells);
}

/* Samples are missing: the power is unknown meanwhile, as where they are no numbers. What was less
 * than a second before still counts; after a longer gap the power watch begins anew. */
static void skip_to(dcpi_events *events, int64_t index) {
    dcpi_voltage_watch_restart(&events->voltage, &events->power.queue);
    begin_at(events, index);
    if (events->next_tick - events->power.next_tick <= DCPI_CHANGE_TICKS)
        while (events->power.next_tick < events->next_tick)
            dcpi_power_watch_take_at(&events->power, events->power.next_tick, NAN, NAN);
}

static int is_aligned(const void *samples, int is_float32) {
    return samples && (uintptr_t)samples % (is_float32 ? sizeof(float) : sizeof(double)) == 0;
}

dcpi_status dcpi_events_feed(dcpi_events *events, const dcpi_event_block *block) {
    if (!events || !block || !is_aligned(block->voltage, block->voltage_is_float32) ||
        !is_aligned(block->current, block->current_is_float32))
        return DCPI_BAD_POINTER;
    /* Indices beyond 2^52 would lose the fraction of a tick. */
    if (block->samples < 1 || block->stride < block->samples || block->first_index < 0 ||
        block->first_index < events->next_index || block->first_index > (int64_t)1 << 52)
        return DCPI_BAD_BLOCK;
    if (events->next_index < 0) {
        begin_at(events, block->first_index);
        if (events->sure_tick == INT64_MAX)
            events->sure_tick = events->next_tick + UNSURE_TICKS;
    } else if (block->first_index != events->next_index) {
        events->gaps++;
        skip_to(events, block->first_index);
    }
    for (int32_t start = 0; start < block->samples; start += CHUNK) {
        int32_t left = block->samples - start;
        take_chunk(events, block, start, left < CHUNK ? left : CHUNK);
    }
    events->next_index = block->first_index + block->samples;
    return DCPI_OK;
}
