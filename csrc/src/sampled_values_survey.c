/* Which streams of sampled values there are, to choose from and to find a rate by. */
#include <string.h>

#include "dcpi_sampled_values.h"

enum { LATE_MAX = 400 }; /* samples: a counter that wraps below has no rate that can be analysed */

static int is_same(const dcpi_sv_heard *heard, const dcpi_sv_frame *frame) {
    const dcpi_sv_asdu *asdu = frame->asdu;
    return heard->appid == frame->appid && heard->vlan == frame->vlan &&
           heard->sv_id_length == asdu->sv_id_length &&
           !memcmp(heard->sv_id, asdu->sv_id, (size_t)asdu->sv_id_length) &&
           !memcmp(heard->source, frame->source, sizeof frame->source) &&
           !memcmp(heard->destination, frame->destination, sizeof frame->destination);
}

static void set_first(dcpi_sv_heard *heard, const dcpi_sv_frame *frame, int64_t received_ns) {
    const dcpi_sv_asdu *asdu = frame->asdu;
    memset(heard, 0, sizeof *heard);
    memcpy(heard->sv_id, asdu->sv_id, (size_t)asdu->sv_id_length);
    memcpy(heard->source, frame->source, sizeof frame->source);
    memcpy(heard->destination, frame->destination, sizeof frame->destination);
    heard->sv_id_length = asdu->sv_id_length;
    heard->appid = frame->appid;
    heard->vlan = frame->vlan;
    heard->asdus = frame->asdus;
    heard->channels = asdu->channels;
    heard->smp_rate = asdu->smp_rate;
    heard->smp_mod = asdu->smp_mod;
    heard->first_received_ns = received_ns;
}

/* Repeated or out of order, as the second copy in a redundant network is. */
static int is_late(int32_t step, int32_t wrap) {
    return (step <= 0 && step > -LATE_MAX) || (wrap && step > wrap - LATE_MAX);
}

static void add(dcpi_sv_heard *heard, const dcpi_sv_frame *frame, int64_t received_ns) {
    for (int32_t k = 0; k < frame->asdus; k++) {
        const dcpi_sv_asdu *asdu = frame->asdu + k;
        int32_t step = asdu->smp_cnt - heard->last_cnt;
        if ((heard->frames || k) && is_late(step, heard->wrap))
            continue;
        if (!asdu->smp_cnt && heard->last_cnt >= heard->wrap && heard->last_cnt)
            heard->wrap = heard->last_cnt + 1;
        if (heard->frames || k)
            heard->turned += step < 0 ? 1 : (uint64_t)step;
        heard->last_cnt = asdu->smp_cnt;
        heard->smp_synch = asdu->smp_synch;
        heard->conf_rev = asdu->conf_rev;
    }
    heard->last_received_ns = received_ns;
    heard->samples += (uint64_t)frame->asdus;
    heard->simulated_frames += (uint64_t)frame->is_simulated;
    heard->frames++;
}

static void note(dcpi_sv_survey *survey, const dcpi_sv_frame *frame, int64_t received_ns) {
    int32_t k = 0;
    while (k < survey->count && !is_same(survey->heard + k, frame))
        k++;
    if (k == survey->capacity) {
        survey->unlisted_frames++;
        return;
    }
    if (k == survey->count)
        set_first(survey->heard + survey->count++, frame, received_ns);
    add(survey->heard + k, frame, received_ns);
}

dcpi_sv_status dcpi_sv_listen(const dcpi_sv_batch *batch, dcpi_sv_survey *survey) {
    dcpi_sv_frame frame;
    if (!batch || !batch->bytes || !batch->spans || batch->count < 0 ||
        batch->count > DCPI_SV_BATCH_MAX || !survey || !survey->heard || survey->capacity < 1 ||
        survey->count < 0 || survey->count > survey->capacity)
        return DCPI_SV_BAD_ARGUMENT;
    for (int32_t k = 0; k < batch->count; k++) {
        const dcpi_sv_span *span = batch->spans + k;
        dcpi_sv_status status = DCPI_SV_SHORT;
        if (span->offset <= batch->bytes_size && span->size <= batch->bytes_size - span->offset)
            status = dcpi_sv_decode(batch->bytes + span->offset, span->size, &frame);
        if (status == DCPI_SV_OK) {
            if (span->vlan != DCPI_SV_ABSENT)
                frame.vlan = span->vlan;
            note(survey, &frame, span->received_ns);
        } else if (status == DCPI_SV_OTHER_PROTOCOL) {
            survey->other_frames++;
        } else {
            survey->bad_frames++;
            survey->last_bad_status = (int32_t)status;
        }
    }
    return DCPI_SV_OK;
}
