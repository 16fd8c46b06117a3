/* Streams of sampled values with every liberty of the encoding, for fuzz_sampled_values.c. */
#include <string.h>

#include "fuzz_frames.h"
#include "fuzz_input.h"

enum { FRAME_MAX = 1600, BYTES = FRAME_MAX + (int)sizeof(fuzz_frame) };

/* Written from its end to its start, so that each length is known when it is written. */
typedef struct {
    uint8_t bytes[FRAME_MAX];
    size_t at; /* of the first byte written */
} writer;

typedef struct {
    uint32_t smp_cnt, wrap, asdus, channels;
    uint8_t smp_synch, sv_id_number;
} publisher;

static void put_bytes(writer *frame, const uint8_t *bytes, size_t size) {
    if (size > frame->at)
        size = frame->at;
    frame->at -= size;
    memcpy(frame->bytes + frame->at, bytes, size);
}

static void put_number(writer *frame, uint32_t value, size_t size) {
    for (; size > 0; size--, value >>= 8) {
        uint8_t byte = (uint8_t)value;
        put_bytes(frame, &byte, 1);
    }
}

/* Tag and length of what was written since the frame began at `end`. */
static void put_head(writer *frame, uint8_t tag, size_t end) {
    size_t size = end - frame->at;
    if (size >= 0x80 || !fuzz_any(30)) {
        size_t octets = size > 0xff ? 2 : 1 + fuzz_any(2);
        put_number(frame, (uint32_t)size, octets);
        put_number(frame, (uint32_t)(0x80 | octets), 1);
    } else {
        put_number(frame, (uint32_t)size, 1);
    }
    put_number(frame, tag, 1);
}

static void put_field(writer *frame, uint8_t tag, uint32_t value, size_t size) {
    size_t end = frame->at;
    put_number(frame, value, size);
    put_head(frame, tag, end);
}

static void put_samples(writer *frame, const publisher *from) {
    size_t end = frame->at;
    for (uint32_t k = 0; k < from->channels; k++) {
        put_number(frame, fuzz_any(40) ? 0 : 1u << fuzz_any(32), 4);
        put_number(frame, fuzz_any(1u << 20), 4);
    }
    put_head(frame, 0x87, end);
}

static void put_asdu(writer *frame, const publisher *from, uint32_t smp_cnt) {
    uint8_t sv_id[4] = {'M', 'U', '0', (uint8_t)('0' + from->sv_id_number)};
    size_t end = frame->at;
    if (!fuzz_any(8))
        put_field(frame, 0x88, fuzz_any(3), 1 + fuzz_any(2));
    put_samples(frame, from);
    if (!fuzz_any(8))
        put_field(frame, 0x86, 4000, 2);
    put_field(frame, 0x85, from->smp_synch, 1);
    if (!fuzz_any(8))
        put_field(frame, (uint8_t)(fuzz_any(2) ? 0x84 : 0x9f), fuzz_any(1u << 30), 8);
    put_field(frame, 0x83, fuzz_any(60) ? 1 : 2, 4);
    put_field(frame, 0x82, smp_cnt, 2);
    size_t id_end = frame->at;
    put_bytes(frame, sv_id, sizeof sv_id);
    put_head(frame, 0x80, id_end);
    put_head(frame, 0x30, end);
}

static void put_header(writer *frame, size_t end) {
    uint32_t is_simulated = !fuzz_any(20);
    size_t length = end - frame->at + 8;
    put_number(frame, is_simulated << 31, 4);
    put_number(frame, (uint32_t)length + (fuzz_any(50) ? 0 : 1), 2);
    put_number(frame, 0x4000, 2);
    put_number(frame, fuzz_any(60) ? 0x88ba : 0x88b8, 2);
    if (!fuzz_any(4))
        put_number(frame, 0x81008000u + fuzz_any(4096), 4);
    put_number(frame, 0x00000001, 4);
    put_number(frame, 0x010ccd04, 4);
    put_number(frame, 0x00010000, 4);
}

static void put_frame(writer *frame, publisher *from) {
    frame->at = FRAME_MAX - (fuzz_any(6) ? 0 : fuzz_any(20));
    size_t end = frame->at;
    for (uint32_t k = from->asdus; k-- > 0;)
        put_asdu(frame, from, (from->smp_cnt + k) % from->wrap);
    put_head(frame, 0xa2, end);
    put_field(frame, 0x80, from->asdus, 1 + (fuzz_any(20) == 0));
    put_head(frame, 0x60, end);
    put_header(frame, end);
}

/* What happens to a stream between two frames. */
static void advance(publisher *from) {
    from->smp_cnt = (from->smp_cnt + from->asdus) % from->wrap;
    switch (fuzz_any(40)) {
    case 0:
        from->smp_cnt = fuzz_any(from->wrap);
        break;
    case 1:
        from->smp_cnt = (from->smp_cnt + from->asdus * fuzz_any(20)) % from->wrap;
        break;
    case 2:
        from->smp_cnt = (from->smp_cnt + from->wrap - from->asdus) % from->wrap;
        break;
    case 3:
        from->smp_synch = (uint8_t)fuzz_any(4);
        break;
    case 4:
        from->sv_id_number ^= 1;
        break;
    default:
        break;
    }
}

size_t fuzz_input(uint8_t *data) {
    static const uint32_t wraps[] = {4000, 4800, 12800, 14400, 15360, 1, 65536, 80};
    static writer frame;
    fuzz_frames header = {.appid = fuzz_any(2) ? 0x4000 : 0,
                          .accepted_quality = (uint16_t)(fuzz_any(3) ? 0 : fuzz_any(65536)),
                          .options = (uint8_t)fuzz_any(256),
                          .rate = (uint8_t)fuzz_any(8),
                          .rows = (uint8_t)fuzz_any(DCPI_SV_ROWS_MAX)};
    publisher from = {.wrap = wraps[fuzz_any(8) ? header.rate : fuzz_any(8)],
                      .asdus = 1 + fuzz_any(8),
                      .channels = fuzz_any(3) ? 8 : 1 + fuzz_any(12),
                      .smp_synch = (uint8_t)(fuzz_any(2) ? 2 : fuzz_any(4)),
                      .sv_id_number = 1};
    from.smp_cnt = fuzz_any(2) ? from.wrap - 1 - fuzz_any(from.wrap) % 40 % from.wrap : 0;
    size_t size = sizeof header;
    memcpy(data, &header, sizeof header);
    for (uint32_t left = 1 + fuzz_any(30); left > 0 && size + BYTES < FUZZ_INPUT_MAX; left--) {
        put_frame(&frame, &from);
        fuzz_frame head = {.size = (uint16_t)(FRAME_MAX - frame.at),
                           .step_us = (uint16_t)fuzz_any(2000),
                           .is_far = !fuzz_any(60),
                           .is_timeless = !fuzz_any(30)};
        memcpy(data + size, &head, sizeof head);
        memcpy(data + size + sizeof head, frame.bytes + frame.at, head.size);
        if (!fuzz_any(3))
            fuzz_damage(data + size + sizeof head, head.size);
        size += sizeof head + head.size;
        advance(&from);
    }
    return size;
}
