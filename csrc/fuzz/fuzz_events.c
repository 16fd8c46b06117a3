/* Any bytes as settings and samples: the event detector keeps what its header promises.
 *
 * Input: 8 bytes of settings, then blocks of a command byte, a length byte and samples, which are
 * raw floats or, cheaper to find, a wave of one byte's power. The same samples also go, one by one,
 * into a second detector: of waves it must tell the same, but for what repeats exactly and
 * lies on a threshold by rounding. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dcpi_events.h"

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { ROW = 256, ROWS = 2 * DCPI_PHASES_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static dcpi_events whole, single;
static int64_t last_number;
static int is_open[5], is_tame;

static void check_event(const dcpi_event *event, void *user) {
    int64_t *count = user;
    ++*count;
    PROMISE(event->kind >= DCPI_EVENT_POWER && event->kind <= DCPI_EVENT_INTERRUPTION);
    PROMISE(is_open[event->kind] == event->is_end);
    is_open[event->kind] = !event->is_end;
    PROMISE(event->is_end || event->number == ++last_number);
    PROMISE(isfinite(event->onset_ms) && event->onset_ms <= event->detected_ms);
    PROMISE(isnan(event->end_ms) == (!event->is_end || event->is_cut));
    if (event->kind == DCPI_EVENT_POWER)
        PROMISE(isfinite(event->before_w) && isfinite(event->after_w) && isnan(event->extreme_v));
    else
        PROMISE(isnan(event->before_w) && event->channels != 0 && event->channels < 8);
}

static void count_event(const dcpi_event *event, void *user) {
    int64_t *count = user;
    *count += event->number > 0;
}

static void fill(float *rows, int32_t phases, int32_t count, int64_t index, uint8_t kind,
                 const uint8_t *bytes) {
    size_t wanted = (size_t)(2 * phases * count) * sizeof *rows;
    if (kind == 0) {
        memcpy(rows, bytes, wanted);
        return;
    }
    for (int32_t row = 0; row < 2 * phases; row++)
        for (int32_t n = 0; n < count; n++) {
            double turns = (double)(index + n) / 96 - row % phases / 3.0;
            double peak = row < phases ? 325 : bytes[0] * (kind == 1 ? 1.0 : 4.0);
            rows[row * count + n] = (float)(peak * cos(6.283185307179586 * turns));
        }
}

static void feed(const float *rows, int32_t phases, int32_t count, int64_t index) {
    dcpi_event_block block = {.voltage = rows,
                              .current = rows + phases * count,
                              .voltage_is_float32 = 1,
                              .current_is_float32 = 1,
                              .stride = count,
                              .first_index = index,
                              .samples = count};
    PROMISE(dcpi_events_feed(&whole, &block) == DCPI_OK);
    block.samples = 1;
    for (int32_t n = 0; n < count; n++) {
        block.voltage = rows + n;
        block.current = rows + phases * count + n;
        block.first_index = index + n;
        PROMISE(dcpi_events_feed(&single, &block) == DCPI_OK);
    }
}

static void drain(uint8_t some) {
    dcpi_event out[DCPI_EVENT_QUEUE];
    int32_t taken = dcpi_events_take(&whole, out, some % DCPI_EVENT_QUEUE);
    PROMISE(taken <= some % DCPI_EVENT_QUEUE);
    for (int32_t k = 1; k < taken; k++)
        PROMISE(out[k].is_end || out[k].number > out[k - 1].number);
}

static void run(const uint8_t *data, size_t size, int32_t phases) {
    static float rows[ROWS * ROW];
    int64_t index = 0;
    while (size > 2) {
        uint8_t command = data[0];
        int32_t count = 1 + data[1] % ROW;
        size_t wanted = command % 8 ? 1 : (size_t)(2 * phases * count) * sizeof *rows;
        if (size - 2 < wanted)
            return;
        if (command == 255)
            index += data[2] + 1; /* a gap */
        else if (command == 254)
            PROMISE(dcpi_events_restart(&whole) == dcpi_events_restart(&single));
        else if (command == 253)
            PROMISE(dcpi_events_set_frequency(&whole, 40 + data[2] / 8.0) ==
                    dcpi_events_set_frequency(&single, 40 + data[2] / 8.0));
        else if (command == 252)
            drain(data[2]);
        else
            for (int32_t again = 0; again < (command % 8 ? 1 + command / 32 : 1); again++) {
                is_tame &= command % 8 > 0;
                fill(rows, phases, count, index, command % 8, data + 2);
                feed(rows, phases, count, index);
                index += count;
            }
        data += 2 + wanted;
        size -= 2 + wanted;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 8)
        return 0;
    int64_t events = 0, others = 0;
    /* One sample a cell: then how they are cut changes nothing, not even the rounding. */
    dcpi_events_config config = {.phases = 1 + data[0] % DCPI_PHASES_MAX,
                                 .sample_rate_hz = data[1] % 2 ? 4800 : 400 + 24 * data[1],
                                 .frequency_hz = 42.5 + data[2] / 10.0,
                                 .first_tick_samples = data[3] / 256.0,
                                 .threshold_w = 1 + 400.0 * data[4],
                                 .declared_v = data[5],
                                 .callback = check_event,
                                 .user = &events};
    memset(is_open, 0, sizeof is_open);
    last_number = 0;
    is_tame = 1;
    memset(&whole, 0xa5, sizeof whole);
    if (dcpi_events_init(&whole, &config) != DCPI_OK) {
        PROMISE(((const uint8_t *)&whole)[sizeof whole - 1] == 0xa5);
        return 0;
    }
    config.callback = count_event;
    config.user = &others;
    PROMISE(dcpi_events_init(&single, &config) == DCPI_OK);
    run(data + 8, size - 8, config.phases);
    PROMISE(!is_tame || llabs(events - others) <= 4 + events / 16);
    PROMISE(whole.power.queue.numbered == last_number);
    return 0;
}
