/* From frames to rows of samples: which frames, at which index, of what quality. */
#include <math.h>
#include <string.h>

#include "big_endian.h"
#include "dcpi_sampled_values.h"

enum {
    GLOBAL_CLOCK = 2,      /* smpSynch, IEC 61850-9-2:2011 8.5.2 */
    ROLL_OVER = 65536,     /* of a counter that nothing synchronises and that ignores the second */
    STRAY_PER_SECOND = 10, /* 0.1 s: no frame is held up for longer than that */
    RESTART_PER_SECOND = 100 /* late frames in sequence for 10 ms are no stragglers */
};

#define SECOND_NS INT64_C(1000000000)
#define TIME_MAX_NS (INT64_C(1) << 62)

/* Where a sample belongs, before it is taken. */
typedef struct {
    int64_t index, received_ns;
    int32_t modulus;
    int32_t is_late, is_restart;
} place;

static int is_global(int32_t smp_synch) {
    return smp_synch == GLOBAL_CLOCK;
}

static int64_t samples_in(int64_t duration_ns, int64_t rate_hz) {
    return duration_ns / SECOND_NS * rate_hz +
           (duration_ns % SECOND_NS * rate_hz + SECOND_NS / 2) / SECOND_NS;
}

/* The index nearest to `expected` that differs from `index` by whole turns of the counter. */
static int64_t nearest(int64_t index, int64_t expected, int64_t modulus) {
    int64_t ahead = (index - expected) % modulus;
    if (ahead > modulus / 2)
        ahead -= modulus;
    else if (ahead < -(modulus / 2))
        ahead += modulus;
    return expected + ahead;
}

/* Found by the clock alone, and by smpCnt where that counts from the UTC second. */
static void place_by_clock(const dcpi_sv_assembler *state, const dcpi_sv_stream *stream,
                           const dcpi_sv_asdu *asdu, place *found) {
    int64_t expected = state->is_running ? state->next_index : asdu->smp_cnt;
    if (found->received_ns)
        expected = samples_in(found->received_ns - state->epoch_ns, stream->rate_hz);
    found->index =
        is_global(asdu->smp_synch) ? nearest(asdu->smp_cnt, expected, stream->rate_hz) : expected;
    found->is_late = state->is_running && found->index < state->next_index;
}

/* The counter jumped; the clock tells by how many turns. */
static void place_after_jump(const dcpi_sv_assembler *state, const dcpi_sv_stream *stream,
                             const dcpi_sv_asdu *asdu, int64_t step, place *found) {
    int has_time = found->received_ns && state->received_ns;
    int64_t expected = state->next_index;
    if (has_time && found->received_ns > state->received_ns)
        expected += samples_in(found->received_ns - state->received_ns, stream->rate_hz) - 1;
    found->index = nearest(state->next_index + step, expected, found->modulus);
    int64_t astray = found->index - expected;
    found->is_late = found->index < state->next_index;
    int is_earlier = has_time && found->received_ns <= state->received_ns;
    if (is_global(asdu->smp_synch) || (found->is_late && is_earlier))
        return;
    int64_t tolerance = stream->rate_hz / STRAY_PER_SECOND;
    int32_t late = asdu->smp_cnt == state->late_cnt + 1 ? state->late_run + 1 : 1;
    /* Copies come in a burst; who starts anew sends as fast as the clock goes. */
    int is_paced = !has_time || 2 * (expected - state->next_index) >= late;
    int is_astray = has_time && (astray > tolerance || astray < -tolerance);
    int is_retold = found->is_late && is_paced && late > stream->rate_hz / RESTART_PER_SECOND;
    found->is_restart = is_astray || is_retold;
    if (!found->is_restart)
        return;
    found->index = expected > state->next_index ? expected : state->next_index;
    found->modulus = asdu->smp_cnt < stream->rate_hz ? stream->rate_hz : ROLL_OVER;
    found->is_late = 0;
}

static place place_of(const dcpi_sv_assembler *state, const dcpi_sv_stream *stream,
                      const dcpi_sv_asdu *asdu, int64_t received_ns) {
    place found = {.received_ns = received_ns, .modulus = state->modulus};
    int becomes_global = is_global(asdu->smp_synch) && !is_global(state->smp_synch);
    if (!found.modulus || becomes_global)
        found.modulus = stream->rate_hz;
    if (asdu->smp_cnt >= found.modulus)
        found.modulus = ROLL_OVER;
    int64_t next_cnt = state->smp_cnt + 1 < found.modulus ? state->smp_cnt + 1 : 0;
    int64_t step = asdu->smp_cnt - next_cnt;
    int is_silent =
        received_ns && state->received_ns && received_ns - state->received_ns > SECOND_NS / 2;
    if (!state->is_running || becomes_global)
        place_by_clock(state, stream, asdu, &found);
    else if (step || is_silent) /* whole turns may have been lost unseen */
        place_after_jump(state, stream, asdu, step, &found);
    else
        found.index = state->next_index;
    return found;
}

static int is_of(const dcpi_sv_stream *stream, const dcpi_sv_asdu *asdu) {
    return !stream->sv_id_length ||
           (stream->sv_id_length == asdu->sv_id_length &&
            !memcmp(stream->sv_id, asdu->sv_id, (size_t)asdu->sv_id_length));
}

static int is_addressed(const dcpi_sv_stream *stream, const dcpi_sv_frame *frame) {
    return (stream->appid == DCPI_SV_ABSENT || stream->appid == frame->appid) &&
           (stream->vlan == DCPI_SV_ABSENT || stream->vlan == frame->vlan) &&
           (!stream->has_source || !memcmp(stream->source, frame->source, sizeof frame->source)) &&
           (!stream->has_destination ||
            !memcmp(stream->destination, frame->destination, sizeof frame->destination));
}

static dcpi_sv_status check_asdu(const dcpi_sv_stream *stream, const dcpi_sv_asdu *asdu) {
    for (int32_t row = 0; row < stream->rows; row++)
        if (stream->channel[row] >= asdu->channels)
            return DCPI_SV_MISSING_CHANNEL;
    if (stream->has_conf_rev && stream->conf_rev != asdu->conf_rev)
        return DCPI_SV_OTHER_CONFIGURATION;
    if (is_global(asdu->smp_synch) && asdu->smp_cnt >= stream->rate_hz)
        return DCPI_SV_BEYOND_RATE;
    return DCPI_SV_OK;
}

/* Whether the frame decodes, is of the stream and may be used; if not, it is counted. */
static int admits(dcpi_sv_assembler *state, const dcpi_sv_stream *stream,
                  const dcpi_sv_batch *batch, int32_t number, dcpi_sv_frame *frame) {
    const dcpi_sv_span *span = batch->spans + number;
    dcpi_sv_status status = DCPI_SV_SHORT;
    if (span->offset <= batch->bytes_size && span->size <= batch->bytes_size - span->offset)
        status = dcpi_sv_decode(batch->bytes + span->offset, span->size, frame);
    int32_t mine = 0;
    if (status == DCPI_SV_OK) {
        if (span->vlan != DCPI_SV_ABSENT)
            frame->vlan = span->vlan;
        for (int32_t k = 0; k < frame->asdus; k++)
            mine += is_addressed(stream, frame) && is_of(stream, frame->asdu + k);
        for (int32_t k = 0; mine && status == DCPI_SV_OK && k < frame->asdus; k++)
            if (is_of(stream, frame->asdu + k))
                status = check_asdu(stream, frame->asdu + k);
    }
    if (status == DCPI_SV_OTHER_PROTOCOL || (status == DCPI_SV_OK && !mine)) {
        state->counts.other_frames++;
        return 0;
    }
    if (status != DCPI_SV_OK) {
        state->counts.bad_frames++;
        state->counts.last_bad_status = (int32_t)status;
        return 0;
    }
    /* IEC 61850-7-1:2011 7.8.2: with simulation on, the real messages are ignored. */
    if (frame->is_simulated && stream->accepts_simulated)
        state->has_simulated = 1;
    if (frame->is_simulated != state->has_simulated) {
        state->counts.simulated_frames++;
        return 0;
    }
    return 1;
}

static int is_void(const dcpi_sv_stream *stream, uint32_t quality) {
    uint32_t accepted = stream->accepted_quality | DCPI_SV_DERIVED;
    if ((quality & DCPI_SV_VALIDITY) != DCPI_SV_VALIDITY)
        accepted &= ~(uint32_t)DCPI_SV_VALIDITY;
    return (quality & ~accepted) != 0;
}

static const uint8_t *cell_of(const dcpi_sv_stream *stream, const dcpi_sv_asdu *asdu, int32_t row) {
    return asdu->samples + (ptrdiff_t)stream->channel[row] * 8;
}

static uint32_t quality_of(const dcpi_sv_stream *stream, const dcpi_sv_asdu *asdu) {
    uint32_t quality = 0;
    for (int32_t row = 0; row < stream->rows; row++)
        quality |= big_endian_32(cell_of(stream, asdu, row) + 4);
    return quality;
}

static uint32_t flags_of(const dcpi_sv_assembler *state, const dcpi_sv_frame *frame,
                         const dcpi_sv_asdu *asdu, const place *found) {
    uint32_t flags = frame->is_simulated ? DCPI_SV_SIMULATED : 0;
    if (!is_global(asdu->smp_synch))
        flags |= asdu->smp_synch ? DCPI_SV_LOCAL_CLOCK : DCPI_SV_UNSYNCHRONISED;
    if (found->is_restart)
        flags |= DCPI_SV_RESTARTED;
    if (!state->is_running)
        return flags;
    if (asdu->smp_synch != state->smp_synch)
        flags |= DCPI_SV_SYNCHRONISATION_CHANGED;
    if (asdu->conf_rev != state->conf_rev)
        flags |= DCPI_SV_CONFIGURATION_CHANGED;
    return flags;
}

static void pass_by_late(dcpi_sv_assembler *state, const dcpi_sv_asdu *asdu) {
    state->late_run = asdu->smp_cnt == state->late_cnt + 1 ? state->late_run + 1 : 1;
    state->late_cnt = asdu->smp_cnt;
    state->counts.late_samples++;
}

static void commit(dcpi_sv_assembler *state, const dcpi_sv_asdu *asdu, const place *found,
                   uint32_t flags) {
    dcpi_sv_counts *counts = &state->counts;
    counts->samples++;
    if (state->is_running)
        counts->lost_samples += (uint64_t)(found->index - state->next_index);
    counts->restarts += (flags & DCPI_SV_RESTARTED) != 0;
    counts->synchronisation_changes += (flags & DCPI_SV_SYNCHRONISATION_CHANGED) != 0;
    counts->configuration_changes += (flags & DCPI_SV_CONFIGURATION_CHANGED) != 0;
    state->next_index = found->index + 1;
    state->received_ns = found->received_ns;
    state->modulus = found->modulus;
    state->smp_cnt = asdu->smp_cnt;
    state->smp_synch = asdu->smp_synch;
    state->conf_rev = asdu->conf_rev;
    state->late_run = 0;
    state->is_running = 1;
}

static void put(dcpi_sv_assembler *state, const dcpi_sv_stream *stream, const dcpi_sv_asdu *asdu,
                uint32_t quality, float *rows, int32_t capacity) {
    for (int32_t row = 0; row < stream->rows; row++) {
        const uint8_t *cell = cell_of(stream, asdu, row);
        double value = (int32_t)big_endian_32(cell) * stream->scale[row];
        if (quality && is_void(stream, big_endian_32(cell + 4))) {
            value = (double)NAN;
            state->counts.void_samples++;
        }
        rows[(ptrdiff_t)row * capacity] = (float)value;
    }
}

/* One sample to the block; 0 when it does not go with those that the block has. */
static int add(dcpi_sv_assembler *state, const dcpi_sv_stream *stream, const dcpi_sv_frame *frame,
               const dcpi_sv_asdu *asdu, int64_t received_ns, float *rows, int32_t capacity,
               dcpi_sv_block *block) {
    place found = place_of(state, stream, asdu, received_ns);
    if (found.is_late) {
        pass_by_late(state, asdu);
        return 1;
    }
    uint32_t flags = flags_of(state, frame, asdu, &found);
    uint32_t quality = quality_of(stream, asdu);
    if (!block->samples) {
        block->first_index = found.index;
        block->flags = flags;
        block->quality = quality;
    } else if (block->samples == capacity || flags != block->flags || quality != block->quality ||
               found.index != block->first_index + block->samples) {
        return 0;
    }
    put(state, stream, asdu, quality, rows + block->samples, capacity);
    commit(state, asdu, &found, flags);
    block->samples++;
    return 1;
}

/* The frame's samples from `at` on; 0 when the block is whole before its end. */
static int add_frame(dcpi_sv_assembler *state, const dcpi_sv_stream *stream,
                     const dcpi_sv_frame *frame, int64_t received_ns, dcpi_sv_cursor *at,
                     float *rows, int32_t capacity, dcpi_sv_block *block) {
    int64_t period_ns = SECOND_NS / stream->rate_hz;
    for (; at->asdu < frame->asdus; at->asdu++) {
        const dcpi_sv_asdu *asdu = frame->asdu + at->asdu;
        if (!is_of(stream, asdu))
            continue;
        /* When it would have come alone: those behind it in the frame were taken later. */
        int64_t delay_ns = (frame->asdus - 1 - at->asdu) * period_ns;
        int is_timed = received_ns > delay_ns && received_ns <= TIME_MAX_NS;
        int64_t came_ns = is_timed ? received_ns - delay_ns : 0;
        if (!add(state, stream, frame, asdu, came_ns, rows, capacity, block))
            return 0;
        block->received_ns = came_ns;
    }
    state->counts.frames++;
    return 1;
}

/* Rows of `capacity` moved together. */
static void close_up(const dcpi_sv_stream *stream, float *rows, int32_t capacity, int32_t samples) {
    for (int32_t row = 1; row < stream->rows; row++)
        memmove(rows + (ptrdiff_t)row * samples, rows + (ptrdiff_t)row * capacity,
                (size_t)samples * sizeof *rows);
}

static int is_usable(const dcpi_sv_stream *stream) {
    if (stream->rows < 1 || stream->rows > DCPI_SV_ROWS_MAX || stream->rate_hz < 1 ||
        stream->rate_hz > DCPI_SV_RATE_MAX_HZ || stream->sv_id_length < 0 ||
        stream->sv_id_length > DCPI_SV_ID_MAX)
        return 0;
    for (int32_t row = 0; row < stream->rows; row++)
        if (stream->channel[row] < 0 || !isfinite(stream->scale[row]))
            return 0;
    return 1;
}

dcpi_sv_status dcpi_sv_begin(dcpi_sv_assembler *assembler, int64_t epoch_ns) {
    if (!assembler || epoch_ns < 0 || epoch_ns > TIME_MAX_NS || epoch_ns % SECOND_NS)
        return DCPI_SV_BAD_ARGUMENT;
    memset(assembler, 0, sizeof *assembler);
    assembler->epoch_ns = epoch_ns;
    return DCPI_SV_OK;
}

dcpi_sv_status dcpi_sv_take(dcpi_sv_assembler *assembler, const dcpi_sv_stream *stream,
                            const dcpi_sv_batch *batch, dcpi_sv_cursor *at, float *rows,
                            int32_t capacity, dcpi_sv_block *block) {
    dcpi_sv_block made = {0};
    dcpi_sv_frame frame;
    if (!assembler || !stream || !batch || !batch->bytes || !batch->spans || !at || !rows ||
        !block || capacity < 1 || batch->count < 0 || batch->count > DCPI_SV_BATCH_MAX ||
        at->frame < 0 || at->asdu < 0 || !is_usable(stream))
        return DCPI_SV_BAD_ARGUMENT;
    for (; at->frame < batch->count; at->frame++, at->asdu = 0) {
        int64_t received_ns = batch->spans[at->frame].received_ns;
        if (admits(assembler, stream, batch, at->frame, &frame) &&
            !add_frame(assembler, stream, &frame, received_ns, at, rows, capacity, &made))
            break;
    }
    if (made.samples < capacity)
        close_up(stream, rows, capacity, made.samples);
    *block = made;
    return DCPI_SV_OK;
}
