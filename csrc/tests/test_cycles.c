/* Streams with known content, in memory of exactly their size, and streams of anything. */
#include <string.h>

#include "check.h"
#include "dcpi_cycles.h"

#define TURN 6.283185307179586476925

enum { BLOCK = 640, ROWS_MAX = 3 };

static dcpi_cycles cycles;
static dcpi_cycle_workspace workspace;

static const dcpi_cycle_config PLAIN = {.phases = 3, .sample_rate_hz = 12800, .nominal_hz = 50};

typedef struct {
    double frequency_hz, fifth; /* of the fundamental */
    double level;
} recipe;

static double *memory_of(const dcpi_cycle_config *config) {
    size_t cells = dcpi_cycles_cells(config);
    double *memory = malloc(cells * sizeof *memory);
    CHECK(cells > 0 && memory);
    CHECK(dcpi_cycles_init(&cycles, config, memory, cells) == DCPI_OK);
    return memory;
}

static double wave(const recipe *from, double rate_hz, int64_t index, int phase) {
    double turns = from->frequency_hz * (double)index / rate_hz - phase / 3.0;
    return sqrt(2) * from->level * (cos(TURN * turns) + from->fifth * cos(5 * TURN * turns));
}

/* One block of the stream in rows of their own memory, from which it is taken in. */
static void take_block(const recipe *from, const dcpi_cycle_config *config, int64_t first,
                       int32_t samples, int64_t stride, void (*use)(dcpi_cycle_kind)) {
    double *rows = malloc((size_t)(config->phases * stride) * sizeof *rows);
    for (int k = 0; k < config->phases; k++)
        for (int32_t n = 0; n < samples; n++)
            rows[k * stride + n] = wave(from, config->sample_rate_hz, first + n, k);
    dcpi_cycle_block block = {.samples = samples, .stride = stride, .first_index = first};
    for (int32_t done = 0, taken; done < samples; done += taken) {
        block.voltage = block.current = rows + done;
        block.first_index = first + done;
        block.samples = samples - done;
        dcpi_cycle_kind kind;
        CHECK(dcpi_cycles_take_next(&cycles, &workspace, &block, &taken, &kind) == DCPI_OK);
        for (; kind != DCPI_CYCLE_NOTHING; kind = dcpi_cycles_next(&cycles, &workspace))
            if (use)
                use(kind);
    }
    free(rows);
}

static recipe now;
static int seen;

static void check_interval(dcpi_cycle_kind kind) {
    if (kind != DCPI_CYCLE_TEN_TWELVE)
        return;
    const dcpi_cycle_values *values = &cycles.ten_twelve;
    seen++;
    CHECK(!(values->flags & ~(uint32_t)DCPI_CYCLE_LIMITED_ORDER));
    CHECK_NEAR(values->duration_s, values->cycles / now.frequency_hz, 1e-7);
    for (int k = 0; k < 3; k++) {
        const dcpi_cycle_channel *voltage = &values->phase[k].voltage;
        CHECK_NEAR(voltage->rms, now.level * sqrt(1 + now.fifth * now.fifth), 1e-5 * now.level);
        CHECK_NEAR(voltage->fundamental_rms, now.level, 1e-4 * now.level);
        CHECK_NEAR(voltage->subgroups[5], now.fifth * now.level, 1e-4 * now.level);
        CHECK_NEAR(voltage->thds_percent, 100 * now.fifth, 0.02);
        CHECK_NEAR(voltage->thdg_percent, 100 * now.fifth, 0.03);
        CHECK_NEAR(values->phase[k].p_w, voltage->rms * voltage->rms, 1e-4 * now.level * now.level);
    }
}

static void every_rate_and_frequency_gives_whole_cycles(void) {
    static const double rates[] = {1000, 1200, 4096, 5760, 12800, 51200, 256000};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++)
        for (int sixty = 0; sixty < (rates[k] > 1e5 ? 1 : 2); sixty++) { /* long under emulation */
            dcpi_cycle_config config = PLAIN;
            config.sample_rate_hz = rates[k];
            config.nominal_hz = sixty ? 60 : 50;
            double *memory = memory_of(&config);
            now = (recipe){(sixty ? 1.2 : 1) * (43 + 2.1 * (double)k), 0.05, 230};
            seen = 0;
            int32_t block = (int32_t)rates[k] / 7;
            for (int n = 0; n < 8; n++)
                take_block(&now, &config, (int64_t)n * block, block, block + 3, check_interval);
            CHECK(seen >= 3);
            free(memory);
        }
}

static void twelve_cycles_take_as_long_as_they_take(void) {
    dcpi_cycle_config config = PLAIN;
    config.nominal_hz = 60;
    double *memory = memory_of(&config);
    now = (recipe){59.5, 0, 1};
    seen = 0;
    take_block(&now, &config, 0, 12800, 12800, check_interval);
    CHECK(seen == 4);
    CHECK(cycles.ten_twelve.cycles == 12);
    CHECK_NEAR(cycles.ten_twelve.duration_s, 0.2016807, 1e-7);
    free(memory);
}

static void a_gap_is_counted_and_never_bridged(void) {
    double *memory = memory_of(&PLAIN);
    now = (recipe){50, 0.05, 230};
    take_block(&now, &PLAIN, 0, 10000, 10000, check_interval);
    CHECK(cycles.dropped == 0);
    take_block(&now, &PLAIN, 10001, 10000, 10000, check_interval);
    CHECK(cycles.dropped == 1);
    take_block(&now, &PLAIN, 500, 10000, 10000, check_interval);
    CHECK(cycles.dropped == 2);
    free(memory);
}

/* Nothing is fetched: the stream takes what it has room for, and goes on once it is. */
static void a_full_stream_waits(void) {
    double *memory = memory_of(&PLAIN);
    static const float zeros[ROWS_MAX * BLOCK];
    int32_t taken = BLOCK;
    int64_t total = 0;
    while (taken == BLOCK) {
        dcpi_cycle_block block = {zeros, zeros, 1, BLOCK, BLOCK, total};
        CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_OK);
        total += taken;
        CHECK(total <= cycles.capacity);
    }
    dcpi_cycle_block block = {zeros, zeros, 1, BLOCK, BLOCK, total};
    CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_OK && taken == 0);
    seen = 0;
    while (dcpi_cycles_next(&cycles, &workspace) != DCPI_CYCLE_NOTHING)
        seen++;
    CHECK(seen > 2);
    CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_OK && taken == BLOCK);
    free(memory);
}

static void bad_arguments_change_nothing(void) {
    dcpi_cycle_config config = PLAIN;
    double memory[4];
    CHECK(dcpi_cycles_init(&cycles, &config, memory, 4) == DCPI_BAD_LENGTH);
    CHECK(dcpi_cycles_init(&cycles, &config, NULL, 1u << 20) == DCPI_BAD_POINTER);
    CHECK(dcpi_cycles_init(NULL, &config, memory, 1u << 20) == DCPI_BAD_POINTER);
    CHECK(dcpi_cycles_init(&cycles, NULL, memory, 4) == DCPI_BAD_POINTER);
    config.sample_rate_hz = NAN;
    CHECK(dcpi_cycles_init(&cycles, &config, memory, 4) == DCPI_BAD_RATE);
    CHECK(dcpi_cycles_cells(&config) == 0);
    config = PLAIN;
    config.nominal_hz = 55;
    CHECK(dcpi_cycles_init(&cycles, &config, memory, 4) == DCPI_BAD_NOMINAL);
    config = PLAIN;
    config.phases = 4;
    CHECK(dcpi_cycles_init(&cycles, &config, memory, 4) == DCPI_BAD_PHASES);
    config = PLAIN;
    config.skew_s[1] = INFINITY;
    CHECK(dcpi_cycles_init(&cycles, &config, memory, 4) == DCPI_BAD_SKEW);

    double *held = memory_of(&PLAIN);
    static const double zeros[30];
    dcpi_cycle_block block = {zeros, zeros, 0, 10, 10, 0};
    int32_t taken = 77;
    CHECK(dcpi_cycles_take(&cycles, &block, NULL) == DCPI_BAD_POINTER);
    CHECK(dcpi_cycle_workspace_init(NULL) == DCPI_BAD_POINTER);
    dcpi_cycle_kind kind;
    CHECK(dcpi_cycles_take_next(&cycles, NULL, &block, &taken, &kind) == DCPI_BAD_POINTER);
    CHECK(dcpi_cycles_take_next(&cycles, &workspace, &block, &taken, NULL) == DCPI_BAD_POINTER);
    block.stride = 9;
    CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_BAD_LENGTH);
    block.stride = 10;
    block.samples = 0;
    CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_BAD_LENGTH);
    block.samples = 10;
    block.first_index = -1;
    CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_BAD_LENGTH);
    block.first_index = 0;
    block.current = (const char *)zeros + 1;
    CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_BAD_POINTER);
    CHECK(taken == 77 && cycles.held == 0);
    free(held);
}

static uint64_t seed = 1;

/* xorshift64*, S. Vigna, ACM TOMS 42(4), 2016. */
static uint32_t any(uint32_t below) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (uint32_t)((seed * 0x2545F4914F6CDD1Du) >> 32) % below;
}

static float anything(double level, double turns) {
    switch (any(400)) {
    case 0:
        return NAN;
    case 1:
        return INFINITY;
    case 2:
        return -3e38f;
    case 3:
        return 1e-42f;
    default:
        return (float)(level * cos(TURN * turns));
    }
}

static void keep_promises(dcpi_cycle_kind kind) {
    const dcpi_cycle_values *values = kind == DCPI_CYCLE_SHORT  ? &cycles.short_mean
                                      : kind == DCPI_CYCLE_LONG ? &cycles.long_mean
                                                                : &cycles.ten_twelve;
    if (kind == DCPI_CYCLE_HALF) {
        CHECK(!(cycles.half.v_rms < 0) && !isinf(cycles.half.v_rms));
        CHECK(cycles.half.end > cycles.half.start);
    } else if (kind == DCPI_CYCLE_FREQUENCY) {
        CHECK(isnan(cycles.frequency.frequency_hz) || cycles.frequency.frequency_hz > 0);
    } else {
        CHECK(values->duration_s > 0 && values->duration_s < 1e3 && values->count > 0);
        CHECK(values->h_max >= 0 && values->h_max <= 50);
        for (int k = 0; k < values->phases; k++) {
            const void *phase = values->phase + k;
            const double *cells = phase;
            for (size_t n = 0; n < sizeof values->phase[k] / sizeof *cells; n++)
                CHECK(!isinf(cells[n]));
        }
    }
}

/* Frequencies that leap, lost samples, values that are none: nothing is read or written beyond. */
static void any_stream_ends_well(void) {
    for (int stream = 0; stream < 40; stream++) {
        dcpi_cycle_config config = {.phases = 1 + (int32_t)any(3),
                                    .wants_halves = (int32_t)any(2),
                                    .sample_rate_hz = 1000 + any(9000),
                                    .nominal_hz = any(2) ? 50 : 60,
                                    .declared_v = any(2) ? 0 : 230,
                                    .epoch_ns = (int64_t)any(1u << 31) * 1000000000};
        double *memory = memory_of(&config);
        double turns = 0;
        int64_t index = 0;
        for (int part = 0; part < 30; part++) {
            int32_t samples = 1 + (int32_t)any(any(4) ? 800 : 20000);
            double hz = any(3) ? 50 : any(400), level = any(4) ? 230 : any(3) * 1e14;
            size_t cells = (size_t)config.phases * (size_t)samples;
            float *rows = malloc(cells * sizeof *rows);
            for (size_t n = 0; n < cells; n++)
                rows[n] = anything(level, turns += hz / config.sample_rate_hz);
            index += any(20) ? 0 : any(100000);
            for (int32_t done = 0, taken; done < samples; done += taken) {
                dcpi_cycle_block block = {rows + done,    rows + done, 1,
                                          samples - done, samples,     index + done};
                CHECK(dcpi_cycles_take(&cycles, &block, &taken) == DCPI_OK);
                for (dcpi_cycle_kind kind; (kind = dcpi_cycles_next(&cycles, &workspace));)
                    keep_promises(kind);
            }
            index += samples;
            free(rows);
        }
        free(memory);
    }
}

int main(void) {
    CHECK(dcpi_cycle_workspace_init(&workspace) == DCPI_OK);
    RUN(every_rate_and_frequency_gives_whole_cycles);
    RUN(twelve_cycles_take_as_long_as_they_take);
    RUN(a_gap_is_counted_and_never_bridged);
    RUN(a_full_stream_waits);
    RUN(bad_arguments_change_nothing);
    RUN(any_stream_ends_well);
    return 0;
}
