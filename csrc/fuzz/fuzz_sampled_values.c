/* Any bytes as frames of sampled values: the decoder, the survey and the assembler must end well
 * and keep the promises of their header.
 *
 * For libFuzzer; without it fuzz_main.c and frames_input.c make the bytes: a fuzz_frames, then
 * frames, each behind a fuzz_frame. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_frames.h"

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { CAPACITY = 24, FRAMES_MAX = 128, STREAMS_MAX = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_within(const uint8_t *at, size_t length, const uint8_t *bytes, size_t size) {
    return at >= bytes && length <= size && (size_t)(at - bytes) <= size - length;
}

static void check_decode(const uint8_t *bytes, size_t size) {
    dcpi_sv_frame frame, before;
    memset(&frame, 0xa5, sizeof frame);
    before = frame;
    dcpi_sv_status status = dcpi_sv_decode(bytes, size, &frame);
    PROMISE(dcpi_sv_status_text(status)[0] != '\0');
    if (status != DCPI_SV_OK) {
        PROMISE(memcmp(&frame, &before, sizeof frame) == 0);
        return;
    }
    PROMISE(frame.asdus >= 1 && frame.asdus <= DCPI_SV_ASDUS_MAX);
    for (int32_t k = 0; k < frame.asdus; k++) {
        const dcpi_sv_asdu *asdu = frame.asdu + k;
        PROMISE(asdu->sv_id_length >= 0 && asdu->sv_id_length <= DCPI_SV_ID_MAX);
        PROMISE(asdu->channels >= 1 && asdu->channels <= DCPI_SV_CHANNELS_MAX);
        PROMISE(asdu->smp_cnt >= 0 && asdu->smp_cnt <= 0xffff);
        PROMISE(is_within(asdu->sv_id, (size_t)asdu->sv_id_length, bytes, size));
        PROMISE(is_within(asdu->samples, (size_t)asdu->channels * 8, bytes, size));
    }
}

static dcpi_sv_stream stream_of(const fuzz_frames *header) {
    static const int32_t rates[] = {4000, 4800, 12800, 14400, 15360, 1, 65536, 80};
    dcpi_sv_stream stream = {.appid = header->appid ? header->appid : DCPI_SV_ABSENT,
                             .vlan = DCPI_SV_ABSENT,
                             .sv_id = "MU01",
                             .sv_id_length = header->options & 1 ? 4 : 0,
                             .has_conf_rev = (header->options & 2) != 0,
                             .conf_rev = 1,
                             .accepts_simulated = (header->options & 4) != 0,
                             .accepted_quality = header->accepted_quality,
                             .rate_hz = rates[header->rate % 8],
                             .rows = 1 + header->rows % DCPI_SV_ROWS_MAX};
    for (int32_t row = 0; row < stream.rows; row++) {
        stream.channel[row] = (row + header->options / 16) % 8;
        stream.scale[row] = row % 2 ? 0.01 : 0.001;
    }
    return stream;
}

static int32_t spans_of(const uint8_t *data, size_t size, dcpi_sv_span *spans) {
    int64_t now_ns = INT64_C(1700000000000000000);
    int32_t count = 0;
    for (size_t at = sizeof(fuzz_frames); count < FRAMES_MAX;) {
        fuzz_frame frame;
        if (size < at || size - at < sizeof frame)
            break;
        memcpy(&frame, data + at, sizeof frame);
        at += sizeof frame;
        now_ns += (int64_t)frame.step_us * 1000 * (frame.is_far ? 100000 : 1);
        /* A size beyond the memory stays in: the core must see it by itself. */
        spans[count++] = (dcpi_sv_span){.received_ns = frame.is_timeless ? 0 : now_ns,
                                        .offset = (uint32_t)at,
                                        .size = frame.size,
                                        .vlan = DCPI_SV_ABSENT};
        at += frame.size;
    }
    return count;
}

static void check_survey(const dcpi_sv_batch *batch) {
    dcpi_sv_heard heard[STREAMS_MAX];
    dcpi_sv_survey survey = {.heard = heard, .capacity = STREAMS_MAX};
    PROMISE(dcpi_sv_listen(batch, &survey) == DCPI_SV_OK);
    uint64_t frames = survey.other_frames + survey.bad_frames + survey.unlisted_frames;
    PROMISE(survey.count <= STREAMS_MAX);
    for (int32_t k = 0; k < survey.count; k++) {
        PROMISE(heard[k].wrap >= 0 && heard[k].wrap <= 65536 && heard[k].frames > 0);
        frames += heard[k].frames;
    }
    PROMISE(frames == (uint64_t)batch->count);
}

/* Values are numbers, or NaN where the quality says so. */
static uint64_t check_rows(const dcpi_sv_stream *stream, const dcpi_sv_block *block,
                           const float *rows) {
    uint64_t unknown = 0;
    for (int32_t k = 0; k < stream->rows * block->samples; k++) {
        PROMISE(!isinf(rows[k]));
        unknown += isnan(rows[k]) != 0;
    }
    PROMISE(!unknown || (block->quality & ~stream->accepted_quality & ~(uint32_t)DCPI_SV_DERIVED) ||
            (block->quality & DCPI_SV_VALIDITY));
    return unknown;
}

static void check_assembly(const dcpi_sv_stream *stream, const dcpi_sv_batch *batch) {
    dcpi_sv_assembler assembler;
    dcpi_sv_cursor at = {0, 0}, before;
    float *rows = malloc((size_t)stream->rows * CAPACITY * sizeof *rows);
    uint64_t samples = 0, unknown = 0;
    int64_t next_index = INT64_MIN;
    PROMISE(rows && dcpi_sv_begin(&assembler, INT64_C(1699999999000000000)) == DCPI_SV_OK);
    while (at.frame < batch->count) {
        dcpi_sv_block block;
        before = at;
        PROMISE(dcpi_sv_take(&assembler, stream, batch, &at, rows, CAPACITY, &block) == DCPI_SV_OK);
        PROMISE(at.frame > before.frame || at.asdu > before.asdu);
        PROMISE(block.samples >= 0 && block.samples <= CAPACITY);
        PROMISE(block.samples || at.frame == batch->count);
        PROMISE(!block.samples || block.first_index >= next_index);
        next_index = block.samples ? block.first_index + block.samples : next_index;
        unknown += check_rows(stream, &block, rows);
        samples += (uint64_t)block.samples;
    }
    const dcpi_sv_counts *counts = &assembler.counts;
    PROMISE(counts->samples == samples && counts->void_samples == unknown);
    PROMISE(counts->frames + counts->other_frames + counts->simulated_frames + counts->bad_frames ==
            (uint64_t)batch->count);
    free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static dcpi_sv_span spans[FRAMES_MAX];
    fuzz_frames header;
    if (size < sizeof header)
        return 0;
    memcpy(&header, data, sizeof header);
    int32_t count = spans_of(data, size, spans);
    for (int32_t k = 0; k < count; k++) {
        if (spans[k].offset > size || spans[k].size > size - spans[k].offset)
            continue;
        /* In memory of exactly its size, so that ASan sees any step beyond. */
        uint8_t *alone = malloc(spans[k].size ? spans[k].size : 1);
        PROMISE(alone != NULL);
        memcpy(alone, data + spans[k].offset, spans[k].size);
        check_decode(alone, spans[k].size);
        free(alone);
    }
    dcpi_sv_stream stream = stream_of(&header);
    dcpi_sv_batch batch = {.bytes = data, .bytes_size = size, .spans = spans, .count = count};
    check_survey(&batch);
    check_assembly(&stream, &batch);
    return 0;
}
