/* One frame: each field as it stands in the bytes, each fault by its status, nothing written. */
#include "check.h"
#include "sv_frames.h"

static dcpi_sv_status status_of(const raw_frame *frame, size_t size) {
    static dcpi_sv_frame decoded, before;
    memset(&decoded, 0xa5, sizeof decoded);
    before = decoded;
    dcpi_sv_status status = dcpi_sv_decode(frame->bytes, size, &decoded);
    if (status != DCPI_SV_OK)
        CHECK(memcmp(&decoded, &before, sizeof decoded) == 0);
    CHECK(dcpi_sv_status_text(status)[0] != '\0');
    return status;
}

/* Bytes put in before `at`; the lengths of what holds them grow where `grows` says so. */
static raw_frame with(const uint8_t *bytes, size_t count, size_t at, const size_t *grows) {
    raw_frame frame = frame_of(&NORMAL);
    for (; *grows; grows++)
        frame.bytes[*grows] = (uint8_t)(frame.bytes[*grows] + count);
    memmove(frame.bytes + at + count, frame.bytes + at, frame.size - at);
    memcpy(frame.bytes + at, bytes, count);
    frame.size += count;
    return frame;
}

/* Offsets in a frame without 802.1Q tag and with one ASDU. */
enum { LENGTH = 17, PDU = 22, PDU_LENGTH = 25, NO_ASDU = 26, ASDUS = 29, ASDUS_LENGTH = 32 };
enum { ASDU = 33, ASDU_LENGTH = 35, SV_ID = 36, SMP_CNT = 42, SMP_SYNCH = 52, SAMPLE = 55 };
static const size_t IN_ASDU[] = {LENGTH, PDU_LENGTH, ASDUS_LENGTH, ASDU_LENGTH, 0};
static const size_t IN_ASDUS[] = {LENGTH, PDU_LENGTH, ASDUS_LENGTH, 0};
static const size_t IN_PDU[] = {LENGTH, PDU_LENGTH, 0};

static void a_frame_is_decoded_field_by_field(void) {
    frame_recipe recipe = {.smp_cnt = 3999,
                           .smp_synch = 1,
                           .asdus = 2,
                           .channels = 6,
                           .quality = 0x2801,
                           .conf_rev = 0x01020304,
                           .is_simulated = 1};
    raw_frame raw = frame_of(&recipe);
    dcpi_sv_frame frame;
    CHECK(dcpi_sv_decode(raw.bytes, raw.size, &frame) == DCPI_SV_OK);
    CHECK(frame.appid == 0x4000 && frame.vlan == DCPI_SV_ABSENT && frame.is_simulated);
    CHECK(frame.destination[2] == 0xcd && frame.source[0] == 2 && frame.source[5] == 1);
    CHECK(frame.asdus == 2);
    const dcpi_sv_asdu *asdu = frame.asdu + 1;
    CHECK(asdu->sv_id_length == 4 && !memcmp(asdu->sv_id, "MU01", 4));
    CHECK(asdu->smp_cnt == 4000 && asdu->smp_synch == 1 && asdu->conf_rev == 0x01020304);
    CHECK(asdu->smp_rate == DCPI_SV_ABSENT && asdu->smp_mod == DCPI_SV_ABSENT);
    CHECK(asdu->channels == 6 && dcpi_sv_value(asdu, 5) == 4000005);
    CHECK(dcpi_sv_quality_of(asdu, 5) == 0x2801);
}

static void values_are_signed(void) {
    raw_frame raw = frame_of(&NORMAL);
    dcpi_sv_frame frame;
    memset(raw.bytes + SAMPLE + 3, 0xff, 4);
    CHECK(dcpi_sv_decode(raw.bytes, raw.size, &frame) == DCPI_SV_OK);
    CHECK(dcpi_sv_value(frame.asdu, 0) == -1 && dcpi_sv_value(frame.asdu, 1) == 1);
}

static void the_tag_of_an_hsr_ring_is_taken_off(void) {
    static const uint8_t bytes[] = {0x81, 0x00, 0x80, 0x0a, 0x89, 0x2f, 0x00, 0x50, 0x12, 0x34};
    static const size_t none[] = {0};
    dcpi_sv_frame frame;
    raw_frame raw = with(bytes, sizeof bytes, 12, none);
    CHECK(dcpi_sv_decode(raw.bytes, raw.size, &frame) == DCPI_SV_OK && frame.vlan == 10);
    CHECK(frame.appid == 0x4000 && frame.asdu[0].channels == 8);
    for (size_t size = 18; size < 24; size++)
        CHECK(status_of(&raw, size) == DCPI_SV_SHORT);
}

static void tags_of_8021q_are_taken_off(void) {
    static const uint8_t inner[] = {0x81, 0x00, 0x80, 0x0a};
    static const uint8_t both[] = {0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x8f, 0xff};
    static const size_t none[] = {0};
    dcpi_sv_frame frame;
    raw_frame raw = with(inner, sizeof inner, 12, none);
    CHECK(dcpi_sv_decode(raw.bytes, raw.size, &frame) == DCPI_SV_OK && frame.vlan == 10);
    raw = with(both, sizeof both, 12, none);
    CHECK(dcpi_sv_decode(raw.bytes, raw.size, &frame) == DCPI_SV_OK && frame.vlan == 4095);
    CHECK(frame.asdu[0].channels == 8);
    CHECK(status_of(&raw, 17) == DCPI_SV_SHORT);
}

static void unknown_and_optional_fields_are_stepped_over_in_any_order(void) {
    static const uint8_t data_set[] = {0x81, 0x81, 0x02, 'D', 'S'};
    static const uint8_t time[] = {0x84, 0x08, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t rate[] = {0x88, 0x02, 0, 1, 0x86, 0x02, 0x0f, 0xa0};
    static const uint8_t long_tag[] = {0xbf, 0x81, 0x01, 0x83, 0x00, 0x00, 0x01, 0xee};
    static const uint8_t security[] = {0x81, 0x03, 9, 9, 9};
    dcpi_sv_frame frame;
    raw_frame raw = with(data_set, sizeof data_set, SV_ID, IN_ASDU);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_OK);
    raw = with(time, sizeof time, SMP_SYNCH, IN_ASDU);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_OK);
    raw = with(long_tag, sizeof long_tag, SMP_CNT, IN_ASDU);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_OK);
    raw = with(security, sizeof security, ASDUS, IN_PDU);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_OK);
    raw = with(security, sizeof security, ASDU, IN_ASDUS);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_OK);
    raw = with(rate, sizeof rate, SV_ID, IN_ASDU);
    CHECK(dcpi_sv_decode(raw.bytes, raw.size, &frame) == DCPI_SV_OK);
    CHECK(frame.asdu[0].smp_rate == 4000 && frame.asdu[0].smp_mod == 1);
}

static void padding_is_ignored_and_every_cut_is_told(void) {
    raw_frame raw = frame_of(&NORMAL);
    for (size_t size = 0; size < raw.size; size++)
        CHECK(status_of(&raw, size) == (size < PDU ? DCPI_SV_SHORT : DCPI_SV_BAD_LENGTH));
    memset(raw.bytes + raw.size, 0x60, 40);
    CHECK(status_of(&raw, raw.size + 40) == DCPI_SV_OK);
}

/* One byte changed. */
static dcpi_sv_status changed(size_t at, uint8_t byte) {
    raw_frame raw = frame_of(&NORMAL);
    raw.bytes[at] = byte;
    return status_of(&raw, raw.size);
}

static void each_fault_has_its_status(void) {
    CHECK(changed(13, 0xb8) == DCPI_SV_OTHER_PROTOCOL);
    CHECK(changed(LENGTH, 7) == DCPI_SV_BAD_LENGTH);
    CHECK(changed(LENGTH, 8) == DCPI_SV_NOT_A_PDU);
    CHECK(changed(LENGTH - 1, 0xff) == DCPI_SV_BAD_LENGTH);
    CHECK(changed(PDU, 0x61) == DCPI_SV_NOT_A_PDU);
    CHECK(changed(PDU + 1, 0x80) == DCPI_SV_BAD_ENCODING); /* indefinite */
    CHECK(changed(PDU + 1, 0x85) == DCPI_SV_BAD_ENCODING); /* five octets of length */
    CHECK(changed(PDU_LENGTH, 0xff) == DCPI_SV_BAD_ENCODING);
    CHECK(changed(PDU_LENGTH - 1, 0xff) == DCPI_SV_BAD_ENCODING);
    CHECK(changed(NO_ASDU + 2, 0) == DCPI_SV_BAD_ASDU_COUNT);
    CHECK(changed(NO_ASDU + 2, 2) == DCPI_SV_BAD_ASDU_COUNT);
    CHECK(changed(NO_ASDU + 2, 0xff) == DCPI_SV_BAD_ASDU_COUNT);
    CHECK(changed(NO_ASDU, 0x8f) == DCPI_SV_MISSING_FIELD);
    CHECK(changed(ASDUS, 0xa3) == DCPI_SV_MISSING_FIELD);
    CHECK(changed(ASDU, 0x31) == DCPI_SV_BAD_ASDU_COUNT);
    CHECK(changed(ASDU_LENGTH, 0xff) == DCPI_SV_BAD_ENCODING);
    CHECK(changed(SV_ID, 0x8f) == DCPI_SV_MISSING_FIELD);
    CHECK(changed(SMP_CNT, 0x8f) == DCPI_SV_MISSING_FIELD);
    CHECK(changed(SMP_CNT, 0x83) == DCPI_SV_BAD_FIELD);
    CHECK(changed(SMP_CNT + 1, 0xff) == DCPI_SV_BAD_ENCODING);
    CHECK(changed(SMP_SYNCH, 0x8f) == DCPI_SV_MISSING_FIELD);
    CHECK(changed(SAMPLE, 0x8f) == DCPI_SV_MISSING_FIELD);
    CHECK(changed(SAMPLE, 0x85) == DCPI_SV_BAD_FIELD);
    CHECK(changed(SAMPLE + 2, 63) == DCPI_SV_BAD_FIELD);
    static const uint8_t huge[] = {0x8f, 0x85, 0, 0, 0, 0, 1, 0xee};
    static const uint8_t again[] = {0x85, 0x01, 0x02};
    raw_frame raw = with(huge, sizeof huge, SV_ID, IN_ASDU);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_BAD_ENCODING);
    raw = with(again, sizeof again, SV_ID, IN_ASDU);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_REPEATED_FIELD);
    CHECK(dcpi_sv_decode(NULL, 100, NULL) == DCPI_SV_BAD_ARGUMENT);
}

static void an_id_or_sample_of_any_length_stays_in_its_limits(void) {
    static uint8_t id[140];
    raw_frame raw = frame_of(&NORMAL);
    dcpi_sv_frame frame;
    for (uint8_t more = 0; 4 + more < 0x80; more++) {
        raw = with(id, more, SV_ID + 2, IN_ASDU);
        raw.bytes[SV_ID + 1] = (uint8_t)(4 + more);
        CHECK(dcpi_sv_decode(raw.bytes, raw.size, &frame) == DCPI_SV_OK);
        CHECK(frame.asdu[0].sv_id_length == 4 + more);
    }
    static uint8_t longer[128] = {0x81};
    for (uint8_t length = 128; length <= 130; length++) {
        longer[1] = length; /* the old length and the old svID end the new one */
        raw = with(longer, length - 3u, SV_ID + 1, IN_ASDU);
        CHECK(status_of(&raw, raw.size) == (length > 129 ? DCPI_SV_BAD_FIELD : DCPI_SV_OK));
    }
    frame_recipe none = NORMAL;
    none.channels = 0;
    raw = frame_of(&none);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_BAD_FIELD);
}

static void more_asdus_than_there_is_room_for_are_refused(void) {
    frame_recipe many = NORMAL;
    many.channels = 1;
    many.asdus = DCPI_SV_ASDUS_MAX;
    raw_frame raw = frame_of(&many);
    CHECK(status_of(&raw, raw.size) == DCPI_SV_OK);
    many.asdus = DCPI_SV_ASDUS_MAX + 20;
    raw = frame_of(&many);
    for (uint8_t count = 0; count < 100; count++) {
        raw.bytes[NO_ASDU + 2] = count;
        CHECK(status_of(&raw, raw.size) == DCPI_SV_BAD_ASDU_COUNT);
    }
}

int main(void) {
    RUN(a_frame_is_decoded_field_by_field);
    RUN(values_are_signed);
    RUN(tags_of_8021q_are_taken_off);
    RUN(the_tag_of_an_hsr_ring_is_taken_off);
    RUN(unknown_and_optional_fields_are_stepped_over_in_any_order);
    RUN(padding_is_ignored_and_every_cut_is_told);
    RUN(each_fault_has_its_status);
    RUN(more_asdus_than_there_is_room_for_are_refused);
    RUN(an_id_or_sample_of_any_length_stays_in_its_limits);
    return 0;
}
