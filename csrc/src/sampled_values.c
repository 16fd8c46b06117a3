/* One Ethernet frame of sampled values: IEC 61850-9-2:2011 clause 8 and annex A. */
#include <string.h>

#include "big_endian.h"
#include "dcpi_sampled_values.h"

enum {
    ADDRESSES = 12, /* destination and source MAC */
    TAG = 4,        /* of IEEE 802.1Q */
    HSR_TAG = 6,    /* IEC 62439-3: a ring delivers each frame twice */
    HEADER = 8,     /* APPID, Length, Reserved 1, Reserved 2 */
    CHANNEL = 8,    /* INT32 value, UINT32 quality */
    ETHERTYPE_TAG = 0x8100,
    ETHERTYPE_OUTER_TAG = 0x88a8,
    ETHERTYPE_HSR = 0x892f,
    ETHERTYPE_SAMPLED_VALUES = 0x88ba,
    TAGS_MAX = 2,
    SIMULATED = 0x8000
};

/* Tags, IEC 61850-9-2:2011 8.5.2. */
enum {
    TAG_PDU = 0x60,
    TAG_ASDU_COUNT = 0x80,
    TAG_ASDUS = 0xa2,
    TAG_ASDU = 0x30,
    TAG_SV_ID = 0x80,
    TAG_SMP_CNT = 0x82,
    TAG_CONF_REV = 0x83,
    TAG_SMP_SYNCH = 0x85,
    TAG_SMP_RATE = 0x86,
    TAG_SAMPLE = 0x87,
    TAG_SMP_MOD = 0x88,
    TAG_LONG = 0x1f /* further tag bytes follow: none that is known here */
};

typedef struct {
    const uint8_t *at, *end;
} bytes_left;

typedef struct {
    uint32_t tag; /* 0xff: one of several bytes */
    bytes_left content;
} element;

static size_t size_of(bytes_left bytes) {
    return (size_t)(bytes.end - bytes.at);
}

static uint32_t number(const uint8_t *at, size_t size) {
    uint32_t value = 0;
    for (size_t k = 0; k < size; k++)
        value = value << 8 | at[k];
    return value;
}

/* Tag of an element; those of several bytes are stepped over (X.690 8.1.2.4). */
static dcpi_sv_status read_tag(bytes_left *bytes, uint32_t *tag) {
    *tag = *bytes->at++;
    if ((*tag & TAG_LONG) != TAG_LONG)
        return DCPI_SV_OK;
    *tag = 0xff;
    while (bytes->at < bytes->end)
        if (!(*bytes->at++ & 0x80))
            return DCPI_SV_OK;
    return DCPI_SV_BAD_ENCODING;
}

/* The next element of what is left; its length is definite (X.690 8.1.3) and within its parent. */
static dcpi_sv_status read_element(bytes_left *bytes, element *next) {
    dcpi_sv_status status = read_tag(bytes, &next->tag);
    if (status != DCPI_SV_OK || bytes->at == bytes->end)
        return DCPI_SV_BAD_ENCODING;
    size_t length = *bytes->at++;
    if (length >= 0x80) {
        size_t octets = length & 0x7f;
        if (octets < 1 || octets > 4 || octets > size_of(*bytes))
            return DCPI_SV_BAD_ENCODING;
        length = number(bytes->at, octets);
        bytes->at += octets;
    }
    if (length > size_of(*bytes))
        return DCPI_SV_BAD_ENCODING;
    next->content = (bytes_left){bytes->at, bytes->at + length};
    bytes->at += length;
    return DCPI_SV_OK;
}

/* An unsigned number of `least` to `most` bytes, at most four. */
static dcpi_sv_status read_number(bytes_left content, size_t least, size_t most, uint32_t *value) {
    size_t size = size_of(content);
    if (size < least || size > most)
        return DCPI_SV_BAD_FIELD;
    *value = number(content.at, size);
    return DCPI_SV_OK;
}

static dcpi_sv_status read_int(bytes_left content, size_t least, size_t most, int32_t *value) {
    uint32_t read;
    dcpi_sv_status status = read_number(content, least, most, &read);
    if (status == DCPI_SV_OK)
        *value = (int32_t)read;
    return status;
}

static dcpi_sv_status read_id(bytes_left content, dcpi_sv_asdu *asdu) {
    if (size_of(content) > DCPI_SV_ID_MAX)
        return DCPI_SV_BAD_FIELD;
    asdu->sv_id = content.at;
    asdu->sv_id_length = (int32_t)size_of(content);
    return DCPI_SV_OK;
}

static dcpi_sv_status read_samples(bytes_left content, dcpi_sv_asdu *asdu) {
    size_t size = size_of(content);
    if (size % CHANNEL || size < CHANNEL || size > (size_t)DCPI_SV_CHANNELS_MAX * CHANNEL)
        return DCPI_SV_BAD_FIELD;
    asdu->samples = content.at;
    asdu->channels = (int32_t)(size / CHANNEL);
    return DCPI_SV_OK;
}

static dcpi_sv_status read_field(const element *field, dcpi_sv_asdu *asdu) {
    switch (field->tag) {
    case TAG_SV_ID:
        return read_id(field->content, asdu);
    case TAG_SMP_CNT:
        return read_int(field->content, 2, 2, &asdu->smp_cnt);
    case TAG_CONF_REV:
        return read_number(field->content, 4, 4, &asdu->conf_rev);
    case TAG_SMP_SYNCH:
        return read_int(field->content, 1, 1, &asdu->smp_synch);
    case TAG_SMP_RATE:
        return read_int(field->content, 2, 2, &asdu->smp_rate);
    case TAG_SMP_MOD: /* two bytes by the standard, one by some publishers */
        return read_int(field->content, 1, 2, &asdu->smp_mod);
    case TAG_SAMPLE:
        return read_samples(field->content, asdu);
    default:
        return DCPI_SV_OK;
    }
}

static dcpi_sv_status read_asdu(bytes_left bytes, dcpi_sv_asdu *asdu) {
    const uint32_t needed = 1u << (TAG_SV_ID & 15) | 1u << (TAG_SMP_CNT & 15) |
                            1u << (TAG_CONF_REV & 15) | 1u << (TAG_SMP_SYNCH & 15) |
                            1u << (TAG_SAMPLE & 15);
    uint32_t seen = 0;
    asdu->smp_rate = asdu->smp_mod = DCPI_SV_ABSENT;
    while (bytes.at < bytes.end) {
        element field;
        dcpi_sv_status status = read_element(&bytes, &field);
        if (status == DCPI_SV_OK)
            status = read_field(&field, asdu);
        if (status != DCPI_SV_OK)
            return status;
        if (field.tag < TAG_SV_ID || field.tag > TAG_SMP_MOD)
            continue;
        uint32_t bit = 1u << (field.tag & 15);
        if (seen & bit)
            return DCPI_SV_REPEATED_FIELD;
        seen |= bit;
    }
    return (seen & needed) == needed ? DCPI_SV_OK : DCPI_SV_MISSING_FIELD;
}

static dcpi_sv_status read_asdus(bytes_left bytes, uint32_t count, dcpi_sv_frame *frame) {
    if (count < 1 || count > DCPI_SV_ASDUS_MAX)
        return DCPI_SV_BAD_ASDU_COUNT;
    frame->asdus = 0;
    while (bytes.at < bytes.end) {
        element next;
        dcpi_sv_status status = read_element(&bytes, &next);
        if (status != DCPI_SV_OK)
            return status;
        if (next.tag != TAG_ASDU)
            continue;
        if (frame->asdus == (int32_t)count)
            return DCPI_SV_BAD_ASDU_COUNT;
        status = read_asdu(next.content, frame->asdu + frame->asdus);
        if (status != DCPI_SV_OK)
            return status;
        frame->asdus++;
    }
    return frame->asdus == (int32_t)count ? DCPI_SV_OK : DCPI_SV_BAD_ASDU_COUNT;
}

static dcpi_sv_status read_pdu(bytes_left bytes, dcpi_sv_frame *frame) {
    bytes_left asdus = {NULL, NULL};
    uint32_t count = 0, has_count = 0;
    while (bytes.at < bytes.end) {
        element next;
        dcpi_sv_status status = read_element(&bytes, &next);
        if (status != DCPI_SV_OK)
            return status;
        if ((next.tag == TAG_ASDU_COUNT && has_count) || (next.tag == TAG_ASDUS && asdus.at))
            return DCPI_SV_REPEATED_FIELD;
        if (next.tag == TAG_ASDUS)
            asdus = next.content;
        if (next.tag != TAG_ASDU_COUNT)
            continue;
        has_count = 1;
        status = read_number(next.content, 1, 4, &count);
        if (status != DCPI_SV_OK)
            return status;
    }
    return has_count && asdus.at ? read_asdus(asdus, count, frame) : DCPI_SV_MISSING_FIELD;
}

/* Addresses and tags; what is left begins with the APPID. */
static dcpi_sv_status read_ethernet(bytes_left *bytes, dcpi_sv_frame *frame) {
    if (size_of(*bytes) < ADDRESSES + 2)
        return DCPI_SV_SHORT;
    memcpy(frame->destination, bytes->at, sizeof frame->destination);
    memcpy(frame->source, bytes->at + sizeof frame->destination, sizeof frame->source);
    frame->vlan = DCPI_SV_ABSENT;
    bytes->at += ADDRESSES;
    uint32_t type = big_endian_16(bytes->at);
    for (int k = 0; k < TAGS_MAX && (type == ETHERTYPE_TAG || type == ETHERTYPE_OUTER_TAG); k++) {
        if (size_of(*bytes) < TAG + 2)
            return DCPI_SV_SHORT;
        frame->vlan = (int32_t)(big_endian_16(bytes->at + 2) & 0xfff);
        bytes->at += TAG;
        type = big_endian_16(bytes->at);
    }
    if (type == ETHERTYPE_HSR) {
        if (size_of(*bytes) < HSR_TAG + 2)
            return DCPI_SV_SHORT;
        bytes->at += HSR_TAG;
        type = big_endian_16(bytes->at);
    }
    bytes->at += 2;
    return type == ETHERTYPE_SAMPLED_VALUES ? DCPI_SV_OK : DCPI_SV_OTHER_PROTOCOL;
}

static dcpi_sv_status decode(bytes_left bytes, dcpi_sv_frame *frame) {
    dcpi_sv_status status = read_ethernet(&bytes, frame);
    if (status != DCPI_SV_OK)
        return status;
    if (size_of(bytes) < HEADER)
        return DCPI_SV_SHORT;
    size_t length = big_endian_16(bytes.at + 2);
    if (length < HEADER || length > size_of(bytes))
        return DCPI_SV_BAD_LENGTH;
    frame->appid = (int32_t)big_endian_16(bytes.at);
    frame->is_simulated = (big_endian_16(bytes.at + 4) & SIMULATED) != 0;
    bytes.end = bytes.at + length;
    bytes.at += HEADER;
    if (bytes.at == bytes.end || *bytes.at != TAG_PDU)
        return DCPI_SV_NOT_A_PDU;
    /* What may follow within Length is the signature of IEC 62351-6. */
    element pdu;
    status = read_element(&bytes, &pdu);
    return status == DCPI_SV_OK ? read_pdu(pdu.content, frame) : status;
}

dcpi_sv_status dcpi_sv_decode(const uint8_t *bytes, size_t size, dcpi_sv_frame *frame) {
    dcpi_sv_frame decoded;
    if (!bytes || !frame)
        return DCPI_SV_BAD_ARGUMENT;
    dcpi_sv_status status = decode((bytes_left){bytes, bytes + size}, &decoded);
    if (status == DCPI_SV_OK)
        memcpy(frame, &decoded,
               offsetof(dcpi_sv_frame, asdu) + (size_t)decoded.asdus * sizeof *decoded.asdu);
    return status;
}

int32_t dcpi_sv_value(const dcpi_sv_asdu *asdu, int32_t channel) {
    return (int32_t)big_endian_32(asdu->samples + (ptrdiff_t)channel * CHANNEL);
}

uint32_t dcpi_sv_quality_of(const dcpi_sv_asdu *asdu, int32_t channel) {
    return big_endian_32(asdu->samples + (ptrdiff_t)channel * CHANNEL + 4);
}

const char *dcpi_sv_status_text(dcpi_sv_status status) {
    static const char *const texts[] = {
        [DCPI_SV_OK] = "ok",
        [DCPI_SV_BAD_ARGUMENT] = "an argument is null or outside its limits",
        [DCPI_SV_OTHER_PROTOCOL] = "not a frame of sampled values",
        [DCPI_SV_SHORT] = "the frame ends within its header",
        [DCPI_SV_BAD_LENGTH] = "the frame is cut, or its Length field is wrong",
        [DCPI_SV_NOT_A_PDU] = "no savPdu follows the frame's header",
        [DCPI_SV_BAD_ENCODING] = "an element is cut off or ends beyond its parent",
        [DCPI_SV_BAD_ASDU_COUNT] = "noASDU is not the number of ASDUs, or none, or above 64",
        [DCPI_SV_MISSING_FIELD] = "a field that the standard demands is missing",
        [DCPI_SV_REPEATED_FIELD] = "a field stands twice",
        [DCPI_SV_BAD_FIELD] = "a field has the wrong size",
        [DCPI_SV_MISSING_CHANNEL] = "the data set has fewer channels than the stream is to have",
        [DCPI_SV_OTHER_CONFIGURATION] = "confRev is not the configured one",
        [DCPI_SV_BEYOND_RATE] = "smpCnt is not below the rate"};
    size_t index = (size_t)status;
    return index < sizeof texts / sizeof *texts ? texts[index] : "unknown status";
}
